package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/hashicorp/consul/api"
)

// Ping asks once whether the agent is there and has a leader. The error says what is wrong, where, and how to mend it.
func (r *Registry) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	leader, err := r.client.Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return r.explain(err)
	}
	if leader == "" {
		return r.explain(errNoLeader)
	}
	return nil
}

// explain turns an error of the client into one that a person can act on. The token is in no error of the client.
func (r *Registry) explain(err error) error {
	if errors.Is(err, errNoLeader) {
		return fmt.Errorf("the Consul agent at %s knows no leader: wait until its servers have elected one, or see `consul operator raft list-peers`", r.address)
	}
	if status, ok := errors.AsType[api.StatusError](err); ok {
		switch {
		case status.Code == http.StatusForbidden || status.Code == http.StatusUnauthorized:
			return fmt.Errorf("the Consul agent at %s refused the token: %w; set CONSUL_HTTP_TOKEN to one that has service:write, service:read and node:read", r.address, err)
		case status.Code >= 500:
			return fmt.Errorf("the Consul agent at %s cannot answer: %w; see its log, and whether its servers have a leader", r.address, err)
		case status.Code == http.StatusNotFound:
			return fmt.Errorf("what answers at %s is no Consul agent: %w; set ASHLAR_CONSUL_ADDR", r.address, err)
		default:
			return fmt.Errorf("the Consul agent at %s refused the request: %w", r.address, err)
		}
	}
	if failed, ok := errors.AsType[*url.Error](err); ok { // nothing usable came back
		return fmt.Errorf("no Consul agent at %s: %w; start one with `consul agent -dev` or set ASHLAR_CONSUL_ADDR", r.address, failed.Err)
	}
	return fmt.Errorf("what answers at %s is no Consul agent: %w; set ASHLAR_CONSUL_ADDR", r.address, err)
}
