package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"ashlar.dev/gen/go/ashlar/kernel/v1/kernelv1connect"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/rpc"
)

// member is an instance in this process, registered as those of services are.
type member struct {
	id       string
	registry *consul.Registry
	listener *tracking
	// first is closed at the first request.
	first func()
	asked chan struct{}
}

// join starts an instance and registers it.
func join(ctx context.Context, registry *consul.Registry, m manifest, procedure, id string) (*member, error) {
	inner, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &member{id: id, registry: registry, listener: &tracking{Listener: inner, open: map[net.Conn]bool{}}, asked: make(chan struct{})}
	i.first = sync.OnceFunc(func() { close(i.asked) })
	server := connect.NewServer()
	kernelv1connect.RegisterManifestServiceHandler(server, m)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server)
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc(procedure, func(w http.ResponseWriter, r *http.Request) {
		i.first()
		echo(w, r)
	})
	go func() { _ = rpc.NewHTTPServer(slog.New(slog.DiscardHandler), mux).Serve(i.listener) }()
	err = registry.Register(ctx, discovery.Registration{
		Instance: discovery.Instance{ID: id, Service: m.name, Address: inner.Addr().String(), Version: "1.0.0"},
		CheckURL: "http://" + inner.Addr().String() + "/readyz",
	})
	if err != nil {
		i.kill()
		return nil, err
	}
	return i, nil
}

// leave takes it out of the registry, and ends it.
func (m *member) leave(ctx context.Context) error {
	err := m.registry.Deregister(ctx, m.id)
	m.kill()
	return err
}

// kill closes all its sockets, as the kernel does for a process that was killed, and tells nobody.
func (m *member) kill() { m.listener.closeAll() }

// tracking is a listener that can close its connections.
type tracking struct {
	net.Listener

	mu   sync.Mutex
	open map[net.Conn]bool
}

// Accept implements net.Listener.
func (t *tracking) Accept() (net.Conn, error) {
	c, err := t.Listener.Accept()
	if err == nil {
		t.mu.Lock()
		t.open[c] = true
		t.mu.Unlock()
	}
	return c, err
}

func (t *tracking) closeAll() {
	_ = t.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.open {
		_ = c.Close()
	}
	clear(t.open)
}
