// Package authn knows who calls: principals, and the access tokens by which people prove who they are.
package authn

import (
	"context"
	"time"
)

// Kind is what sort of caller a principal is.
type Kind int

// The kinds of callers.
const (
	Anonymous Kind = iota
	User
	Service
)

// Principal is the caller of an RPC. The zero value is the anonymous caller.
type Principal struct {
	Kind Kind
	// UserID, SessionID and OrganizationID are a user's; OrganizationID may be empty.
	UserID, SessionID, OrganizationID string
	// ExpiresAt is when a user's access token expires.
	ExpiresAt time.Time
	// ServiceName is a service's.
	ServiceName string
	// OnBehalfOf is the user whose call made a service call; nil where it acts by itself.
	OnBehalfOf *Principal
}

// Actor is who is answerable for the call: the user behind a service, where there is one.
func (p Principal) Actor() Principal {
	if p.OnBehalfOf != nil {
		return *p.OnBehalfOf
	}
	return p
}

type contextKey struct{}

// NewContext returns a context that carries the principal.
func NewContext(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// FromContext returns the principal that the context carries; without one, the anonymous principal.
func FromContext(ctx context.Context) Principal {
	p, _ := ctx.Value(contextKey{}).(Principal)
	return p
}
