package rpc

import (
	"context"
	"sync"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
)

// Hub connects services that live in one process: calls go from one to the other without a network, and carry no more
// than a network would. It is safe for concurrent use.
type Hub struct {
	mu       sync.RWMutex
	services map[string]connect.Transport
}

// NewHub returns a hub without services.
func NewHub() *Hub { return &Hub{services: map[string]connect.Transport{}} }

// Add makes a service reachable; Remove takes it away.
func (h *Hub) Add(service string, server *connect.Server) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.services[service] = connectinprocess.New(isolated(server))
}

// Remove takes a service away; calls that are under way go on.
func (h *Hub) Remove(service string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.services, service)
}

// Transport returns the transport to a service. It may be asked for before the service is there.
func (h *Hub) Transport(service string) connect.Transport { return hubTransport{h, service} }

// isolated returns a server that hands all calls on to server, with the stream in between that a network would be.
func isolated(server *connect.Server) *connect.Server {
	front := connect.NewServer()
	front.SetUnknownHandler(func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		info, _ := connect.CallInfoForServerContext(ctx)
		return server.Call(ctx, spec.Procedure, info, isolatedStream{stream})
	})
	return front
}

type hubTransport struct {
	hub     *Hub
	service string
}

// NewClientStream implements connect.Transport.
func (t hubTransport) NewClientStream(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
	t.hub.mu.RLock()
	transport, ok := t.hub.services[t.service]
	t.hub.mu.RUnlock()
	if !ok {
		return nil, connect.NewError(connect.CodeUnavailable, "not in this process")
	}
	outer, _ := connect.CallInfoForClientContext(ctx)
	running, cancel := context.WithCancel(bare{ctx})
	inner, info := connect.NewClientContext(running)
	if outer != nil {
		copyHeader(info.RequestHeader(), outer.RequestHeader())
	}
	stream, err := transport.NewClientStream(inner, spec)
	if err != nil {
		cancel()
		return nil, asRemote(err)
	}
	return &hubStream{ClientStream: stream, ctx: ctx, cancel: cancel, streamType: spec.StreamType, outer: outer, inner: info}, nil
}

// bare is a context that can be done, and holds nothing: a handler must not see its caller's values.
type bare struct{ context.Context }

// Value implements context.Context.
func (bare) Value(any) any { return nil }

// AfterFunc lets contexts that are made from this one end with it, without a goroutine for each.
func (b bare) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(b.Context, f) }

func copyHeader(to, from *connect.Header) {
	for key, values := range from.All() {
		to.SetValues(key, append([]string(nil), values...))
	}
}
