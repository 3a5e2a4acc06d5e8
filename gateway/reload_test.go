package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/gateway"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpcerror"
)

// reloading is a world whose gateway has a configuration file.
type reloading struct {
	*world

	path string
}

// newReloading starts a gateway whose file says this, beside flags.
func newReloading(t *testing.T, content string, flags ...string) *reloading {
	t.Helper()
	r := &reloading{world: newEmptyWorld(t), path: filepath.Join(t.TempDir(), "gateway.yaml")}
	r.write(content)
	args := append([]string{"--config", r.path, "--gateway-addr=127.0.0.1:0", "--instance-id=gateway-1"}, flags...)
	again := func() (gateway.Config, error) {
		var cfg gateway.Config
		return cfg, config.Parse(&cfg, "gateway", "", args, io.Discard, func(int) {})
	}
	cfg, err := again()
	require.NoError(t, err)
	r.options = []gateway.Option{gateway.WithReload(cfg, again)}
	r.addAuth()
	r.add(echoOffer(t, newEcho()))
	r.start(func(c *gateway.Config) { *c = cfg })
	r.routable(look, true)
	return r
}

// write replaces the file as a whole.
func (r *reloading) write(content string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(r.path+".new", []byte(content), 0o600))
	require.NoError(r.t, os.Rename(r.path+".new", r.path))
}

// shows waits until the metrics have a line.
func (r *reloading) shows(line string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return strings.Contains(r.metrics(), line+"\n") }, within, 5*time.Millisecond, line)
}

// logs waits for a text in the log.
func (r *reloading) logs(text string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return strings.Contains(r.out.String(), text) }, within, 5*time.Millisecond, text)
}

func outcome(name string, n int) string {
	return fmt.Sprintf(`ashlar_gateway_config_reloads_total{outcome=%q} %d`, name, n)
}

// limited calls until the limit refuses, and tells whether it does within a few calls.
func (r *reloading) limited() bool {
	for range 20 {
		if status, _ := r.post(look, "{}", nil); status == http.StatusTooManyRequests {
			return true
		}
	}
	return false
}

// A version that is taken back, with a share of nothing, is as if it were not there, until it has a share again.
func TestVersionsArePinned(t *testing.T) {
	w := newReloading(t, "gateway-version-shares: {echo@2.0.0: 50}\n")
	canary := newEcho()
	w.release(t, "echo-2", "2.0.0", canary)
	pinned := func(want bool) {
		t.Helper()
		w.routable(added, !want)
		calls, asksWho := canary.count(), http.StatusOK
		if !want {
			asksWho = http.StatusUnauthorized // as the canary does
		}
		for range 20 {
			status, a := w.post(look, "{}", nil)
			require.Equal(t, asksWho, status, a.raw)
			status, a = w.post(change, "{}", nil)
			require.Equal(t, http.StatusOK, status, a.raw)
		}
		require.Equal(t, want, canary.count() == calls)
	}
	pinned(false)
	w.write("gateway-version-shares: {echo@2.0.0: 0}\n")
	pinned(true)
	status, a := w.post(added, "{}", nil)
	require.Equal(t, http.StatusNotImplemented, status)
	require.Equal(t, rpcerror.ReasonUnknownProcedure, a.reason())
	w.write("gateway-version-shares: {echo@2.0.0: 50}\n")
	pinned(false)
}

func TestReloadBreaksNoConnection(t *testing.T) {
	r := newReloading(t, "gateway-rate-limit: 1000000\n", "--gateway-rate-burst=1000000")
	stream, err := r.client(true, connecthttp.WithGRPC()).CallClientStream(t.Context(), spec(t, converse))
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	says := func(text string) {
		require.NoError(t, stream.Send(message("text", text)))
		var m structpb.Struct
		require.NoError(t, stream.Receive(&m))
		assert.Equal(t, text, m.AsMap()["text"])
	}
	client := newHTTPClient(t, false)
	var reused bool
	call := func() int {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url(look), strings.NewReader("{}"))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		return response.StatusCode
	}
	says("before")
	require.Equal(t, http.StatusOK, call())

	r.write("gateway-rate-limit: 0.001\ngateway-rate-burst: 3\n")
	r.shows(outcome("applied", 1))
	assert.False(t, r.limited(), "the flag about bursts wins over the file")
	require.Equal(t, http.StatusOK, call())

	r.write("gateway-max-streams: 1\ngateway-cors-origins: [https://app.example.com]\n")
	r.shows(outcome("applied", 2))
	_, a := r.post(look, "{}", http.Header{"Origin": {"https://app.example.com"}})
	assert.Equal(t, "https://app.example.com", a.header.Get("Access-Control-Allow-Origin"))
	second, err := r.client(true).CallClientStream(t.Context(), spec(t, converse))
	require.NoError(t, err)
	defer func() { _ = second.Close() }()
	_ = second.Send(message("text", "x"))
	require.ErrorContains(t, second.Receive(&structpb.Struct{}), "too many streams")

	require.Equal(t, http.StatusOK, call())
	assert.True(t, reused, "the connection is the one from before")
	says("after")
	r.logs(`"changed":["gateway-rate-limit"]`)
}

