package service_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/platform/service"
)

func newOps(t *testing.T, cfg service.Config) (*service.Ops, *logs) {
	t.Helper()
	out := &logs{}
	tel, err := telemetry.New(t.Context(), telemetry.Config{}, telemetry.Process{}, out)
	require.NoError(t, err)
	ops := service.NewOps(cfg, tel.Log, health.NewStatus(), tel)
	ops.HandleDebug("GET /people", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ada") }))
	ops.Handle("GET /routes", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	return ops, out
}

// Who may see what, by where a request comes from and by what name it asks for.
func TestOpsDebug(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		debug, remote, host string
		want                int
	}{
		{"", "127.0.0.1:1", "127.0.0.1:9", http.StatusOK},
		{"local", "127.0.0.1:1", "localhost:9", http.StatusOK},
		{"local", "[::1]:1", "[::1]:9", http.StatusOK},
		{"local", "[::ffff:127.0.0.1]:1", "127.0.0.1", http.StatusOK},
		{"local", "192.0.2.1:1", "127.0.0.1:9", http.StatusForbidden},
		{"local", "127.0.0.1:1", "evil.example.com:9", http.StatusForbidden},
		{"local", "127.0.0.1:1", "localhost.evil.example.com", http.StatusForbidden},
		{"local", "127.0.0.1:1", "", http.StatusForbidden},
		{"local", "", "localhost", http.StatusForbidden},
		{"what is this", "192.0.2.1:1", "192.0.2.2:9", http.StatusForbidden},
		{"all", "192.0.2.1:1", "ops.example.com", http.StatusOK},
		{"none", "127.0.0.1:1", "127.0.0.1:9", http.StatusForbidden},
	} {
		ops, _ := newOps(t, service.Config{OpsDebug: c.debug})
		for path, want := range map[string]int{"/people": c.want, "/debug/pprof/": c.want, "/debug/pprof/heap": c.want, "/debug/pprof/cmdline": c.want, "/routes": http.StatusOK, "/metrics": http.StatusOK} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.RemoteAddr, r.Host = c.remote, c.host
			w := httptest.NewRecorder()
			ops.ServeHTTP(w, r)
			require.Equal(t, want, w.Code, "%+v %s", c, path)
			if w.Code != http.StatusOK {
				require.NotContains(t, w.Body.String(), "ada")
			}
		}
	}
}

// A profile that is being taken does not keep the process from stopping.
func TestOpsStopsWhileAProfileIsTaken(t *testing.T) {
	t.Parallel()
	ops, out := newOps(t, service.Config{OpsAddr: "127.0.0.1:0", OpsDebug: "all"})
	require.NoError(t, ops.Start(t.Context()))
	done := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+ops.Address()+"/debug/pprof/trace?seconds=3600", nil)
		if err == nil {
			var response *http.Response
			response, err = (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
			close(begun)
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		}
		done <- err
	}()
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, ops.Stop(ctx))
	require.NoError(t, <-done)
	require.NotContains(t, out.String(), "whoever reaches", "it is of the loopback interface")
}
