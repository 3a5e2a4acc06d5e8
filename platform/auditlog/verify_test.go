package auditlog_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/platform/auditlog"
)

// verify is what a client does that has all events.
func verify(now auditlog.Checkpoint, all []*auditv1.Event, seen ...auditlog.Checkpoint) error {
	v, err := auditlog.NewVerifier(now, seen...)
	if err != nil {
		return err
	}
	for _, e := range all {
		if err := v.Add(e); err != nil {
			return err
		}
	}
	return v.Finish()
}

func TestAnUntouchedLogIsVerified(t *testing.T) {
	t.Parallel()
	all := events(70)
	l := logOf(all)
	for size := range int64(71) {
		now := l.checkpoint(size)
		require.NoError(t, verify(now, all[:size]), "%d", size)
		require.NoError(t, verify(now, all[:size], l.checkpoint(size), l.checkpoint(size/2), l.checkpoint(0)), "%d", size)
	}
	v, err := auditlog.NewVerifier(l.checkpoint(2))
	require.NoError(t, err)
	require.NoError(t, v.Add(all[0]))
	require.Equal(t, int64(1), v.Next())
	require.NoError(t, v.Add(all[1]))
	err = v.Add(all[2])
	require.Error(t, err)
	require.NotErrorIs(t, err, auditlog.ErrTampered, "it came later")
}

func TestEveryChangeIsFound(t *testing.T) {
	t.Parallel()
	at := func(e *auditv1.Event, i int64) *auditv1.Event {
		e = proto.CloneOf(e)
		e.LeafIndex = &i
		return e
	}
	all := events(20)
	l := logOf(all)
	now := l.checkpoint(20)
	rewritten := slices.Clone(all)
	rewritten[3] = event(3, func(e *auditv1.Event) { e.Actor.Id = "usr_mallory" })
	forged := logOf(rewritten)

	for name, test := range map[string]struct {
		now    auditlog.Checkpoint
		events []*auditv1.Event
		seen   []auditlog.Checkpoint
		says   string
	}{
		"an event was edited":          {now, rewritten, nil, "its 20 events are not those that were signed"},
		"an event was edited, old one": {now, rewritten, []auditlog.Checkpoint{l.checkpoint(5)}, "the first 5 events are not those that were seen"},
		"the end is gone":              {now, all[:18], nil, "the events at places 18 to 19 are missing at its end"},
		"the last one is gone":         {now, all[:19], nil, "the event at place 19 is missing at its end"},
		"all are gone":                 {now, nil, nil, "places 0 to 19"},
		"one is gone":                  {now, slices.Delete(slices.Clone(all), 4, 5), nil, "the event at place 4 is missing"},
		"the first are gone":           {now, all[3:], nil, "the events at places 0 to 2 are missing"},
		"two changed places":           {now, slices.Concat(all[:4], []*auditv1.Event{at(all[5], 4), at(all[4], 5)}, all[6:]), nil, "not those that were signed"},
		"out of order":                 {now, slices.Concat(all[:4], []*auditv1.Event{all[5], all[4]}, all[6:]), nil, "the event at place 4 is missing"},
		"one comes twice":              {now, slices.Concat(all[:4], all[3:]), nil, `event "evt_0003" has place 3, after an event with place 3`},
		"one has no place":             {now, []*auditv1.Event{event(0, func(e *auditv1.Event) { e.LeafIndex = nil })}, nil, "has no place"},
		"set back":                     {l.checkpoint(12), all[:12], []auditlog.Checkpoint{now}, "it has 12 events, and had 20"},
		"set back to nothing":          {auditlog.Checkpoint{Origin: now.Origin, Root: emptyRoot()}, nil, []auditlog.Checkpoint{now}, "it has 0 events, and had 20"},
		"all was rewritten":            {forged.checkpoint(20), rewritten, []auditlog.Checkpoint{l.checkpoint(10)}, "the first 10 events"},
		"all was rewritten, same size": {forged.checkpoint(20), rewritten, []auditlog.Checkpoint{now}, "the first 20 events"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := verify(test.now, test.events, test.seen...)
			require.ErrorIs(t, err, auditlog.ErrTampered)
			require.ErrorContains(t, err, test.says)
		})
	}
	other := now
	other.Origin = "example.com/other"
	_, err := auditlog.NewVerifier(now, other)
	require.Error(t, err)
	require.NotErrorIs(t, err, auditlog.ErrTampered)
}

func emptyRoot() tlog.Hash { var t auditlog.Tree; return t.Root() }

