package audit_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/emptypb"

	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/id"
)

func TestNewEvent(t *testing.T) {
	t.Parallel()
	ann, bob := authn.Principal{Kind: authn.User, UserID: "usr_ann"}, authn.Principal{Kind: authn.User, UserID: "usr_bob"}
	shop := authn.Principal{Kind: authn.Service, ServiceName: "shop", OnBehalfOf: &ann}
	for name, test := range map[string]struct {
		caller authn.Principal
		actor  *authn.Principal
		want   authn.Principal
	}{
		"a person":                       {ann, nil, ann},
		"nobody":                         {authn.Principal{}, nil, authn.Principal{}},
		"a service by itself":            {authn.Principal{Kind: authn.Service, ServiceName: "shop"}, nil, authn.Principal{Kind: authn.Service, ServiceName: "shop"}},
		"a service for a person":         {shop, nil, ann},
		"somebody the handler has named": {ann, &bob, bob},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := audit.Change{Action: "note.create", Resource: "note_1", Organization: "org_a", Actor: test.actor, Attributes: map[string]string{"a": "b"}}
			e := audit.NewEvent(authn.NewContext(t.Context(), test.caller), change)
			require.NoError(t, id.Check(id.Event, e.ID))
			require.Equal(t, test.want, e.Actor)
			require.Equal(t, change, e.Change)
			require.Equal(t, audit.Success, e.Outcome)
			require.WithinDuration(t, time.Now(), e.OccurredAt, time.Minute)
			require.Equal(t, time.UTC, e.OccurredAt.Location())
			require.Empty(t, e.Procedure)
			require.Empty(t, e.TraceID)
		})
	}
}

func TestNewDenial(t *testing.T) {
	t.Parallel()
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 2}, SpanID: trace.SpanID{3}})
	e := audit.NewDenial(trace.ContextWithSpanContext(t.Context(), span),
		access.Denial{Procedure: "/a.B/C", Permission: "notes.note.read", Organization: "org_a"}, "PERMISSION_DENIED")
	require.Equal(t, audit.Denied, e.Outcome)
	require.Equal(t, "access.deny", e.Action)
	require.Equal(t, "PERMISSION_DENIED", e.Reason)
	require.Equal(t, "org_a", e.Organization)
	require.Equal(t, map[string]string{"permission": "notes.note.read"}, e.Attributes)
	require.Equal(t, span.TraceID().String(), e.TraceID)
}

// Every call that may change something and says that it did must have put something on the record.
func TestRequire(t *testing.T) {
	t.Parallel()
	recorded := func(ctx context.Context) error { audit.MarkRecorded(ctx); return nil }
	forgets := func(context.Context) error { return nil }
	for name, test := range map[string]struct {
		kind        access.Kind
		idempotency connect.IdempotencyLevel
		streamType  connect.StreamType
		handler     func(context.Context) error
		missing     bool
	}{
		"a change that is recorded":  {kind: access.Permission, handler: recorded},
		"a change that is forgotten": {kind: access.Permission, handler: forgets, missing: true},
		"one by somebody signed in":  {kind: access.Authenticated, handler: forgets, missing: true},
		"one by anybody":             {kind: access.Public, handler: forgets, missing: true},
		"one that can be repeated":   {kind: access.Permission, idempotency: connect.IdempotencyIdempotent, handler: forgets, missing: true},
		"a change that failed":       {kind: access.Permission, handler: func(context.Context) error { return errors.New("no") }},
		"a look":                     {kind: access.Permission, idempotency: connect.IdempotencyNoSideEffects, handler: forgets},
		"another service's":          {kind: access.Internal, handler: forgets},
		"a stream":                   {kind: access.Permission, streamType: connect.StreamTypeServer, handler: forgets},
		"recorded under a derived context": {kind: access.Permission, handler: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			return recorded(ctx)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := connect.Spec{Procedure: "/acme.notes.v1.NoteService/Do", IdempotencyLevel: test.idempotency, StreamType: test.streamType}
			var missing []string
			server := connect.NewServer(audit.Require(access.NewRules(map[string]access.Rule{spec.Procedure: {Kind: test.kind}}),
				slog.New(slog.DiscardHandler), func(procedure string) { missing = append(missing, procedure) }))
			events := make(chan audit.Event, 1)
			server.Register(connect.Method{Spec: spec, Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
				if err := stream.Receive(&emptypb.Empty{}); err != nil {
					return err
				}
				events <- audit.NewEvent(ctx, audit.Change{})
				if err := test.handler(ctx); err != nil {
					return err
				}
				return stream.Send(&emptypb.Empty{})
			}})
			client := connect.NewClient(connectinprocess.New(server))
			if test.streamType == connect.StreamTypeServer {
				stream, err := client.CallServerStream(t.Context(), spec, &emptypb.Empty{})
				require.NoError(t, err)
				for stream.Receive(&emptypb.Empty{}) == nil {
				}
			} else {
				_ = client.CallUnary(t.Context(), spec, &emptypb.Empty{}, &emptypb.Empty{})
			}
			require.Equal(t, spec.Procedure, (<-events).Procedure)
			if test.missing {
				require.Equal(t, []string{spec.Procedure}, missing)
			} else {
				require.Empty(t, missing)
			}
		})
	}
	audit.MarkRecorded(t.Context()) // outside of a call it means nothing
}
