package store

import (
	"context"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"ashlar.dev/services/audit/ent/event"
	"ashlar.dev/services/audit/ent/predicate"
)

// LeafIndex returns the place of an event on the log, of an organization unless that is empty; false where there is none.
func (s *Store) LeafIndex(ctx context.Context, eventID, organization string) (int64, bool, error) {
	found, err := s.client.Event.Query().Where(append(of(organization), event.EventID(storable(eventID)))...).Select(event.FieldLeafIndex).All(ctx)
	if err != nil || len(found) == 0 {
		return 0, false, err
	}
	return found[0].LeafIndex, true, nil
}

// AllOf says whether the events at all of these places, of which none occurs twice, are of an organization.
func (s *Store) AllOf(ctx context.Context, organization string, indexes []int64) (bool, error) {
	// Not by the organization, of which there may be very many: by the places, and then it is looked whose they are.
	found, err := s.client.Event.Query().Where(event.LeafIndexIn(indexes...)).Select(event.FieldOrganizationID).Strings(ctx)
	if err != nil {
		return false, err
	}
	organization = storable(organization)
	return len(found) == len(indexes) && !slices.ContainsFunc(found, func(of string) bool { return of != organization }), nil
}

func of(organization string) []predicate.Event {
	if organization == "" {
		return nil
	}
	return []predicate.Event{event.OrganizationID(storable(organization))}
}

// ProveInclusion proves that the leaves at these places are on the log of a size that was signed. Each must be below it.
func (s *Store) ProveInclusion(ctx context.Context, size int64, indexes []int64) ([]tlog.RecordProof, error) {
	// All hashes are read at once: the first round only notes which.
	var wanted noted
	if _, err := proveAll(size, indexes, &wanted); err != nil {
		return nil, err
	}
	slices.Sort(wanted)
	found, err := readHashes(ctx, s.client.TreeHash, slices.Compact(wanted))
	if err != nil {
		return nil, err
	}
	return proveAll(size, indexes, found)
}

func proveAll(size int64, indexes []int64, read tlog.HashReader) ([]tlog.RecordProof, error) {
	proofs := make([]tlog.RecordProof, len(indexes))
	for i, index := range indexes {
		var err error
		if proofs[i], err = tlog.ProveRecord(size, index, read); err != nil {
			return nil, err
		}
	}
	return proofs, nil
}

// noted is a tlog.HashReader that notes what is asked for.
type noted []int64

// ReadHashes implements tlog.HashReader.
func (n *noted) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	*n = append(*n, indexes...)
	return make([]tlog.Hash, len(indexes)), nil
}

// ProveConsistency proves that the log of a size that was signed begins with that of an older size.
func (s *Store) ProveConsistency(ctx context.Context, size, older int64) (tlog.TreeProof, error) {
	if older == 0 {
		return nil, nil
	}
	return tlog.ProveTree(size, older, treeReader(ctx, s.client.TreeHash))
}
