package health_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/stretchr/testify/require"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestReady(t *testing.T) {
	t.Parallel()
	s := health.NewStatus()
	mux := http.NewServeMux()
	s.Mount(mux)
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	for _, step := range []struct {
		does func()
		code int
		says string
	}{
		{func() {}, 503, "starting or stopping"},
		{func() { s.Wait("dependencies", "waiting for authz") }, 503, "dependencies: waiting for authz; starting or stopping"},
		{func() { s.Wait("database", "opening") }, 503, "database: opening; dependencies: waiting for authz; starting or stopping"},
		{func() { s.Wait("database", "") }, 503, "dependencies: waiting for authz; starting or stopping"},
		{func() { s.SetReady(true) }, 503, "dependencies: waiting for authz"},
		{func() { s.Wait("dependencies", "") }, 200, "ready"},
		{func() { s.Wait("database", "") }, 200, "ready"}, // a note that is not there is taken away
		{func() { s.SetReady(false) }, 503, "starting or stopping"},
		{func() { s.SetReady(true) }, 200, "ready"},
		{func() { s.Stop() }, 503, "starting or stopping"},
	} {
		step.does()
		code, body := get("/readyz")
		require.Equal(t, step.code, code)
		require.Equal(t, step.says, body)
		ready, why, _ := s.Ready()
		require.Equal(t, code == 200, ready)
		if !ready {
			require.Equal(t, step.says, why)
		}
		code, body = get("/healthz")
		require.Equal(t, 200, code, "it is alive all the while")
		require.Equal(t, "ok", body)
	}
}

// Who asks may leave components out of account, but not that the process starts or stops.
func TestReadyWithout(t *testing.T) {
	t.Parallel()
	s := health.NewStatus()
	mux := http.NewServeMux()
	s.Mount(mux)
	s.Wait("database", "away")
	s.Wait("permissions", "registering")
	says := func(query string) string {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz"+query, nil))
		return strings.TrimSpace(w.Body.String())
	}
	require.Equal(t, "permissions: registering; starting or stopping", says("?exclude=database"))
	s.SetReady(true)
	require.Equal(t, "permissions: registering", says("?exclude=database&exclude=other"))
	require.Equal(t, "ready", says("?exclude=database&exclude=permissions"))
	require.Equal(t, "database: away; permissions: registering", says(""))
	s.Stop()
	require.Equal(t, "starting or stopping", says("?exclude=database&exclude=permissions"))
}

func TestWhoeverWaitsIsWoken(t *testing.T) {
	t.Parallel()
	s := health.NewStatus()
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			for {
				ready, _, changed := s.Ready()
				if ready {
					return
				}
				<-changed
			}
		})
	}
	for range 100 {
		s.Wait("x", "y")
		s.Wait("x", "")
	}
	s.SetReady(true)
	wait.Wait()
}

func serve(s *health.Status) *connect.Client {
	server := connect.NewServer()
	s.Register(server, func(service string) bool { return service == "acme.notes.v1.NoteService" })
	return connect.NewClient(connectinprocess.New(server))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := health.NewStatus()
	client := serve(s)
	check := func(service string) (healthv1.HealthCheckResponse_ServingStatus, error) {
		var res healthv1.HealthCheckResponse
		err := client.CallUnary(t.Context(), health.CheckSpec(), &healthv1.HealthCheckRequest{Service: service}, &res)
		return res.GetStatus(), err
	}
	for _, service := range []string{"", "acme.notes.v1.NoteService"} {
		for _, ready := range []bool{false, true} {
			s.SetReady(ready)
			got, err := check(service)
			require.NoError(t, err)
			require.Equal(t, ready, got == healthv1.HealthCheckResponse_SERVING, "%q", service)
		}
	}
	_, err := check("acme.unheard.v1.Of")
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
}

func TestWatch(t *testing.T) {
	t.Parallel()
	s := health.NewStatus()
	client := serve(s)
	watch := func(ctx context.Context, service string) connect.ClientStream {
		stream, err := client.CallServerStream(ctx, health.WatchSpec(), &healthv1.HealthCheckRequest{Service: service})
		require.NoError(t, err)
		return stream
	}
	next := func(stream connect.ClientStream) healthv1.HealthCheckResponse_ServingStatus {
		var res healthv1.HealthCheckResponse
		require.NoError(t, stream.Receive(&res))
		return res.GetStatus()
	}
	unheard := watch(t.Context(), "acme.unheard.v1.Of")
	require.Equal(t, healthv1.HealthCheckResponse_SERVICE_UNKNOWN, next(unheard))
	stream := watch(t.Context(), "")
	require.Equal(t, healthv1.HealthCheckResponse_NOT_SERVING, next(stream))
	s.Wait("x", "y") // no change of what it says: nothing is sent
	s.Wait("x", "")
	s.SetReady(true)
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, next(stream))
	s.Stop()
	require.Equal(t, healthv1.HealthCheckResponse_NOT_SERVING, next(stream))
	err := stream.Receive(&healthv1.HealthCheckResponse{})
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err), "a stream does not hold up the stop")
	err = unheard.Receive(&healthv1.HealthCheckResponse{})
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err), "nor does one that waits for a service that never comes")

	client = serve(health.NewStatus())
	ctx, cancel := context.WithCancel(t.Context())
	unknown := watch(ctx, "acme.unheard.v1.Of")
	require.Equal(t, healthv1.HealthCheckResponse_SERVICE_UNKNOWN, next(unknown))
	cancel()
	err = unknown.Receive(&healthv1.HealthCheckResponse{})
	require.Error(t, err)
	require.False(t, errors.Is(err, io.EOF))
}

func TestAnybodyMayAsk(t *testing.T) {
	t.Parallel()
	server := connect.NewServer()
	health.NewStatus().Register(server, nil)
	for spec := range server.Specs() {
		require.Equal(t, access.Public, health.Rules()[spec.Procedure].Kind, spec.Procedure)
	}
	require.NoError(t, access.NewRules(health.Rules()).Seal(server))
}
