package database

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// pgxTracer tells an observer of what pgx sends. It implements pgx.QueryTracer.
type pgxTracer struct{ *observer }

// underWay is the key of the statement that a context belongs to.
type underWay struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (t pgxTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	ctx, s := t.begin(ctx, data.SQL, func() []any { return arguments(data.Args) })
	return context.WithValue(ctx, underWay{}, s)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (pgxTracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if s, ok := ctx.Value(underWay{}).(statement); ok {
		s.end(ctx, data.Err)
	}
}

// arguments leaves out what is for pgx itself, which comes first.
func arguments(args []any) []any {
	for len(args) > 0 {
		switch args[0].(type) {
		case pgx.QueryResultFormats, pgx.QueryResultFormatsByOID, pgx.QueryExecMode:
			args = args[1:]
		default:
			return args
		}
	}
	return args
}