func TestInclusion(t *testing.T) {
	t.Parallel()
	all := events(33)
	l := logOf(all)
	for _, size := range []int64{1, 2, 7, 16, 33} {
		now := l.checkpoint(size)
		for i := range size {
			proof, err := tlog.ProveRecord(size, i, l)
			require.NoError(t, err)
			message := &auditv1.InclusionProof{LeafIndex: i, Hashes: bytesOf(proof)}
			require.NoError(t, auditlog.CheckInclusion(now, all[i], message))
			for name, changed := range map[string]*auditv1.Event{
				"edited":         event(i, func(e *auditv1.Event) { e.Action = "note.forge" }),
				"without place":  event(i, func(e *auditv1.Event) { e.LeafIndex = nil }),
				"beyond the end": event(i, func(e *auditv1.Event) { e.LeafIndex = &size }),
				"another one":    event(size, func(e *auditv1.Event) { e.LeafIndex = &i }),
			} {
				require.ErrorIs(t, auditlog.CheckInclusion(now, changed, message), auditlog.ErrTampered, name)
			}
			require.ErrorIs(t, auditlog.CheckInclusion(now, all[i], &auditv1.InclusionProof{Hashes: append(bytesOf(proof), make([]byte, 32))}), auditlog.ErrTampered)
			require.ErrorIs(t, auditlog.CheckInclusion(now, all[i], &auditv1.InclusionProof{Hashes: [][]byte{{1}}}), auditlog.ErrTampered)
		}
	}
}

// What a newer program has written is not what this one takes it for, and nobody is to blame.
func TestEventsOfANewerProgram(t *testing.T) {
	t.Parallel()
	field := protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "new")
	for name, change := range map[string]func(*auditv1.Event){
		"a field":             func(e *auditv1.Event) { e.ProtoReflect().SetUnknown(field) },
		"a field of an actor": func(e *auditv1.Event) { e.GetActor().ProtoReflect().SetUnknown(field) },
		"a kind of actor":     func(e *auditv1.Event) { e.Actor.Kind = 99 },
		"an outcome":          func(e *auditv1.Event) { e.Outcome = 99 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := events(5)
			// What was recorded has another leaf than the one that this program computes.
			recorded := slices.Clone(all)
			recorded[2] = event(2, func(e *auditv1.Event) { e.Reason = "new" })
			l := logOf(recorded)
			all[2] = event(2, change)
			err := verify(l.checkpoint(5), all)
			require.ErrorIs(t, err, auditlog.ErrNewer)
			require.NotErrorIs(t, err, auditlog.ErrTampered)
			require.ErrorContains(t, err, `event "evt_0002"`)

			proof, err := tlog.ProveRecord(5, 2, l)
			require.NoError(t, err)
			message := &auditv1.InclusionProof{LeafIndex: 2, Hashes: bytesOf(proof)}
			err = auditlog.CheckInclusion(l.checkpoint(5), all[2], message)
			require.ErrorIs(t, err, auditlog.ErrNewer)
			require.NotErrorIs(t, err, auditlog.ErrTampered)
			require.NoError(t, auditlog.CheckInclusion(l.checkpoint(5), recorded[2], message))
		})
	}
}

func TestConsistency(t *testing.T) {
	t.Parallel()
	l, forged := logOf(events(33)), logOf(append([]*auditv1.Event{event(99)}, events(33)[1:]...))
	now := l.checkpoint(33)
	for size := range int64(34) {
		old, other := l.checkpoint(size), forged.checkpoint(size)
		var proof tlog.TreeProof
		if size > 0 {
			var err error
			proof, err = tlog.ProveTree(33, size, l)
			require.NoError(t, err)
		}
		require.NoError(t, auditlog.CheckConsistency(now, old, bytesOf(proof)), "%d", size)
		if size > 0 {
			require.ErrorIs(t, auditlog.CheckConsistency(now, other, bytesOf(proof)), auditlog.ErrTampered, "%d", size)
			require.ErrorIs(t, auditlog.CheckConsistency(now, old, [][]byte{{1}}), auditlog.ErrTampered, "%d", size)
		}
		if size < 33 {
			require.ErrorIs(t, auditlog.CheckConsistency(old, now, bytesOf(proof)), auditlog.ErrTampered, "it was set back")
		}
	}
}

func bytesOf[H ~[]tlog.Hash](hashes H) [][]byte {
	out := make([][]byte, len(hashes))
	for i, h := range hashes {
		out[i] = h[:]
	}
	return out
}

func BenchmarkVerifier(b *testing.B) {
	all := events(1000)
	now := logOf(all).checkpoint(1000)
	for b.Loop() {
		if err := verify(now, all); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "events/s")
}

func ExampleVerifier() {
	all := events(3)
	v, err := auditlog.NewVerifier(logOf(all).checkpoint(3))
	if err != nil {
		panic(err)
	}
	all[1].Action = "note.forge"
	for _, e := range all {
		if err = v.Add(e); err != nil {
			break
		}
	}
	fmt.Println(err)
	// Output: the log was tampered with: its 3 events are not those that were signed
}
