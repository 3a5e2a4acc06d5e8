package notes_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/kernel/config"
	"ashlar.dev/platform/servicetest"
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

const (
	// patience bounds what takes seconds at most, on a machine that does nothing else.
	patience = 2 * time.Minute
	clients  = 8
)

// writers create notes, each request again and again until it is acknowledged, while something happens to the database.
type writers struct {
	t            *testing.T
	record       *record
	done, failed atomic.Int64
	ids          [clients]map[string]string // of notes, by request
	stop         func()
}

// startWriters starts writers of notes of a size, until stop or the end of the test.
func startWriters(t *testing.T, w *servicetest.World, bytes int) *writers {
	t.Helper()
	all := &writers{t: t, record: &record{events: map[string]*auditv1.Event{}}}
	w.Peer("audit", func(s *connect.Server) { auditv1connect.RegisterIngestServiceHandler(s, all.record) })
	w.Allow("usr_ada", read, "org_acme")
	w.Allow("usr_ada", write, "org_acme")
	ada := as(w, "usr_ada")
	var everybody sync.WaitGroup
	stopping := make(chan struct{})
	ctx, giveUp := context.WithCancel(context.Background())
	for i := range clients {
		all.ids[i] = map[string]string{}
		everybody.Go(func() {
			for n := 0; ; n++ {
				body := make([]byte, bytes/2)
				_, _ = rand.Read(body) // what can be compressed takes no room
				req := &notesv1.CreateNoteRequest{OrganizationId: "org_acme", Title: fmt.Sprintf("%d-%d", i, n), Body: hex.EncodeToString(body)}
				req.RequestId = req.GetTitle()
				for {
					calling, cancel := context.WithTimeout(ctx, patience)
					created, err := ada.CreateNote(calling, req)
					cancel()
					if err == nil {
						all.ids[i][req.GetRequestId()] = created.GetNote().GetId()
						all.done.Add(1)
						break
					}
					if ctx.Err() != nil {
						return // the test has failed, and the database need not come back
					}
					all.failed.Add(1)
					if connect.CodeOf(err) != connect.CodeUnavailable {
						t.Errorf("%s: %v", connect.CodeOf(err), err)
						return
					}
					time.Sleep(5 * time.Millisecond) // as clients do, and each failure is a line in the log
				}
				select {
				case <-stopping:
					return
				default:
				}
			}
		})
	}
	all.stop = sync.OnceFunc(func() { close(stopping); everybody.Wait() })
	t.Cleanup(func() { giveUp(); all.stop() })
	return all
}

// more waits until a counter has grown by n.
func (w *writers) more(counter *atomic.Int64, n int64) {
	w.t.Helper()
	at := counter.Load()
	require.Eventually(w.t, func() bool { return w.t.Failed() || counter.Load() >= at+n }, patience, time.Millisecond)
}

// settle stops the writers and looks: what was acknowledged is in the database once, and on the record once, and nothing
// else is.
func (w *writers) settle(database config.Secret) {
	w.t.Helper()
	w.stop()
	w.t.Logf("%d calls succeeded, %d were told unavailable", w.done.Load(), w.failed.Load())
	client := ent.NewClient(ent.Driver(dbtest.Open(w.t, database).Driver()))
	stored, err := client.Note.Query().All(w.t.Context())
	require.NoError(w.t, err)
	there := map[string]string{}
	for _, note := range stored {
		there[note.Title] = note.ID
	}
	require.Len(w.t, there, len(stored), "a request made one note")
	for _, mine := range w.ids {
		for request, id := range mine {
			require.Equal(w.t, id, there[request], request)
		}
	}
	require.EqualValues(w.t, w.done.Load(), len(stored))
	require.Eventually(w.t, func() bool { return len(w.record.created()) == len(stored) }, patience, 5*time.Millisecond)
	for id, n := range w.record.created() {
		require.Equal(w.t, 1, n, id)
	}
}
