package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/gateway"
	"ashlar.dev/kernel/authn"
)

// requests returns the lines of the access log, of which there have to be so many.
func (w *world) requests(n int) []map[string]any {
	w.t.Helper()
	var lines []map[string]any
	require.Eventually(w.t, func() bool {
		lines = nil
		for line := range strings.Lines(w.out.String()) {
			var fields map[string]any
			if !assert.NoError(w.t, json.Unmarshal([]byte(line), &fields), line) {
				return true
			}
			if fields["msg"] == "request" {
				lines = append(lines, fields)
			}
		}
		return len(lines) >= n
	}, within, 5*time.Millisecond)
	require.Len(w.t, lines, n)
	return lines
}

// logging lets a gateway log as it would by default, and so many requests.
func logging(sample float64) func(*gateway.Config) {
	return func(c *gateway.Config) {
		c.LogLevel, c.AccessLogSample = slog.LevelInfo, sample
	}
}

func TestAccessLog(t *testing.T) {
	w := newWorld(t, logging(1))
	w.add(echoOffer(t, newEcho()))
	require.Eventually(t, func() bool { return strings.Contains(w.out.String(), `"services":["acme.echo`) }, within, 5*time.Millisecond)
	header := bearer(w.token(func(c *authn.Claims) { c.OrganizationID = "org_1" }))
	header.Set("User-Agent", "acme/1.0")
	header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	status, answered := w.post(whoAmI+"?text=open+sesame", `{"text":"sesame"}`, header)
	require.Equal(t, http.StatusOK, status)
	got := w.requests(1)[0]
	for name, want := range map[string]any{
		"level": "INFO", "service": "gateway", "procedure": whoAmI, "protocol": "connect", "http": "HTTP/1.1", "code": "ok",
		"status": 200.0, "request_bytes": 17.0, "response_bytes": float64(len(answered.raw)), "client": "127.0.0.1", "principal": "usr_1",
		"session": "ses_1", "organization": "org_1", "peer": "echo", "peer_instance": "echo-1", "attempts": 1.0, "user_agent": "acme/1.0",
		"occasion": "sample",
	} {
		assert.Equal(t, want, got[name], name)
	}
	assert.Len(t, got["trace_id"], 32)
	assert.Positive(t, got["duration_ms"])

	// A stream, by the other way through the gateway.
	stream, err := w.client(true).CallServerStream(t.Context(), spec(t, count), message("text", "sesame"))
	require.NoError(t, err)
	for err == nil {
		err = stream.Receive(&structpb.Struct{})
	}
	require.ErrorIs(t, err, io.EOF)
	got = w.requests(2)[1]
	assert.Equal(t, []any{count, "connect_stream", "HTTP/2.0", "ok", "echo-1", 1.0}, []any{
		got["procedure"], got["protocol"], got["http"], got["code"], got["peer_instance"], got["attempts"],
	})
	assert.Positive(t, got["request_bytes"])
	assert.Positive(t, got["response_bytes"])

	out := w.out.String()
	assert.NotContains(t, out, "sesame", "neither queries nor bodies")
	assert.NotContains(t, out, strings.TrimPrefix(header.Get("Authorization"), "Bearer "))
	assert.NotContains(t, out, "0af7651916cd43dd8448eb211c80319c", "what strangers say of traces")
}

// Where nothing is sampled, there is a line for what went wrong, and for what the gateway refused.
func TestAccessLogOfWhatWentWrong(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) {
		logging(0)(c)
		c.AccessLogSlow = time.Minute
	})
	b := w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	before := strings.Count(w.out.String(), `"msg":"request"`)
	for range 10 {
		status, _ := w.post(look, "{}", nil)
		require.Equal(t, http.StatusOK, status)
		status, _ = w.post(look, `{"do":"fail"}`, nil)
		require.Equal(t, http.StatusBadRequest, status, "what a service says no to is an answer like any other")
	}
	_, _ = w.post(whoAmI, "{}", bearer("guess"))
	_, _ = w.post("/no/such%2fplace?secret=sesame", "{}", nil)
	b.kill()
	_, _ = w.post(look, "{}", nil)
	lines := w.requests(before + 3)[before:]
	assert.Equal(t, []any{"refused", "unauthenticated", "TOKEN_INVALID", 401.0}, pick(lines[0], "occasion", "code", "reason", "status"))
	assert.Equal(t, []any{"refused", "unknown", "/no/such%2fplace", 501.0}, pick(lines[1], "occasion", "procedure", "path", "status"))
	assert.Equal(t, []any{"failed", "unavailable", "SERVICE_UNAVAILABLE", look}, pick(lines[2], "occasion", "code", "reason", "procedure"))
	assert.NotEmpty(t, lines[2]["cause"])
	assert.NotContains(t, w.out.String(), "sesame")
}

