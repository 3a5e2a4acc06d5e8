package database_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/kernel/config"
)

func TestIsUnavailable(t *testing.T) {
	t.Parallel()
	server := func(code string) error { return fmt.Errorf("query: %w", &pgconn.PgError{Code: code}) }
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"nothing":                   {nil, false},
		"the server stops":          {server("57P01"), true},
		"the server starts":         {server("57P03"), true},
		"too many connections":      {server("53300"), true},
		"the server's disk is full": {server("53100"), true},
		"no lock in time":           {server("55P03"), true},
		"a conflict":                {server("40001"), true},
		"a cut connection":          {driver.ErrBadConn, true},
		"an end in the middle":      {fmt.Errorf("receive message failed: %w", io.ErrUnexpectedEOF), true},
		"a closed connection":       {fmt.Errorf("write: %w", net.ErrClosed), true},
		"a standby":                 {server("25006"), true},
		"too long in between":       {fmt.Errorf("query: %w", &pgconn.PgError{Code: "25P03", SeverityUnlocalized: "FATAL"}), true},
		"an unknown outcome":        {fmt.Errorf("commit: %w", database.ErrOutcomeUnknown), true},
		"a refused connection":      {&net.OpError{Op: "dial", Err: errors.New("refused")}, true},
		"a slow statement":          {server("57014"), true},
		"no connection in time":     {fmt.Errorf("begin: %w", database.ErrOverloaded), true},
		"a unique key":              {server("23505"), false},
		"a wrong statement":         {server("42601"), false},
		"a deadline":                {context.DeadlineExceeded, false},
		"a caller who left":         {context.Canceled, false},
	} {
		assert.Equal(t, test.want, database.IsUnavailable(test.err), name)
	}
}

// An attempt to connect has a deadline of its own, which is not the caller's.
func TestServerThatDoesNotAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	db, err := database.New(config.Secret(fmt.Sprintf("postgres://ashlar@%s/ashlar?connect_timeout=1", silent.Addr())))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	_, err = db.DB.ExecContext(t.Context(), "SELECT 1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.True(t, database.IsUnavailable(err), "%v", err)
	assert.False(t, database.IsOutcomeUnknown(err))
}
