package rpc

import (
	"context"
	"errors"
	"io"
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
	h.services[service] = connectinprocess.New(server)
}

// Remove takes a service away; calls that are under way go on.
func (h *Hub) Remove(service string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.services, service)
}

// Transport returns the transport to a service. It may be asked for before the service is there.
func (h *Hub) Transport(service string) connect.Transport { return hubTransport{h, service} }

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
	inner, info := connect.NewClientContext(bare{ctx})
	if outer != nil {
		copyHeader(info.RequestHeader(), outer.RequestHeader())
	}
	stream, err := transport.NewClientStream(inner, spec)
	if err != nil {
		return nil, asRemote(err)
	}
	return &hubStream{ClientStream: stream, outer: outer, inner: info}, nil
}

// bare is a context that can be done, and holds nothing: a handler must not see its caller's values.
type bare struct{ context.Context }

// Value implements context.Context.
func (bare) Value(any) any { return nil }

// hubStream hands response headers to the caller, and of errors only what would cross a network.
type hubStream struct {
	connect.ClientStream

	outer, inner *connect.CallInfo
}

// Send implements connect.ClientStream.
func (s *hubStream) Send(message any) error { return asRemote(s.ClientStream.Send(message)) }

// Receive implements connect.ClientStream.
func (s *hubStream) Receive(message any) error {
	err := s.ClientStream.Receive(message)
	if s.outer != nil {
		copyHeader(s.outer.ResponseHeader(), s.inner.ResponseHeader())
		copyHeader(s.outer.ResponseTrailer(), s.inner.ResponseTrailer())
	}
	return asRemote(err)
}

// asRemote keeps code, message and details of an error, and drops its cause.
func asRemote(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var e *connect.Error
	if !errors.As(err, &e) {
		return connect.NewError(connect.CodeUnknown, "").WithRemote()
	}
	out := connect.NewError(e.Code(), e.Message())
	for _, detail := range e.Details() {
		out = out.WithDetail(detail)
	}
	return out.WithRemote()
}

func copyHeader(to, from *connect.Header) {
	for key, values := range from.All() {
		to.SetValues(key, append([]string(nil), values...))
	}
}
