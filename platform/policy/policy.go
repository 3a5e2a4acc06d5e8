// Package policy asks authz what people may do, and tells it which permissions and roles a module brings.
package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/cenkalti/backoff/v5"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/platform/core"
)

// Service is the name of the service that decides.
const Service = core.Authz

// decideTimeout bounds one decision; a call that cannot be decided in that time is refused.
const decideTimeout = 2 * time.Second

// Client asks authz. It is an access.Decider, and safe for concurrent use.
type Client struct {
	policy authzv1connect.PolicyServiceClient
}

// NewClient returns a client that finds authz by name.
func NewClient(clients *rpc.Clients) *Client {
	return &Client{policy: authzv1connect.NewPolicyServiceClient(clients.Client(Service))}
}

// Decide implements access.Decider.
func (c *Client) Decide(ctx context.Context, userID, permission, organization string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, decideTimeout)
	defer cancel()
	res, err := c.policy.Decide(ctx, &authzv1.DecideRequest{UserId: userID, Permission: permission, OrganizationId: organization})
	if err != nil {
		return false, err
	}
	return res.GetAllowed(), nil
}

// Register tells authz the permissions and roles of a module, and tries until it took them, or until ctx ends.
func (c *Client) Register(ctx context.Context, m *manifest.Manifest, log *slog.Logger) error {
	req := &authzv1.RegisterModuleRequest{Module: m.Name, Version: m.Version, Permissions: m.ProtoPermissions(), Roles: m.ProtoRoles()}
	_, err := backoff.Retry(ctx, func() (*authzv1.RegisterModuleResponse, error) {
		res, err := c.policy.RegisterModule(ctx, req)
		if err != nil && !temporary(err) {
			return nil, backoff.Permanent(err)
		}
		return res, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 50 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 2 * time.Second,
	}), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		log.DebugContext(ctx, "authz did not take the module's permissions yet", "error", err)
	}))
	if err != nil {
		return fmt.Errorf("register permissions and roles with %s: %w", Service, err)
	}
	return nil
}

func temporary(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeAborted, connect.CodeResourceExhausted:
		return true
	default:
		return errors.Is(err, context.DeadlineExceeded)
	}
}
