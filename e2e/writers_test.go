package e2e

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
)

const (
	createNote = "acme.notes.v1.NoteService/CreateNote"
	// manyWriters write side by side. What a person may ask of notes is limited to 50 calls a second.
	manyWriters = 12
	writerPace  = 30 * time.Millisecond
	// goOnWithin bounds the waiting for writers. How long it took is logged.
	goOnWithin = time.Minute
)

// writers write notes through the gateway, in each way to call, until they are stopped: each request until it is
// acknowledged. They count what became of their calls.
type writers struct {
	t   *testing.T
	p   *platform
	org string
	// stop ends them, each after the note that it is about.
	stop func()

	acknowledged, refused atomic.Int64
	each                  [manyWriters]atomic.Int64 // notes of each that are acknowledged
	// rush: they keep no pace, until a call fails. Else few calls would be under way when something breaks.
	rush atomic.Bool

	mu      sync.Mutex
	ids     map[string]string // of the notes, by request
	codes   map[string]int    // of the calls that failed
	wrong   []string          // calls that ended as none may
	slowest time.Duration
}

// startWriters lets people write, and waits until they do.
func startWriters(t *testing.T, p *platform, admin person) *writers {
	t.Helper()
	w := &writers{t: t, p: p, org: newOrganization(t, p.url(), admin), ids: map[string]string{}, codes: map[string]int{}}
	var people []person
	for range manyWriters {
		who := newcomer(t, p.url())
		invoke(t, p.url(), admin.token, grantRole, &authzv1.GrantRoleRequest{UserId: who.id, Role: "notes.editor", OrganizationId: w.org}, &authzv1.GrantRoleResponse{})
		people = append(people, who)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i, who := range people {
		all.Go(func() { w.write(ctx, i, who) })
	}
	w.stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(w.stop)
	w.await(&w.acknowledged, 10*manyWriters)
	return w
}

// write is what one of them does.
func (w *writers) write(ctx context.Context, number int, who person) {
	tick := time.NewTicker(writerPace)
	defer tick.Stop()
	s := speeches[number%len(speeches)]
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("%d-%d", number, n)
		c := call{
			url: w.p.url(), procedure: createNote, token: who.token,
			message: &notesv1.CreateNoteRequest{OrganizationId: w.org, Title: name, RequestId: name},
		}
		for {
			if !w.rush.Load() {
				<-tick.C
			}
			begun := time.Now()
			a, err := s.try(context.WithoutCancel(ctx), c)
			if again := w.note(name, s, a, err, time.Since(begun)); !again {
				break
			}
		}
		w.each[number].Add(1)
	}
}

// note counts a call, and tells whether it is to be made again.
func (w *writers) note(name string, s speech, a answer, err error, took time.Duration) (again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slowest = max(w.slowest, took)
	if err != nil || a.code != "" {
		w.rush.Store(false)
	}
	switch {
	case err == nil && a.code == "":
		var created notesv1.CreateNoteResponse
		unmarshal := proto.Unmarshal
		if s.json() {
			unmarshal = protojson.Unmarshal
		}
		if err := unmarshal(a.payload, &created); err != nil || created.GetNote().GetId() == "" {
			w.wrong = append(w.wrong, fmt.Sprintf("%s was acknowledged with %q: %v", name, a.payload, err))
		}
		w.ids[name] = created.GetNote().GetId()
		w.acknowledged.Add(1)
		return false
	case err == nil && (a.code == "unavailable" || a.code == "deadline_exceeded"):
		w.codes[a.code+" "+a.info().GetReason()]++
		w.refused.Add(1)
		return true
	default:
		w.wrong = append(w.wrong, fmt.Sprintf("%s, %s: %s %v", name, s.name, a, err))
		return len(w.wrong) < 100 // what goes wrong always would never end
	}
}

// settle waits until each writer has made a call, from its beginning to its end, that was acknowledged.
func (w *writers) settle() {
	w.t.Helper()
	var begun [manyWriters]int64
	for i := range w.each {
		begun[i] = w.each[i].Load()
	}
	require.NoError(w.t, eventually(goOnWithin, func() error {
		for i := range w.each {
			if w.each[i].Load() < begun[i]+2 { // one may have begun before
				return fmt.Errorf("writer %d does not go on", i)
			}
		}
		return nil
	}))
}

// under breaks something while all of them are busy.
func (w *writers) under(fault func()) {
	w.t.Helper()
	w.rush.Store(true)
	defer w.rush.Store(false)
	w.await(&w.acknowledged, 3*manyWriters)
	fault()
}

// await waits until a counter has gone up by n, and returns how long that took.
func (w *writers) await(counter *atomic.Int64, n int64) time.Duration {
	w.t.Helper()
	begun, at := time.Now(), counter.Load()
	require.NoError(w.t, eventually(goOnWithin, func() error {
		if done := counter.Load() - at; done < n {
			w.mu.Lock()
			defer w.mu.Unlock()
			return fmt.Errorf("%d of %d calls; failed: %v; wrong: %q", done, n, w.codes, w.wrong)
		}
		return nil
	}))
	return time.Since(begun)
}

// check stops the writers and compares what they were told with what is there: notes as read from the database, by id,
// and the audit record.
func (w *writers) check(admin person, stored map[string]string) {
	t := w.t
	t.Helper()
	w.stop()
	made := map[string]int{}
	for _, name := range stored {
		made[name]++
	}
	missing, doubled := 0, 0
	for name, id := range w.ids {
		if stored[id] != name {
			missing++
			t.Errorf("note %s (%s) was acknowledged and is not there", name, id)
		}
	}
	for name, n := range made {
		if n > 1 {
			doubled++
			t.Errorf("request %s has made %d notes", name, n)
		}
	}
	assert.Equal(t, len(w.ids), len(stored), "each note that is there was acknowledged in the end")
	assert.Empty(t, w.wrong)
	assert.Less(t, w.slowest, callTimeout+time.Second, "the slowest call")

	var events map[string]int
	recordedAfter := time.Now()
	assert.NoError(t, eventually(auditWithin, func() error {
		if events = w.events(admin); len(events) < len(w.ids) {
			return fmt.Errorf("%d of %d notes are on the record", len(events), len(w.ids))
		}
		return nil
	}))
	took := time.Since(recordedAfter)
	for name, id := range w.ids {
		assert.Equal(t, 1, events[id], "events of the creation of %s (%s)", name, id)
	}
	assert.Equal(t, len(w.ids), len(events), "notes on the record")
	t.Logf("%d writes acknowledged; calls that failed: %v, otherwise %d; notes missing %d, doubled %d; all on the record %s after the last; the slowest call took %s",
		len(w.ids), maps.Clone(w.codes), len(w.wrong), missing, doubled, took.Round(time.Millisecond), w.slowest.Round(time.Millisecond))
}

// events counts the audit events of creations, by note.
func (w *writers) events(admin person) map[string]int {
	w.t.Helper()
	found := map[string]int{}
	request := &auditv1.QueryEventsRequest{OrganizationId: w.org, Action: "note.create", Outcome: auditv1.Outcome_OUTCOME_SUCCESS, PageSize: 200}
	for {
		var page auditv1.QueryEventsResponse
		invoke(w.t, w.p.url(), admin.token, queryEvents, request, &page)
		for _, event := range page.GetEvents() {
			found[event.GetResource()]++
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return found
		}
	}
}
