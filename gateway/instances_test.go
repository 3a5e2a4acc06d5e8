package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway"
	"ashlar.dev/kernel/discovery"
)

// callers call a procedure side by side until they are stopped, and count.
type callers struct {
	t              *testing.T
	served, failed atomic.Int64
	longest        atomic.Int64             // of the calls, in nanoseconds
	each           [sideBySide]atomic.Int64 // calls that have ended
	stop           func()
}

const sideBySide = 8

// withoutShedding is for tests that count what fails, on machines that may have too much to do.
func withoutShedding(c *gateway.Config) { c.NoShedding = true }

func (w *world) call(t *testing.T, procedure string) *callers { return w.callBy(t, procedure, once) }

// callBy is call where calls are made by other means than Connect over HTTP/1.1.
func (w *world) callBy(t *testing.T, procedure string, once onceFunc) *callers {
	ctx, cancel := context.WithCancel(t.Context())
	c := &callers{t: t}
	var all sync.WaitGroup
	for i := range sideBySide {
		h1, h2 := newHTTPClient(t, false), newHTTPClient(t, true)
		all.Go(func() {
			for ctx.Err() == nil {
				began, nobody := time.Now(), w.nobody != nil && w.nobody()
				if status, err := once(ctx, h1, h2, w.url(procedure)); ctx.Err() == nil && (err != nil || status != http.StatusOK) {
					if nobody || w.nobody != nil && w.nobody() {
						continue
					}
					c.failed.Add(1)
					t.Logf("status %d, %v, after %s", status, err, time.Since(began))
				} else {
					c.served.Add(1)
				}
				c.each[i].Add(1)
				if took := int64(time.Since(began)); took > c.longest.Load() {
					c.longest.Store(took) // one that is lost to another as long does not matter
				}
			}
		})
	}
	c.stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(c.stop)
	c.more(50)
	return c
}

// slowest is how long a call took at most.
func (c *callers) slowest() time.Duration { return time.Duration(c.longest.Load()) }

// more waits until so many more calls have been served.
func (c *callers) more(n int64) {
	c.t.Helper()
	want := c.served.Load() + n
	require.Eventually(c.t, func() bool { return c.served.Load() >= want }, 3*within, time.Millisecond, "calls go on")
}

// save waits until enough calls have been served that all that are under way can be made again, more than once: ten pay for one
// (kernel/balance), and where calls are slow there is little to pay with.
func (c *callers) save() {
	c.t.Helper()
	c.more(4 * 10 * sideBySide)
}

// drained waits until all calls have ended that are under way, and as many again.
func (c *callers) drained() {
	c.t.Helper()
	for i := range c.each {
		want := c.each[i].Load() + 2
		require.Eventually(c.t, func() bool { return c.each[i].Load() >= want }, 3*within, time.Millisecond)
	}
}

// onceFunc makes one call, over HTTP/1.1 or h2c as it likes.
type onceFunc func(ctx context.Context, h1, h2 *http.Client, url string) (status int, err error)

// onceGRPC is once in gRPC.
func onceGRPC(ctx context.Context, _, h2 *http.Client, url string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("\x00\x00\x00\x00\x0c"+`{"text":"x"}`))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/grpc+json")
	request.Header.Set("Te", "trailers")
	response, err := h2.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0, err
	}
	if status := response.Header.Get("Grpc-Status") + response.Trailer.Get("Grpc-Status"); status != "0" {
		return response.StatusCode, fmt.Errorf("grpc-status %s: %s%s", status, response.Header.Get("Grpc-Message"), response.Trailer.Get("Grpc-Message"))
	}
	return response.StatusCode, nil
}

func once(ctx context.Context, client, _ *http.Client, url string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"text":"x"}`))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

func (w *world) echoes(t *testing.T, from, to int) []*backend {
	var out []*backend
	for i := from; i < to; i++ {
		o := echoOffer(t, newEcho())
		o.id = fmt.Sprintf("echo-%d", i)
		out = append(out, w.add(o))
	}
	w.routable(look, true)
	return out
}

// Every instance is replaced while calls with effects go on, and none fails.
func TestRollingRestartUnderLoad(t *testing.T) {
	w := newWorld(t, withoutShedding)
	old := w.echoes(t, 0, 3)
	load := w.call(t, change)
	for i, b := range old {
		w.echoes(t, 10+i, 11+i)
		load.more(50)
		b.leave()
		load.drained()
		require.NoError(t, b.http.Shutdown(t.Context()))
		load.more(50)
	}
	load.stop()
	assert.Zero(t, load.failed.Load(), "of %d", load.served.Load())
}

// An instance dies while calls without effects go on: those that it had are made again at another one.
func TestInstanceDiesUnderCallsWithoutEffects(t *testing.T) {
	w := newWorld(t, withoutShedding)
	all := w.echoes(t, 0, 3)
	load := w.call(t, look)
	all[0].kill()
	load.more(300)
	load.stop()
	assert.Zero(t, load.failed.Load(), "of %d", load.served.Load())
}

// An instance dies while calls with effects go on: those that it had fail, once each, and no other.
func TestInstanceDiesUnderCallsWithEffects(t *testing.T) {
	w := newWorld(t, withoutShedding)
	all := w.echoes(t, 0, 3)
	load := w.call(t, change)
	all[0].kill()
	load.more(300)
	load.stop()
	assert.LessOrEqual(t, load.failed.Load(), int64(sideBySide), "of %d", load.served.Load())
}

// An instance that answers nonsense is soon out of use, and calls without effects get their answer elsewhere.
func TestInstanceThatAnswersGarbage(t *testing.T) {
	w := newWorld(t, withoutShedding)
	w.echoes(t, 0, 2)
	var asked atomic.Int64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(within))
				buffer := make([]byte, 4096)
				if n, _ := c.Read(buffer); strings.HasPrefix(string(buffer[:n]), "POST "+look) {
					asked.Add(1)
				}
				_, _ = io.WriteString(c, "nonsense\r\n\r\n")
			})
		}
	})
	load := w.call(t, look)
	require.NoError(t, w.registry.Register(t.Context(), discovery.Registration{Instance: discovery.Instance{
		ID: "echo-9", Service: "echo", Address: listener.Addr().String(), Version: "1.0.0",
	}}))
	require.Eventually(t, func() bool { return asked.Load() > 0 }, 3*within, time.Millisecond)
	load.more(500)
	load.stop()
	assert.Zero(t, load.failed.Load(), "of %d", load.served.Load())
	assert.Less(t, asked.Load()*10, load.served.Load())
}
