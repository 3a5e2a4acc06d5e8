package local

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// checkProcedure is grpc.health.v1 in the Connect protocol. The gateway answers 200 for an RPC service once it knows the way
// to it.
const checkProcedure = "/grpc.health.v1.Health/Check"

// awaitRoutes waits until the gateway knows the ways to services, which it learns a moment after they are ready: so that
// the first call finds its service. It does not wait where the gateway is down.
func (p *running) awaitRoutes(ctx context.Context, units []*unit) error {
	gateway := p.gateway()
	if gateway.state() != ready {
		return nil
	}
	process, address := gateway.process(), gateway.row().address
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for _, program := range p.programs {
		if !slices.ContainsFunc(units, func(u *unit) bool { return u.name == program.name }) {
			continue
		}
		known := func(rpc string) bool { return routed(ctx, client, address, rpc) }
		// Of an RPC service that only other services may call the gateway knows nothing.
		for len(program.rpcs) > 0 && !slices.ContainsFunc(program.rpcs, known) {
			select {
			case <-process.done:
				return fmt.Errorf("gateway ended (%s); its log is %s", process.ended(), gateway.log)
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
	}
	return nil
}

// routed reports whether the gateway knows the way to an RPC service.
func routed(ctx context.Context, client *http.Client, gateway, rpc string) bool {
	body, err := json.Marshal(map[string]string{"service": rpc})
	if err != nil {
		return false
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+gateway+checkProcedure, strings.NewReader(string(body)))
	if err != nil {
		return false
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}
