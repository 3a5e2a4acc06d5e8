package api

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/id"
	"ashlar.dev/kernel/page"
	"ashlar.dev/services/identity/ent"
	"ashlar.dev/services/identity/internal/store"
)

// Organizations implements ashlar.identity.v1.OrganizationService.
type Organizations struct {
	store *store.Store
	roles *Roles
}

// NewOrganizations returns the handler over a store; roles are given and taken through authz.
func NewOrganizations(s *store.Store, roles *Roles) *Organizations { return &Organizations{s, roles} }

// CreateOrganization implements ashlar.identity.v1.OrganizationService.
func (h *Organizations) CreateOrganization(
	ctx context.Context, req *identityv1.CreateOrganizationRequest,
) (*identityv1.CreateOrganizationResponse, error) {
	caller := authn.FromContext(ctx).UserID
	key := requestKey(caller, req.GetRequestId())
	if key != "" {
		existing, err := h.store.OrganizationByRequest(ctx, key)
		if err == nil {
			return &identityv1.CreateOrganizationResponse{Organization: organizationMessage(existing)}, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	organizationID := id.New(id.Organization)
	// The role first: after a crash in between, a role in an organization that never comes to be harms nobody, while an
	// organization without an owner could not be helped by its creator.
	if err := h.roles.makeOwner(ctx, caller, organizationID); err != nil {
		return nil, err
	}
	created, err := h.store.CreateOrganization(ctx, store.NewOrganization{
		ID: organizationID, DisplayName: req.GetDisplayName(), OwnerID: caller, RequestKey: key,
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.CreateOrganizationResponse{Organization: organizationMessage(created)}, nil
}

// GetOrganization implements ashlar.identity.v1.OrganizationService.
func (h *Organizations) GetOrganization(
	ctx context.Context, req *identityv1.GetOrganizationRequest,
) (*identityv1.GetOrganizationResponse, error) {
	found, err := h.store.Organization(ctx, req.GetOrganizationId())
	if err != nil {
		return nil, answer(err, reasonOrganizationNotFound)
	}
	return &identityv1.GetOrganizationResponse{Organization: organizationMessage(found)}, nil
}

// ListOrganizations implements ashlar.identity.v1.OrganizationService.
func (h *Organizations) ListOrganizations(
	ctx context.Context, req *identityv1.ListOrganizationsRequest,
) (*identityv1.ListOrganizationsResponse, error) {
	caller := authn.FromContext(ctx).UserID
	cursor, err := page.Open(req, "organizations", caller)
	if err != nil {
		return nil, err
	}
	found, err := h.store.OrganizationsOf(ctx, caller, cursor.After, cursor.Limit())
	if err != nil {
		return nil, err
	}
	found, next := page.Close(cursor, found, func(o store.Joined) string { return o.MembershipID })
	res := &identityv1.ListOrganizationsResponse{NextPageToken: next}
	for _, o := range found {
		res.Organizations = append(res.Organizations, organizationMessage(o.Organization))
	}
	return res, nil
}

// UpdateOrganization implements ashlar.identity.v1.OrganizationService.
func (h *Organizations) UpdateOrganization(
	ctx context.Context, req *identityv1.UpdateOrganizationRequest,
) (*identityv1.UpdateOrganizationResponse, error) {
	name := req.GetOrganization().GetDisplayName()
	if err := onlyDisplayName(req.GetUpdateMask(), "organization", name); err != nil {
		return nil, err
	}
	changed, err := h.store.RenameOrganization(ctx, req.GetOrganization().GetId(), req.GetOrganization().GetVersion(), name)
	if err != nil {
		return nil, answer(err, reasonOrganizationNotFound)
	}
	return &identityv1.UpdateOrganizationResponse{Organization: organizationMessage(changed)}, nil
}

// DeactivateOrganization implements ashlar.identity.v1.OrganizationService.
func (h *Organizations) DeactivateOrganization(
	ctx context.Context, req *identityv1.DeactivateOrganizationRequest,
) (*identityv1.DeactivateOrganizationResponse, error) {
	changed, err := h.store.SetOrganizationDeactivated(ctx, req.GetOrganizationId(), true)
	if err != nil {
		return nil, answer(err, reasonOrganizationNotFound)
	}
	return &identityv1.DeactivateOrganizationResponse{Organization: organizationMessage(changed)}, nil
}

// ReactivateOrganization implements ashlar.identity.v1.OrganizationService.
func (h *Organizations) ReactivateOrganization(
	ctx context.Context, req *identityv1.ReactivateOrganizationRequest,
) (*identityv1.ReactivateOrganizationResponse, error) {
	changed, err := h.store.SetOrganizationDeactivated(ctx, req.GetOrganizationId(), false)
	if err != nil {
		return nil, answer(err, reasonOrganizationNotFound)
	}
	return &identityv1.ReactivateOrganizationResponse{Organization: organizationMessage(changed)}, nil
}

func organizationMessage(o *ent.Organization) *identityv1.Organization {
	state := identityv1.OrganizationState_ORGANIZATION_STATE_ACTIVE
	if o.Deactivated {
		state = identityv1.OrganizationState_ORGANIZATION_STATE_DEACTIVATED
	}
	return &identityv1.Organization{
		Id: o.ID, DisplayName: o.DisplayName, State: state, Version: o.Version,
		CreatedAt: timestamppb.New(o.CreatedAt), UpdatedAt: timestamppb.New(o.UpdatedAt),
	}
}
