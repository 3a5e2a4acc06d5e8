package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/kernel/discovery"
)

// enlist registers what is no instance of ours as one of the test service.
func (w *world) enlist(id, address string) {
	w.t.Helper()
	require.NoError(w.t, w.registry.Register(w.t.Context(), discovery.Registration{Instance: discovery.Instance{
		ID: id, Service: "echo", Address: address, Version: "1.0.0",
	}}))
}

// silent is an instance that takes everything and answers nothing, as a process that is paused, or one whose machine is
// gone without a word. It returns its address, and how many requests have come.
func silent(t *testing.T) (address string, asked *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	asked = &atomic.Int64{}
	ctx, end := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); end(); serving.Wait() })
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			context.AfterFunc(ctx, func() { _ = c.Close() }) // the gateway may keep it for as long as it keeps what is idle
			serving.Go(func() {
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			})
		}
	})
	return listener.Addr().String(), asked
}

// An instance takes calls and never answers. Calls without effects are asked elsewhere, so that none fails; it is soon out of
// use, so that few have to wait.
func TestInstanceThatNeverAnswers(t *testing.T) {
	for name, once := range map[string]onceFunc{"connect": once, "grpc": onceGRPC} {
		t.Run(name, func(t *testing.T) { testInstanceThatNeverAnswers(t, once) })
	}
}

func testInstanceThatNeverAnswers(t *testing.T, once onceFunc) {
	w := newWorld(t, withoutShedding)
	w.echoes(t, 0, 2)
	load := w.callBy(t, look, once)
	load.save()
	address, asked := silent(t)
	w.enlist("echo-9", address)
	require.Eventually(t, func() bool { return asked.Load() > 0 }, 3*within, time.Millisecond)
	// It is asked again from time to time: where that comes from too few calls, it tells nothing.
	for began := time.Now(); time.Since(began) < faultTime(t) || load.served.Load() < 1000; {
		load.more(50)
	}
	load.drained()
	load.stop()
	assert.Zero(t, load.failed.Load(), "of %d", load.served.Load()) // none has had to wait for its deadline
	assert.Less(t, asked.Load()*20, load.served.Load())             // in gRPC many calls share a connection, and these are counted
	t.Logf("%d calls, %d of them were sent to the silent instance; the slowest took %s", load.served.Load(), asked.Load(), load.slowest().Round(time.Millisecond))
}

// An instance that is slow and not silent is waited for, though another one has been asked meanwhile.
func TestSlowInstanceIsWaitedFor(t *testing.T) {
	w := newWorld(t, withoutShedding)
	var armed atomic.Bool
	var asked atomic.Int64
	second, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	slow := func(others http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path != look || !armed.Load():
				others.ServeHTTP(rw, r)
			case asked.Add(1) == 1:
				<-second
				rw.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(rw, `{"text":"the first"}`)
			default:
				close(second)
				select {
				case <-r.Context().Done():
				case <-release:
				}
			}
		})
	}
	for _, id := range []string{"echo-1", "echo-2"} {
		o := echoOffer(t, newEcho())
		o.id, o.policy.Timeout, o.wrap = id, durationpb.New(within), slow
		w.add(o)
	}
	w.routable(look, true)
	armed.Store(true)
	status, a := w.post(look, `{"text":"x"}`, nil)
	assert.Equal(t, http.StatusOK, status, a.raw)
	assert.Contains(t, a.raw, "the first")
	assert.EqualValues(t, 2, asked.Load())
}

// Calls with effects cannot be sent again: those that the silent instance has end at their deadline, and not later.
func TestInstanceThatNeverAnswersCallsWithEffects(t *testing.T) {
	t.Parallel() // it waits most of the time
	// Longer than the machine stands still: calls to the other instances must not end so.
	const timeout = 8 * time.Second
	w := newWorld(t, withoutShedding)
	for _, id := range []string{"echo-1", "echo-2"} {
		o := echoOffer(t, newEcho())
		o.id, o.policy.Timeout = id, durationpb.New(timeout)
		w.add(o)
	}
	w.routable(look, true)
	load := w.call(t, change)
	address, asked := silent(t)
	w.enlist("echo-9", address)
	require.Eventually(t, func() bool { return asked.Load() > 0 }, 3*within, time.Millisecond)
	require.Eventually(t, func() bool { return load.failed.Load() > 0 }, 3*within, time.Millisecond)
	load.drained()
	load.stop()
	assert.LessOrEqual(t, load.failed.Load(), asked.Load(), "but for what it had")
	// All that were under way, and those that find out whether it is back.
	assert.LessOrEqual(t, load.failed.Load(), int64(2*sideBySide), "of %d", load.served.Load())
	assert.Less(t, load.slowest(), timeout+within)
	t.Logf("%d calls, %d failed; the slowest took %s", load.served.Load()+load.failed.Load(), load.failed.Load(), load.slowest().Round(time.Millisecond))
}

