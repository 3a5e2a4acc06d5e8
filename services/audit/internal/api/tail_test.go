package api

import (
	"log/slog"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/internal/store"
	"ashlar.dev/services/audit/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A stream is never silent for long, its heartbeats go on from where it is, and there are no more than may be.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLite(t)
	require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, slog.New(slog.DiscardHandler)))
	s, err := store.New(db, store.Config{SealKey: make([]byte, 32)})
	require.NoError(t, err)
	require.NoError(t, s.Open(t.Context()))
	server := connect.NewServer()
	auditv1connect.RegisterAuditServiceHandler(server, &Events{store: s, tails: make(chan struct{}, 1), heartbeat: 5 * time.Millisecond})
	client := auditv1connect.NewAuditServiceClient(connect.NewClient(connectinprocess.New(server)))

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
	}, 20*time.Second, time.Millisecond)
}
