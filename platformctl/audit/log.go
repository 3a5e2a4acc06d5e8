package audit

import (
	"context"
	"errors"
	"fmt"
	"io"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/platform/auditlog"
	"ashlar.dev/platformctl/output"
)

// pageSize is what the service allows.
const pageSize = 200

// maxBlamed bounds how many events are named that are not what was recorded.
const maxBlamed = 20

// log is one that is verified, page by page.
type log struct {
	service      auditv1connect.AuditServiceClient
	organization string
	now          auditlog.Checkpoint
	before       *auditlog.Checkpoint
	progress     *progress

	// events is how many were verified.
	events int64
}

// verify verifies the whole log, or the events of one organization.
func (l *log) verify(ctx context.Context) error {
	if l.organization == "" {
		return l.verifyAll(ctx)
	}
	if err := l.verifyConsistency(ctx); err != nil {
		return err
	}
	return l.prove(ctx, func(_ *auditv1.Event, err error) error { return err })
}

// verifyAll computes the root from all events, at the size of the checkpoint and at that of the one before.
func (l *log) verifyAll(ctx context.Context) error {
	var seen []auditlog.Checkpoint
	if l.before != nil {
		seen = append(seen, *l.before)
	}
	v, err := auditlog.NewVerifier(l.now, seen...)
	if err != nil {
		return err
	}
	err = l.pages(ctx, func(events []*auditv1.Event) error {
		for _, e := range events {
			if err := v.Add(e); err != nil {
				return err
			}
		}
		l.events = v.Next()
		l.progress.at(l.events)
		return nil
	})
	if err != nil {
		return err
	}
	return v.Finish()
}

// verifyConsistency has it proved that the log begins with what was seen before.
func (l *log) verifyConsistency(ctx context.Context) error {
	if l.before == nil {
		return nil
	}
	var proof [][]byte
	if 0 < l.before.Size && l.before.Size < l.now.Size {
		res, err := call(ctx, func(ctx context.Context) (*auditv1.GetConsistencyProofResponse, error) {
			return l.service.GetConsistencyProof(ctx, &auditv1.GetConsistencyProofRequest{
				OrganizationId: l.organization, OldSize: l.before.Size, NewSize: l.now.Size,
			})
		})
		if err != nil {
			return err
		}
		proof = res.GetHashes()
	}
	return auditlog.CheckConsistency(l.now, *l.before, proof)
}

// prove has it proved of each event that it is on the log, and tells found about each, until that fails.
func (l *log) prove(ctx context.Context, found func(*auditv1.Event, error) error) error {
	last := int64(-1)
	return l.pages(ctx, func(events []*auditv1.Event) error {
		var places []int64
		for _, e := range events {
			if e.LeafIndex == nil || e.GetLeafIndex() <= last {
				return fmt.Errorf("%w: event %q has no place, or not its own", auditlog.ErrTampered, e.GetId())
			}
			if l.organization != "" && e.GetOrganizationId() != l.organization {
				return fmt.Errorf("%w: event %q is of another organization", auditlog.ErrTampered, e.GetId())
			}
			last = e.GetLeafIndex()
			places = append(places, last)
		}
		res, err := call(ctx, func(ctx context.Context) (*auditv1.BatchGetInclusionProofsResponse, error) {
			return l.service.BatchGetInclusionProofs(ctx, &auditv1.BatchGetInclusionProofsRequest{
				OrganizationId: l.organization, LeafIndexes: places, TreeSize: l.now.Size,
			})
		})
		if err != nil {
			return err
		}
		if len(res.GetProofs()) != len(events) {
			return errors.New("the service did not send a proof for each event")
		}
		for i, e := range events {
			if err := found(e, auditlog.CheckInclusion(l.now, e, res.GetProofs()[i])); err != nil {
				return err
			}
			l.events++
		}
		l.progress.at(last + 1)
		return nil
	})
}

// pages reads the events that the checkpoint is about, in the order of the log.
func (l *log) pages(ctx context.Context, use func([]*auditv1.Event) error) error {
	req := &auditv1.QueryEventsRequest{OrganizationId: l.organization, OldestFirst: true, PageSize: pageSize}
	for {
		res, err := call(ctx, func(ctx context.Context) (*auditv1.QueryEventsResponse, error) {
			return l.service.QueryEvents(ctx, req)
		})
		if err != nil {
			return err
		}
		events := res.GetEvents()
		later := 0
		for later < len(events) && (events[later].LeafIndex == nil || events[later].GetLeafIndex() < l.now.Size) {
			later++
		}
		if later > 0 {
			if err := use(events[:later]); err != nil {
				return err
			}
		}
		if later < len(events) || res.GetNextPageToken() == "" {
			return nil
		}
		if len(events) == 0 {
			return errors.New("the service sent a page without events that is not the last")
		}
		req.PageToken = res.GetNextPageToken()
	}
}

// blame names the events that are not what was recorded, as far as the hashes of the tree tell: a root hash alone says
// only that there are some.
func (l *log) blame(ctx context.Context, out io.Writer, err error) {
	if !errors.Is(err, auditlog.ErrTampered) || l.organization != "" {
		return
	}
	l.progress = &progress{}
	named := 0
	stop := errors.New("enough")
	failure := l.prove(ctx, func(e *auditv1.Event, err error) error {
		if err == nil || errors.Is(err, auditlog.ErrNewer) {
			return nil
		}
		fmt.Fprintf(out, "  place %d: event %s is not what was recorded\n", e.GetLeafIndex(), output.Clean(e.GetId()))
		if named++; named == maxBlamed {
			return stop
		}
		return nil
	})
	if failure != nil && !errors.Is(failure, stop) {
		fmt.Fprintf(out, "  which events it is about cannot be told: %s\n", output.Clean(failure.Error()))
	}
}
