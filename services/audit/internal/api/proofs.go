package api

import (
	"context"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
)

// GetCheckpoint implements ashlar.audit.v1.AuditService.
func (h *Events) GetCheckpoint(ctx context.Context, _ *auditv1.GetCheckpointRequest) (*auditv1.GetCheckpointResponse, error) {
	signed, _, err := h.store.Checkpoint(ctx)
	if err != nil {
		return nil, translate(err)
	}
	return &auditv1.GetCheckpointResponse{Checkpoint: signed, VerifierKey: h.store.VerifierKey()}, nil
}

// GetInclusionProof implements ashlar.audit.v1.AuditService.
func (h *Events) GetInclusionProof(ctx context.Context, req *auditv1.GetInclusionProofRequest) (*auditv1.GetInclusionProofResponse, error) {
	index := req.GetLeafIndex()
	if _, byID := req.GetEvent().(*auditv1.GetInclusionProofRequest_EventId); byID {
		found, there, err := h.store.LeafIndex(ctx, req.GetEventId(), req.GetOrganizationId())
		if err != nil {
			return nil, err
		}
		if !there {
			return nil, noSuchEvent()
		}
		index = found
	}
	proofs, size, err := h.prove(ctx, req.GetOrganizationId(), []int64{index}, "leaf_index", req.GetTreeSize())
	if err != nil {
		return nil, err
	}
	return &auditv1.GetInclusionProofResponse{Proof: proofs[0], TreeSize: size}, nil
}

// BatchGetInclusionProofs implements ashlar.audit.v1.AuditService.
func (h *Events) BatchGetInclusionProofs(
	ctx context.Context, req *auditv1.BatchGetInclusionProofsRequest,
) (*auditv1.BatchGetInclusionProofsResponse, error) {
	proofs, size, err := h.prove(ctx, req.GetOrganizationId(), req.GetLeafIndexes(), "leaf_indexes", req.GetTreeSize())
	if err != nil {
		return nil, err
	}
	return &auditv1.BatchGetInclusionProofsResponse{Proofs: proofs, TreeSize: size}, nil
}

// prove returns the proofs of events, which must all be of the organization unless that is empty: whoever may read the
// events of one learns nothing of another's, not even that they are there.
func (h *Events) prove(
	ctx context.Context, organization string, indexes []int64, field string, size int64,
) ([]*auditv1.InclusionProof, int64, error) {
	size, err := h.size(ctx, "tree_size", size)
	if err != nil {
		return nil, 0, err
	}
	if slices.Max(indexes) >= size {
		return nil, 0, beyondLog(field, size)
	}
	if organization != "" {
		all, err := h.store.AllOf(ctx, organization, slices.Compact(slices.Sorted(slices.Values(indexes))))
		if err != nil {
			return nil, 0, err
		}
		if !all {
			return nil, 0, noSuchEvent()
		}
	}
	found, err := h.store.ProveInclusion(ctx, size, indexes)
	if err != nil {
		return nil, 0, translate(err)
	}
	proofs := make([]*auditv1.InclusionProof, len(indexes))
	for i, index := range indexes {
		proofs[i] = &auditv1.InclusionProof{LeafIndex: index, Hashes: hashes(found[i])}
	}
	return proofs, size, nil
}

// GetConsistencyProof implements ashlar.audit.v1.AuditService.
func (h *Events) GetConsistencyProof(ctx context.Context, req *auditv1.GetConsistencyProofRequest) (*auditv1.GetConsistencyProofResponse, error) {
	size, err := h.size(ctx, "new_size", req.GetNewSize())
	if err != nil {
		return nil, err
	}
	if req.GetOldSize() > size {
		return nil, beyondLog("old_size", size)
	}
	proof, err := h.store.ProveConsistency(ctx, size, req.GetOldSize())
	if err != nil {
		return nil, translate(err)
	}
	return &auditv1.GetConsistencyProofResponse{Hashes: hashes(proof), NewSize: size}, nil
}

// size returns the size of the log that a proof is to be about: what was asked for, or all of it.
func (h *Events) size(ctx context.Context, field string, asked int64) (int64, error) {
	_, at, err := h.store.Checkpoint(ctx)
	switch {
	case err != nil:
		return 0, translate(err)
	case asked > at.Size:
		return 0, beyondLog(field, at.Size)
	case asked > 0:
		return asked, nil
	default:
		return at.Size, nil
	}
}

func hashes[H ~[]tlog.Hash](from H) [][]byte {
	out := make([][]byte, len(from))
	for i := range from {
		out[i] = from[i][:]
	}
	return out
}