// In gRPC they end sooner: the connection is found dead, and with it all that was sent on it, and the instance is passed over.
func TestInstanceThatNeverAnswersGRPCCallsWithEffects(t *testing.T) {
	w := newWorld(t, withoutShedding)
	for _, id := range []string{"echo-1", "echo-2"} {
		o := echoOffer(t, newEcho())
		o.id, o.policy.Timeout = id, durationpb.New(time.Minute)
		w.add(o)
	}
	w.routable(look, true)
	load := w.callBy(t, change, onceGRPC)
	address, asked := silent(t)
	w.enlist("echo-9", address)
	require.Eventually(t, func() bool { return asked.Load() > 0 }, 3*within, time.Millisecond)
	require.Eventually(t, func() bool { return load.failed.Load() > 0 }, 3*within, time.Millisecond)
	load.drained()
	load.stop()
	assert.LessOrEqual(t, load.failed.Load(), int64(2*sideBySide), "of %d", load.served.Load())
	assert.Less(t, load.slowest(), within, "the manifest allows a minute")
	t.Logf("%d calls, %d failed; the slowest took %s", load.served.Load()+load.failed.Load(), load.failed.Load(), load.slowest().Round(time.Millisecond))
}

// The connections of streams are reset in their middle, many at a time: each caller is told so, those at other instances
// notice nothing, and nothing stays behind.
func TestManyStreamsAreReset(t *testing.T) {
	const many = 40
	w := newWorld(t, withoutShedding)
	echoes := []*echo{newEcho(), newEcho()}
	var backends []*backend
	for i, id := range []string{"echo-1", "echo-2"} {
		o := echoOffer(t, echoes[i])
		o.id = id
		backends = append(backends, w.add(o))
	}
	w.routable(look, true)
	var streams []connect.ClientStream
	for i := range many {
		options := [][]connecthttp.Option{nil, {connecthttp.WithGRPC()}, {connecthttp.WithGRPCWeb()}}[i%3]
		stream, err := w.client(true, options...).CallServerStream(t.Context(), spec(t, count), message("do", "send-and-wait"))
		require.NoError(t, err)
		require.NoError(t, stream.Receive(&structpb.Struct{}))
		streams = append(streams, stream)
	}
	require.Eventually(t, func() bool { return len(echoes[0].waiting)+len(echoes[1].waiting) == many }, 3*within, time.Millisecond)
	at := len(echoes[0].waiting)
	require.NotZero(t, at)
	require.Less(t, at, many)
	backends[0].kill()

	ended := make(chan error, many)
	var all sync.WaitGroup
	for _, stream := range streams {
		all.Go(func() { ended <- stream.Receive(&structpb.Struct{}) })
	}
	for range at {
		requireError(t, <-ended, connect.CodeUnavailable, "SERVICE_UNAVAILABLE")
	}
	assert.Empty(t, ended, "streams at the other instance go on")
	for _, stream := range streams {
		_ = stream.Close()
	}
	all.Wait()
	require.Eventually(t, func() bool { return len(echoes[1].ended) == many-at }, 3*within, time.Millisecond, "the other instance is told that its callers are gone")
	w.routable(look, true) // and calls go on
	t.Logf("%d of %d streams were reset", at, many)
}

// Callers of streams read nothing. What they do not take waits in buffers whose size is bounded; the service has to wait.
func TestSlowReaders(t *testing.T) {
	const many = 30
	w := newWorld(t, withoutShedding)
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2=%v", h2), func(t *testing.T) {
			goroutines, heap := runtime.NumGoroutine(), heapBytes()
			begun := e.flooded.Load()
			ctx, cancel := context.WithCancel(t.Context())
			var transports []*http.Transport
			for range many {
				transports = append(transports, w.readNothing(ctx, t, h2))
			}
			at, since := begun, time.Now()
			require.Eventually(t, func() bool {
				if now := e.flooded.Load(); now != at {
					at, since = now, time.Now()
				}
				return at-begun >= many && time.Since(since) > 500*time.Millisecond
			}, 3*within, 10*time.Millisecond, "the service is not made to wait")
			grown := max(0, int64(heapBytes())-int64(heap)) / many
			t.Logf("%d callers who read nothing: %d messages of 64 KiB were sent; %d KiB of memory for each, the service's and the caller's included",
				many, at-begun, grown>>10)
			assert.Less(t, grown, int64(1<<20), "bytes for each")
			w.routable(look, true) // others are served meanwhile
			cancel()
			require.Eventually(t, func() bool {
				for _, transport := range transports {
					transport.CloseIdleConnections() // once its stream has ended
				}
				return runtime.NumGoroutine() < goroutines+many/2
			}, 3*within, 10*time.Millisecond, "goroutines stay")
		})
	}
}

// readNothing opens a stream that never ends, of which nothing is read.
func (w *world) readNothing(ctx context.Context, t *testing.T, h2 bool) *http.Transport {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10}, ReadBufferSize: 4 << 10}
	transport.Protocols.SetHTTP1(!h2)
	transport.Protocols.SetUnencryptedHTTP2(h2)
	body := append([]byte{0, 0, 0, 0, 14}, `{"do":"flood"}`...)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url(count), bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/connect+json")
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	context.AfterFunc(ctx, func() { _ = response.Body.Close() })
	return transport
}

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
