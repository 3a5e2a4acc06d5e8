// Package rpc serves RPCs and calls those of other services, over HTTP/1.1 and h2c in the Connect, gRPC and gRPC-Web
// protocols, or within one process. Every method that is served has an access rule.
package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/validate"

	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/audit"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
)

// MaxMessageBytes bounds a message that is received: 4 MiB, what gRPC allows by default.
const MaxMessageBytes = 4 << 20

const (
	maxHeaderBytes    = 64 << 10
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 2 * time.Minute
	// stalledTimeout is how long the other end of an HTTP/2 connection may take nothing of what is sent to it.
	stalledTimeout = 30 * time.Second
	// goAwayEvery is how often connections are told that the server shuts down, until they have ended.
	goAwayEvery = 500 * time.Millisecond
)

// Guards is what a server asks before it lets a call through.
type Guards struct {
	Tokens    access.TokenVerifier
	Workloads workload.Verifier
	Decider   access.Decider
	// Denied is told of every call that was refused for want of a permission. It must not block for long.
	Denied func(context.Context, access.Denial)
	// Unrecorded is told of every change that was not put on the audit record.
	Unrecorded func(procedure string)
	// Unavailable tells which errors of handlers are about what the service stands on, such as a database that cannot
	// be reached; nil: none.
	Unavailable func(error) bool
	// OutcomeUnknown tells which errors of handlers leave open whether what was asked for is done; nil: none.
	OutcomeUnknown func(error) bool
}

// Server serves RPCs. Handlers are registered on RPC before Seal, Seal comes before Listen or Use, these before Serve.
type Server struct {
	// RPC is where handlers are registered.
	RPC *connect.Server

	rules *access.Rules
	log   *slog.Logger
	drain drain
	http  *http.Server

	mu       sync.Mutex
	listener net.Listener
}

// NewServer returns a server whose calls pass: recovery from panics, trace and metrics, error mapping, the end of streams
// when it shuts down, authentication, authorization, validation, the check that changes are recorded. foreign has the access rules of methods whose
// schemas are not ours.
func NewServer(log *slog.Logger, t *telemetry.Telemetry, guards Guards, foreign map[string]access.Rule) (*Server, error) {
	traced, err := t.Server()
	if err != nil {
		return nil, err
	}
	rules := access.NewRules(foreign)
	ending := newDrain()
	s := &Server{
		rules: rules, log: log, drain: ending,
		RPC: connect.NewServer(
			recoverPanics(log), traced, mapErrors(log, guards), ending.intercept,
			access.Authenticate(rules, guards.Tokens, guards.Workloads),
			access.Authorize(rules, guards.Decider, guards.Denied),
			validate.NewServerInterceptor(),
			audit.Require(rules, log, guards.Unrecorded),
		),
	}
	s.RPC.SetUnknownHandler(func(context.Context, connect.Spec, connect.ServerStream) error { return errUnknownProcedure() })
	return s, nil
}

// Seal ends the registration of handlers. It fails, and names them, where methods have no access rule.
func (s *Server) Seal() error { return s.rules.Seal(s.RPC) }

// Listen binds the address, which is one for Bind.
func (s *Server) Listen(ctx context.Context, address string) error {
	listener, err := Bind(ctx, address)
	if err != nil {
		return err
	}
	s.Use(listener)
	return nil
}

// Use is Listen with a listener that is there already, such as one on a Unix socket. The server closes it.
func (s *Server) Use(listener net.Listener) {
	mux := http.NewServeMux()
	connecthttp.Mount(procedures{mux}, s.RPC, connecthttp.WithReadMaxBytes(MaxMessageBytes))
	mux.Handle("/", unknownProcedure())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = NewListener(listener)
	s.http = NewHTTPServer(s.log, mux)
}

// procedures takes the routes of procedures, and leaves all others to unknownProcedure: connecthttp would take unknown
// procedures for bidirectional streams, and refuse them over HTTP/1.1 with a bare status.
type procedures struct{ mux *http.ServeMux }

// Handle implements connecthttp.ServeMux.
func (p procedures) Handle(pattern string, handler http.Handler) {
	if !strings.HasSuffix(pattern, "/") {
		p.mux.Handle(pattern, handler)
	}
}

// Address is where the server listens: host and port. It is empty before Listen.
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Serve serves until Shutdown; it returns nil then.
func (s *Server) Serve() error {
	s.mu.Lock()
	server, listener := s.http, s.listener
	s.mu.Unlock()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown takes no more calls, ends streams, and waits for the calls that are under way; when ctx ends they are cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.drain.begin()
	s.mu.Lock()
	server := s.http
	s.mu.Unlock()
	if server == nil {
		return nil
	}
	return ShutdownHTTP(ctx, server)
}

// NewHTTPServer returns an HTTP server for HTTP/1.1 and h2c with the bounds that every listener of the platform has.
func NewHTTPServer(log *slog.Logger, handler http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: handler, Protocols: &protocols, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
		HTTP2:    &http.HTTP2Config{WriteByteTimeout: stalledTimeout},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// ShutdownHTTP shuts an HTTP server down; when ctx ends, it closes the connections that are left.
func ShutdownHTTP(ctx context.Context, server *http.Server) error {
	for {
		// net/http tells the HTTP/2 connections that there are to go away, once. One that was accepted before and has its
		// preface read after that would be waited for as long as its client keeps it (golang/go#81153), so it is said again.
		round, cancel := context.WithTimeout(ctx, goAwayEvery)
		err := server.Shutdown(round)
		again := err != nil && round.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			return nil
		case !again:
			return errors.Join(err, server.Close())
		}
	}
}

// unknownProcedure answers calls of procedures that the server does not have, in the caller's protocol.
func unknownProcedure() http.Handler {
	writer := connecthttp.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !writer.IsSupported(r) {
			http.NotFound(w, r)
			return
		}
		_ = writer.Write(w, r, errUnknownProcedure())
	})
}

func errUnknownProcedure() *connect.Error {
	return rpcerror.New(connect.CodeUnimplemented, rpcerror.ReasonUnknownProcedure, "no such procedure")
}
