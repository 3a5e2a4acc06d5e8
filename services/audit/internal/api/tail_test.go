package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/leaktest"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/internal/store"
	"ashlar.dev/services/audit/migrations"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// serve serves a new log, with one stream at most.
func serve(t *testing.T, heartbeat time.Duration, decider access.DeciderFunc) (*store.Store, auditv1connect.AuditServiceClient) {
	t.Helper()
	db := dbtest.SQLite(t)
	require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, slog.New(slog.DiscardHandler)))
	s, err := store.New(db, store.Config{SealKey: make([]byte, 32)})
	require.NoError(t, err)
	require.NoError(t, s.Open(t.Context()))
	server := connect.NewServer()
	auditv1connect.RegisterAuditServiceHandler(server, &Events{store: s, decider: decider, tails: make(chan struct{}, 1), heartbeat: heartbeat})
	return s, auditv1connect.NewAuditServiceClient(connect.NewClient(connectinprocess.New(server)))
}

// A stream ends when its caller may not read events any more, or nobody can tell: before the next event, and with the next
// heartbeat where there is none.
func TestAccessIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    error
		code   connect.Code
		reason string
	}{
		"revoked":    {nil, connect.CodePermissionDenied, rpcerror.ReasonPermissionDenied},
		"not to ask": {errors.New("authz is away"), connect.CodeUnavailable, rpcerror.ReasonPolicyUnavailable},
	} {
		for _, event := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, with an event: %t", name, event), func(t *testing.T) {
				t.Parallel()
				var lost atomic.Bool
				beat := time.Hour
				if !event {
					beat = 5 * time.Millisecond
				}
				s, client := serve(t, beat, func(_ context.Context, _, permission, organization string) (bool, error) {
					if permission != "audit.event.read" || organization != "org_a" {
						return false, errors.New("asked for something else")
					}
					if lost.Load() {
						return false, test.err
					}
					return true, nil
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				stream, err := client.TailEvents(ctx, &auditv1.TailEventsRequest{OrganizationId: "org_a"})
				require.NoError(t, err)
				defer func() { _ = stream.Close() }()
				_, err = stream.Receive()
				require.NoError(t, err)
				lost.Store(true)
				if event {
					require.NoError(t, s.Append(t.Context(), []*ent.Event{{
						EventID: "evt_1", OccurredAt: time.Now(), Service: "notes", Action: "note.create", ActorKind: 2, Outcome: 1, OrganizationID: "org_a",
					}}))
				}
				for err == nil {
					var message *auditv1.TailEventsResponse
					message, err = stream.Receive()
					require.Nil(t, message.GetEvent())
				}
				require.Equal(t, test.code, connect.CodeOf(err), "%v", err)
				require.Equal(t, test.reason, rpcerror.Reason(err))
			})
		}
	}
}

// A stream is never silent for long, its heartbeats go on from where it is, and there are no more than may be.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	s, client := serve(t, 5*time.Millisecond, func(context.Context, string, string, string) (bool, error) { return true, nil })

	stream, err := client.TailEvents(t.Context(), &auditv1.TailEventsRequest{OrganizationId: "org_a"})
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	var tokens []string
	for range 3 {
		beat, err := stream.Receive()
		require.NoError(t, err)
		require.Nil(t, beat.GetEvent())
		tokens = append(tokens, beat.GetResumeToken())
	}
	require.Equal(t, tokens[0], tokens[2], "nothing has happened")

	second, err := client.TailEvents(t.Context(), &auditv1.TailEventsRequest{})
	if err == nil {
		_, err = second.Receive()
	}
	require.Equal(t, connect.CodeResourceExhausted, connect.CodeOf(err))
	require.Equal(t, reasonTooManyTails, rpcerror.Reason(err))

	// What is not for this stream moves it on all the same.
	require.NoError(t, s.Append(t.Context(), []*ent.Event{{EventID: "evt_1", OccurredAt: time.Now(), Service: "notes", Action: "note.create", ActorKind: 2, Outcome: 1}}))
	require.Eventually(t, func() bool {
		beat, err := stream.Receive()
		require.NoError(t, err)
		require.Nil(t, beat.GetEvent())
		return beat.GetResumeToken() != tokens[0]
	}, time.Minute, time.Millisecond)
}