func pick(line map[string]any, names ...string) []any {
	var out []any
	for _, name := range names {
		out = append(out, line[name])
	}
	return out
}

func TestAccessLogOfSlowRequests(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) {
		logging(0)(c)
		c.AccessLogSlow = 1
	})
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	before := strings.Count(w.out.String(), `"msg":"request"`)
	_, _ = w.post(look, "{}", nil)
	assert.Equal(t, []any{"slow", "ok"}, pick(w.requests(before + 1)[before], "occasion", "code"))
}

// Nothing that a caller sends can look like a line of its own, or make one that no reader takes.
func TestAccessLogOfHostileRequests(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			w := newWorld(t, func(c *gateway.Config) {
				logging(1)(c)
				c.LogFormat = format
			})
			sent := 0
			for _, agent := range []string{
				`x","level":"ERROR","msg":"forged`, "x level=ERROR msg=forged", "\x80\xff\xfe", "a\u2028b\u0085c", strings.Repeat("y", 20_000), "tab\there",
			} {
				for _, path := range []string{`/"},{"msg":"forged`, "/%0a%0dmsg=forged", "/" + strings.Repeat("z", 20_000), "/\xff\xfe"} {
					conn, err := net.Dial("tcp", w.gateway.Address())
					require.NoError(t, err)
					_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nUser-Agent: %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
						path, agent)
					require.NoError(t, err)
					_, err = io.Copy(io.Discard, conn)
					require.NoError(t, err)
					require.NoError(t, conn.Close())
					sent++
				}
			}
			require.Eventually(t, func() bool {
				return strings.Count(w.out.String(), "UNKNOWN_PROCEDURE") == sent
			}, within, 5*time.Millisecond)
			lines := 0
			for line := range strings.Lines(w.out.String()) {
				assert.Less(t, len(line), 2000)
				assert.True(t, utf8.ValidString(line))
				if strings.Contains(line, "UNKNOWN_PROCEDURE") {
					lines++
				}
				if format == "json" {
					var fields map[string]any
					require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
					assert.NotEqual(t, "forged", fields["msg"])
					assert.NotEqual(t, "ERROR", fields["level"])
				} else {
					assert.Regexp(t, `^time=\S+ level=(INFO|WARN) msg=`, line)
				}
			}
			assert.Equal(t, sent, lines, "one line for each")
		})
	}
}

// A flood of refusals is no flood of lines; what is left out is counted, and told by the lines that follow.
func TestAccessLogUnderAFlood(t *testing.T) {
	w := newWorld(t, logging(0))
	leftOut := func() float64 {
		return w.counted("ashlar_gateway_access_log_left_out_total", map[string]string{"occasion": "refused"})
	}
	// How many it takes depends on how fast they come.
	var flood sync.WaitGroup
	for range sideBySide {
		client := newHTTPClient(t, false)
		flood.Go(func() {
			for began := time.Now(); leftOut() < 500 && time.Since(began) < 3*within; {
				// Where the machine stands still for longer than a refusal may take to be written, there is no answer.
				if response, err := client.Post(w.url("/no.such/Thing"), "application/json", strings.NewReader("{}")); err == nil {
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}
			}
		})
	}
	flood.Wait()
	assert.GreaterOrEqual(t, leftOut(), 500.0)
	var refused, lines float64
	require.Eventually(t, func() bool {
		refused = w.counted("ashlar_gateway_requests_total", map[string]string{"procedure": "unknown"})
		lines = float64(strings.Count(w.out.String(), `"occasion":"refused"`))
		return lines+leftOut() == refused
	}, within, 5*time.Millisecond)
	assert.Less(t, lines, refused)
	assert.Zero(t, w.counted("ashlar_gateway_access_log_left_out_total", map[string]string{"occasion": "failed"}))
	require.Eventually(t, func() bool { // told once there is room again
		_, _ = w.post("/no.such/Thing", "{}", nil)
		return strings.Contains(w.out.String(), `"left_out":`)
	}, within, 50*time.Millisecond)
}

// counted is the value of a counter or gauge of the gateway with these labels; 0 where there is none.
func (w *world) counted(name string, labels map[string]string) float64 {
	w.t.Helper()
	families, err := w.telem.Metrics.Gather()
	require.NoError(w.t, err)
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			matches := 0
			for _, label := range metric.GetLabel() {
				if want, asked := labels[label.GetName()]; asked && want == label.GetValue() {
					matches++
				}
			}
			if matches == len(labels) {
				sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	return sum
}