func TestReloadOfTheRateLimitAndTheLogLevel(t *testing.T) {
	r := newReloading(t, "gateway-rate-limit: 0\nlog-level: DEBUG\n")
	assert.False(t, r.limited())
	r.logs(`"level":"DEBUG"`)
	r.write("gateway-rate-limit: 0.001\ngateway-rate-burst: 3\nlog-level: WARN\n")
	r.shows(outcome("applied", 1))
	assert.True(t, r.limited())
	before := strings.Count(r.out.String(), `"level":"DEBUG"`)
	r.post(look, "{}", nil)
	assert.Equal(t, before, strings.Count(r.out.String(), `"level":"DEBUG"`))
}

// The bound on all requests is another one from then on, for what is under way, too.
func TestReloadOfTheRequestsInFlight(t *testing.T) {
	r := newReloading(t, "gateway-max-in-flight: 1\n")
	stream, err := r.client(true, connecthttp.WithGRPC()).CallClientStream(t.Context(), spec(t, converse))
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	require.NoError(t, stream.Send(message("text", "hello")))
	require.NoError(t, stream.Receive(&structpb.Struct{}))
	status, _ := r.post(look, "{}", nil)
	require.Equal(t, http.StatusServiceUnavailable, status)
	for i, most := range []int{2, 1, 0} {
		r.write(fmt.Sprintf("gateway-max-in-flight: %d\n", most))
		r.shows(outcome("applied", i+1))
		status, _ := r.post(look, "{}", nil)
		require.Equal(t, most == 1, status == http.StatusServiceUnavailable, "%d: %d", most, status)
	}
}

// A configuration that is refused changes nothing, and says what is wrong.
func TestReloadIsRefusedAsAWhole(t *testing.T) {
	const good = "gateway-max-timeout: 30s\n"
	r := newReloading(t, good)
	// Each would let scripts of this origin call.
	const more = "gateway-cors-origins: [https://app.example.com]\n"
	refused := 0
	for says, content := range map[string]string{
		`unknown key \"gateway-max-timeuot\"`:                           more + "gateway-max-timeuot: 1s\n",
		"gateway-max-timeout -1s is negative":                           more + "gateway-max-timeout: -1s\n",
		"gateway-max-streams -3 is negative":                            more + "gateway-max-streams: -3\n",
		"want scheme":                                                   "gateway-cors-origins: [https://app.example.com, 'no origin']\n",
		"restart to change ops-addr, consul-addr":                       more + "consul-addr: 127.0.0.1:1\nops-addr: 127.0.0.1:2\n",
		"gateway.yaml is empty":                                         "",
		"--gateway-max-timeout: expected duration but got \\\"soon\\\"": more + "gateway-max-timeout: soon\n",
		"[1:": "gateway-cors-origins: [https://app.example.com\n",
	} {
		refused++
		r.write(content)
		r.logs(says)
		r.shows(outcome("refused", refused))
		r.shows("ashlar_gateway_config_last_reload_successful 0")
		_, a := r.post(look, "{}", http.Header{"Origin": {"https://app.example.com"}})
		assert.Empty(t, a.header.Get("Access-Control-Allow-Origin"), says)
	}
	require.NoError(t, os.Remove(r.path))
	r.shows(outcome("refused", refused+1))
	r.write(good)
	r.shows("ashlar_gateway_config_last_reload_successful 1")
	r.write(more)
	r.shows(outcome("applied", 1))
	_, a := r.post(look, "{}", http.Header{"Origin": {"https://app.example.com"}})
	assert.Equal(t, "https://app.example.com", a.header.Get("Access-Control-Allow-Origin"), "and it goes on from there")
}

func TestTheLastOfManyChangesHolds(t *testing.T) {
	r := newReloading(t, "gateway-max-streams: 1\n")
	for n := range 10 {
		r.write(fmt.Sprintf("gateway-cors-origins: [https://%d.example.com]\n", n))
	}
	require.Eventually(t, func() bool {
		_, a := r.post(look, "{}", http.Header{"Origin": {"https://9.example.com"}})
		return a.header.Get("Access-Control-Allow-Origin") != ""
	}, within, 5*time.Millisecond)
	r.shows(outcome("refused", 0))
}

// A signal asks for it where the file system does not tell.
func TestReloadOnSignal(t *testing.T) {
	r := newReloading(t, "gateway-max-streams: 1\n")
	r.shows(outcome("unchanged", 1))
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	r.shows(outcome("unchanged", 2))
}

// Without a file there is nothing to read anew, and the signal must not end the process.
func TestSignalWithoutAFile(t *testing.T) {
	w := newEmptyWorld(t)
	w.addAuth()
	w.options = []gateway.Option{gateway.WithReload(gateway.Config{}, func() (gateway.Config, error) { return gateway.Config{}, nil })}
	w.start(nil)
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	r := &reloading{world: w}
	r.shows(outcome("unchanged", 1))
	require.NoError(t, w.group.Stop(context.Background()))
}
