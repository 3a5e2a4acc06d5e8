package auditlog

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
)

// ErrTampered is what every error wraps that says that the log is not what it was, or not what was signed. All other
// errors say that something could not be found out.
var ErrTampered = errors.New("the log was tampered with")

// ErrNewer is what an error wraps about an event whose leaf this program cannot compute, because a newer one has written it.
var ErrNewer = errors.New("the event has fields that this program does not know: use a newer one")

// tooNew fails with ErrNewer where something of an event is unknown, so that it is not known what its leaf is.
func tooNew(e *auditv1.Event) error {
	kind, outcome := e.GetActor().GetKind(), e.GetOutcome()
	if len(e.ProtoReflect().GetUnknown()) > 0 || len(e.GetActor().ProtoReflect().GetUnknown()) > 0 ||
		kind.Descriptor().Values().ByNumber(kind.Number()) == nil || outcome.Descriptor().Values().ByNumber(outcome.Number()) == nil {
		return fmt.Errorf("event %q: %w", e.GetId(), ErrNewer)
	}
	return nil
}

func tampered(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrTampered}, args...)...)
}

// A Verifier computes a log's root hash anew from all of its events, which are added one after the other, and compares.
// It needs the same few hundred bytes for any number of events. It is not safe for concurrent use.
type Verifier struct {
	now  Checkpoint
	seen []Checkpoint
	tree Tree
}

// NewVerifier returns a verifier of the log that a checkpoint is about. seen are checkpoints of the same log that were
// verified before, in any order: the log must begin with all that they are about. It fails with ErrTampered where one is
// about more events than there are now.
func NewVerifier(now Checkpoint, seen ...Checkpoint) (*Verifier, error) {
	v := &Verifier{now: now, seen: seen}
	for _, old := range seen {
		if err := notShorter(now, old); err != nil {
			return nil, err
		}
	}
	return v, v.compare()
}

func notShorter(now, old Checkpoint) error {
	if old.Origin != now.Origin {
		return fmt.Errorf("a checkpoint of %q says nothing about %q", old.Origin, now.Origin)
	}
	if old.Size > now.Size {
		return tampered("it has %d events, and had %d when it was seen before", now.Size, old.Size)
	}
	return nil
}

// Next is the index of the leaf that Add waits for.
func (v *Verifier) Next() int64 { return v.tree.Size() }

// Complete says whether all events were added.
func (v *Verifier) Complete() bool { return v.tree.Size() == v.now.Size }

// Add takes the next event of the log, in the order of the leaves. Events that came after the checkpoint are not to be
// added. It fails with ErrNewer where the event has something that this program does not know: all others would seem to be
// wrong from there on.
func (v *Verifier) Add(e *auditv1.Event) error {
	if err := tooNew(e); err != nil {
		return err
	}
	next := v.tree.Size()
	switch {
	case v.Complete():
		return fmt.Errorf("event %q came after the checkpoint of %d events", e.GetId(), v.now.Size)
	case e.LeafIndex == nil:
		return tampered("event %q has no place on the log", e.GetId())
	case e.GetLeafIndex() > next:
		return tampered("%s missing: the next one is event %q, which has place %d", places(next, e.GetLeafIndex()-1), e.GetId(), e.GetLeafIndex())
	case e.GetLeafIndex() < next:
		return tampered("event %q has place %d, after an event with place %d", e.GetId(), e.GetLeafIndex(), next-1)
	}
	v.tree.Add(LeafHash(e))
	return v.compare()
}

func places(from, to int64) string {
	if from == to {
		return fmt.Sprintf("the event at place %d is", from)
	}
	return fmt.Sprintf("the events at places %d to %d are", from, to)
}

// compare looks whether the tree, as far as it has grown, is what was signed.
func (v *Verifier) compare() error {
	size := v.tree.Size()
	for _, old := range v.seen {
		if old.Size == size && old.Root != v.tree.Root() {
			return tampered("the first %d events are not those that were seen before", size)
		}
	}
	if v.Complete() && v.now.Root != v.tree.Root() {
		return tampered("its %d events are not those that were signed", size)
	}
	return nil
}

// Finish says whether the events are those that were signed, all of them. Call it when there are no more.
func (v *Verifier) Finish() error {
	if !v.Complete() {
		return tampered("%s missing at its end", places(v.tree.Size(), v.now.Size-1))
	}
	return nil
}

// CheckInclusion verifies the proof that an event is on the log that a checkpoint is about, where it says it is. It fails
// with ErrTampered, or with ErrNewer where the event has something that this program does not know.
func CheckInclusion(c Checkpoint, e *auditv1.Event, proof *auditv1.InclusionProof) error {
	switch {
	case e.LeafIndex == nil:
		return tampered("event %q has no place on the log", e.GetId())
	case e.GetLeafIndex() < 0 || e.GetLeafIndex() >= c.Size:
		return tampered("event %q has place %d on a log of %d events", e.GetId(), e.GetLeafIndex(), c.Size)
	}
	hashes, err := Hashes(proof.GetHashes())
	if err != nil {
		return tampered("the proof of event %q: %v", e.GetId(), err)
	}
	if err := tlog.CheckRecord(hashes, c.Size, c.Root, e.GetLeafIndex(), LeafHash(e)); err != nil {
		if err := tooNew(e); err != nil {
			return err
		}
		return tampered("event %q is not what was recorded at place %d", e.GetId(), e.GetLeafIndex())
	}
	return nil
}

// CheckConsistency verifies the proof that a log begins with all of the log that an older checkpoint is about. It fails
// with ErrTampered.
func CheckConsistency(now, old Checkpoint, proof [][]byte) error {
	if err := notShorter(now, old); err != nil {
		return err
	}
	if old.Size == 0 {
		return nil
	}
	if old.Size == now.Size && old.Root != now.Root {
		return tampered("there are two logs of %d events: what was signed now is not what was signed before", now.Size)
	}
	hashes, err := Hashes(proof)
	if err != nil {
		return tampered("the proof of consistency: %v", err)
	}
	if err := tlog.CheckTree(hashes, now.Size, now.Root, old.Size, old.Root); err != nil {
		return tampered("it does not begin with the %d events that were seen before", old.Size)
	}
	return nil
}

// Hashes returns hashes as they come in messages.
func Hashes(from [][]byte) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(from))
	for i, h := range from {
		if len(h) != tlog.HashSize {
			return nil, fmt.Errorf("hash %d has %d bytes", i, len(h))
		}
		hashes[i] = tlog.Hash(h)
	}
	return hashes, nil
}
