package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/kernel/page"
	"ashlar.dev/services/identity/ent"
)

// AddMember implements ashlar.identity.v1.OrganizationService.
func (h *Organizations) AddMember(ctx context.Context, req *identityv1.AddMemberRequest) (*identityv1.AddMemberResponse, error) {
	member, err := h.store.AddMember(ctx, req.GetOrganizationId(), req.GetUserId())
	if err != nil {
		return nil, answer(err, reasonOrganizationNotFound)
	}
	return &identityv1.AddMemberResponse{Member: memberMessage(member)}, nil
}

// RemoveMember implements ashlar.identity.v1.OrganizationService.
func (h *Organizations) RemoveMember(ctx context.Context, req *identityv1.RemoveMemberRequest) (*identityv1.RemoveMemberResponse, error) {
	// Not after the roles: what a refused call took would be gone.
	if err := h.store.CheckOpen(ctx, req.GetOrganizationId()); err != nil {
		return nil, answer(err, reasonOrganizationNotFound)
	}
	// The roles first: after a crash in between, the person can do nothing any more, and the call can be made again.
	if err := h.roles.revokeAll(ctx, req.GetUserId(), req.GetOrganizationId()); err != nil {
		return nil, err
	}
	if err := h.store.RemoveMember(ctx, req.GetOrganizationId(), req.GetUserId()); err != nil {
		return nil, answer(err, reasonOrganizationNotFound)
	}
	return &identityv1.RemoveMemberResponse{}, nil
}

// ListMembers implements ashlar.identity.v1.OrganizationService.
func (h *Organizations) ListMembers(ctx context.Context, req *identityv1.ListMembersRequest) (*identityv1.ListMembersResponse, error) {
	cursor, err := page.Open(req, "members", req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	found, err := h.store.Members(ctx, req.GetOrganizationId(), cursor.After, cursor.Limit())
	if err != nil {
		return nil, err
	}
	found, next := page.Close(cursor, found, func(m *ent.Membership) string { return m.ID })
	res := &identityv1.ListMembersResponse{NextPageToken: next}
	for _, m := range found {
		res.Members = append(res.Members, memberMessage(m))
	}
	return res, nil
}

func memberMessage(m *ent.Membership) *identityv1.Member {
	return &identityv1.Member{OrganizationId: m.OrganizationID, UserId: m.UserID, JoinedAt: timestamppb.New(m.CreatedAt)}
}
