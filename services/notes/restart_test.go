package notes_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/pgserver"
	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/kernel/config"
	"ashlar.dev/services/notes/ent"
)

// record is an audit that keeps each event once.
type record struct {
	auditv1connect.UnimplementedIngestServiceHandler

	mu     sync.Mutex
	events map[string]*auditv1.Event
}

func (r *record) AppendEvents(_ context.Context, req *auditv1.AppendEventsRequest) (*auditv1.AppendEventsResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range req.GetEvents() {
		r.events[e.GetId()] = e
	}
	return &auditv1.AppendEventsResponse{}, nil
}

// created is how many events there are of each note's creation.
func (r *record) created() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	notes := map[string]int{}
	for _, e := range r.events {
		if e.GetAction() == "note.create" {
			notes[e.GetResource()]++
		}
	}
	return notes
}

// PostgreSQL ends under load, once in order and once like in a crash, and comes back: callers are told unavailable and
// nothing else, what was acknowledged is there once, and all of it is on the record. The server's fsync is off: what it has
// committed is with the operating system, which does not crash here.
func TestPostgresRestartsUnderLoad(t *testing.T) {
	const patience = 60 * time.Second
	server := dbtest.Server(t, pgserver.Options{})
	w := start(t, config.Secret(server.URL("postgres")))
	r := &record{events: map[string]*auditv1.Event{}}
	w.Peer("audit", func(s *connect.Server) { auditv1connect.RegisterIngestServiceHandler(s, r) })
	w.Allow("usr_ada", read, "org_acme")
	w.Allow("usr_ada", write, "org_acme")
	ada := as(w, "usr_ada")

	const clients = 8
	var done, failed atomic.Int64
	var everybody sync.WaitGroup
	stopping := make(chan struct{})
	ids := make([]map[string]string, clients) // of notes, by request
	for i := range clients {
		ids[i] = map[string]string{}
		everybody.Go(func() {
			for n := 0; ; n++ {
				request := fmt.Sprintf("%d-%d", i, n)
				for {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					created, err := ada.CreateNote(ctx, &notesv1.CreateNoteRequest{OrganizationId: "org_acme", Title: request, RequestId: request})
					cancel()
					if err == nil {
						ids[i][request] = created.GetNote().GetId()
						done.Add(1)
						break
					}
					failed.Add(1)
					if connect.CodeOf(err) != connect.CodeUnavailable {
						t.Errorf("%s: %v", connect.CodeOf(err), err)
						return
					}
				}
				select {
				case <-stopping:
					return
				default:
				}
			}
		})
	}
	stop := sync.OnceFunc(func() { close(stopping); everybody.Wait() })
	defer stop()
	more := func(counter *atomic.Int64, n int64) {
		t.Helper()
		at := counter.Load()
		require.Eventually(t, func() bool { return t.Failed() || counter.Load() >= at+n }, patience, time.Millisecond)
	}
	for _, mode := range []pgserver.Mode{pgserver.Fast, pgserver.Immediate} {
		more(&done, 50)
		require.NoError(t, server.Halt(t.Context(), mode))
		more(&failed, 20)
		require.NoError(t, server.Resume(t.Context()))
		begun := time.Now()
		more(&done, clients)
		t.Logf("after %s: calls succeed %s after the server is back", mode, time.Since(begun))
	}
	stop()
	t.Logf("%d calls succeeded, %d were told unavailable", done.Load(), failed.Load())

	client := ent.NewClient(ent.Driver(dbtest.Open(t, config.Secret(server.URL("postgres"))).Driver()))
	stored, err := client.Note.Query().All(t.Context())
	require.NoError(t, err)
	there := map[string]string{}
	for _, note := range stored {
		there[note.Title] = note.ID
	}
	require.Len(t, there, len(stored), "a request made one note")
	for _, mine := range ids {
		for request, id := range mine {
			require.Equal(t, id, there[request], request)
		}
	}
	require.EqualValues(t, done.Load(), len(stored))
	require.Eventually(t, func() bool { return len(r.created()) == len(stored) }, patience, 5*time.Millisecond)
	for id, n := range r.created() {
		require.Equal(t, 1, n, id)
	}
}
