package auditlog_test

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/platform/auditlog"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// event returns the one at a place of the log.
func event(i int64, change ...func(*auditv1.Event)) *auditv1.Event {
	e := &auditv1.Event{
		Id: fmt.Sprintf("evt_%04d", i), OccurredAt: timestamppb.New(noon.Add(time.Duration(i) * time.Minute)), Service: "notes",
		Procedure: "/acme.notes.v1.NoteService/CreateNote", Action: "note.create",
		Actor:          &auditv1.Actor{Kind: auditv1.ActorKind_ACTOR_KIND_USER, Id: "usr_ann", SessionId: "ses_1"},
		OrganizationId: "org_a", Resource: "note_1", Outcome: auditv1.Outcome_OUTCOME_SUCCESS, TraceId: strings.Repeat("0f", 16),
		Attributes: map[string]string{"title": "one"}, LeafIndex: &i,
	}
	for _, f := range change {
		f(e)
	}
	return e
}

func events(n int64) []*auditv1.Event {
	out := make([]*auditv1.Event, n)
	for i := range n {
		out[i] = event(i)
	}
	return out
}

// library is a log of leaves as golang.org/x/mod/sumdb/tlog stores it, to compare with.
type library []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (l *library) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		out[i] = (*l)[index]
	}
	return out, nil
}

func (l *library) add(n int64, leaf tlog.Hash) []tlog.Hash {
	made, err := tlog.StoredHashesForRecordHash(n, leaf, l)
	if err != nil {
		panic(err)
	}
	*l = append(*l, made...)
	return made
}

func (l *library) checkpoint(size int64) auditlog.Checkpoint {
	root, err := tlog.TreeHash(size, l)
	if err != nil {
		panic(err)
	}
	return auditlog.Checkpoint{Origin: "example.com/audit", Size: size, Root: root}
}

func logOf(all []*auditv1.Event) *library {
	var l library
	for i, e := range all {
		l.add(int64(i), auditlog.LeafHash(e))
	}
	return &l
}
