package balance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/memory"
)

func TestSpreadOverInstances(t *testing.T) {
	w := newWorld(t)
	var counts [3]atomic.Int64
	for i := range counts {
		w.instance(i, func(w http.ResponseWriter, r *http.Request) {
			counts[i].Add(1)
			_, _ = io.Copy(w, r.Body)
		})
	}
	const requests = 600
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range requests / 8 {
				want := fmt.Sprintf("%d-%d", i, j)
				if got, err := w.post(want); err != nil || got != want {
					t.Errorf("got %q, %v; want %q", got, err, want)
				}
			}
		})
	}
	all.Wait()
	for i := range counts {
		require.Greater(t, counts[i].Load(), int64(requests/6), "instance %d", i)
	}
	w.requireIdle()
}

func TestRequestAsTheInstanceSeesIt(t *testing.T) {
	w := newWorld(t)
	w.instance(0, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s %s %q", r.Proto, r.Method, r.Host, r.RequestURI, r.Header.Get("Accept-Encoding"))
	})
	got, err := w.post("")
	require.NoError(t, err)
	require.Equal(t, `HTTP/2.0 POST orders /acme.orders.v1.OrderService/Create?q=1 ""`, got)

	request := w.request(t.Context(), nil)
	request.Host = "other.example"
	url, header := request.URL.String(), request.Header.Clone()
	response, err := w.transport.RoundTrip(request)
	require.NoError(t, err)
	body, _ := io.ReadAll(response.Body)
	require.Contains(t, string(body), "other.example")
	require.NoError(t, response.Body.Close())
	require.Equal(t, url, request.URL.String(), "the request is left as it was")
	require.Equal(t, header, request.Header)
	require.Same(t, request, response.Request)
}

func TestDeadInstanceGetsNothingAndTheBodyArrivesElsewhere(t *testing.T) {
	w := newWorld(t)
	for i := range 2 {
		w.register(i, deadAddress(i))
	}
	w.instance(2, echo)
	for _, body := range []string{"", "x", strings.Repeat("0123456789", 100_000)} {
		for range 20 {
			stream := &onlyOnce{Reader: strings.NewReader(body)} // no GetBody, so it can be read only once
			response, err := w.client.Do(w.request(t.Context(), stream))
			require.NoError(t, err)
			got, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, body, string(got))
			require.Eventually(t, func() bool { return stream.closed.Load() > 0 }, patience, time.Millisecond)
		}
	}
	w.requireIdle()
	require.NotZero(t, w.endpoint(0).until.Load()+w.endpoint(1).until.Load(), "the dead ones are in probation")
}

func TestAllDead(t *testing.T) {
	for instances, tried := range map[int]int{1: 1, 2: 2, 5: maxTries} {
		w := newWorld(t)
		for i := range instances {
			w.register(i, deadAddress(i))
		}
		for range 3 {
			stream := &onlyOnce{Reader: strings.NewReader("body")}
			_, err := w.transport.RoundTrip(w.request(t.Context(), stream))
			require.ErrorIs(t, err, ErrUnreachable)
			require.NotErrorIs(t, err, ErrNoInstance)
			require.ErrorContains(t, err, fmt.Sprintf(`balance: service "orders": no instance can be reached (%d tried): dial tcp`, tried))
			require.EqualValues(t, 1, stream.closed.Load(), "a RoundTripper closes the body, whatever happens")
			failure, _ := errors.AsType[*Error](err)
			require.Equal(t, tried, failure.Tried)
		}
		w.requireIdle()
	}
}

func TestNoInstance(t *testing.T) {
	w := newWorld(t)
	stream := &onlyOnce{Reader: strings.NewReader("body")}
	_, err := w.transport.RoundTrip(w.request(t.Context(), stream))
	require.ErrorIs(t, err, ErrNoInstance)
	require.EqualError(t, err, `balance: service "orders": no instance`)
	require.EqualValues(t, 1, stream.closed.Load())
	failure, ok := errors.AsType[*Error](err)
	require.True(t, ok)
	require.Equal(t, "orders", failure.Service)

	w.instance(0, echo)
	_, err = w.post("now")
	require.NoError(t, err, "it is used as soon as it is there")
	require.NoError(t, w.directory.Deregister(t.Context(), "orders-0"))
	_, err = w.post("gone")
	require.ErrorIs(t, err, ErrNoInstance)
}

func TestFirstViewIsWaitedFor(t *testing.T) {
	silent := silentDirectory{discovery.NewSource(discovery.SameInstances)}
	base := DefaultBase()
	defer base.CloseIdleConnections()
	impatient := New(silent, base, WithFirstView(10*time.Millisecond))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://orders/", nil)
	require.NoError(t, err)
	_, err = impatient.RoundTrip(request)
	require.ErrorIs(t, err, ErrNoInstance)
	require.ErrorContains(t, err, "discovery has not answered yet")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = New(silent, base).RoundTrip(request.WithContext(ctx))
	require.ErrorIs(t, err, context.Canceled)

	address := listen(t, echo).address
	patient := New(silent, base, WithFirstView(patience))
	done := make(chan error, 1)
	go func() {
		response, err := patient.RoundTrip(request)
		if err == nil {
			err = response.Body.Close()
		}
		done <- err
	}()
	silent.Set([]discovery.Instance{{ID: "orders-0", Service: "orders", Address: address}})
	require.NoError(t, <-done)
}

func TestEjectedInstanceReturns(t *testing.T) {
	w := newWorld(t)
	w.instance(0, name("stays"))
	come := w.comeAndGo(1, name("goes"))
	goes := come()
	w.until("goes")
	w.until("stays")

	goes.kill()
	w.client.CloseIdleConnections()
	for range 50 {
		got, err := w.post("")
		require.NoError(t, err)
		require.Equal(t, "stays", got)
	}
	require.NotZero(t, w.endpoint(1).until.Load(), "it is in probation")

	come()
	w.until("goes") // the view never changed
	require.Zero(t, w.endpoint(1).until.Load())
	w.requireIdle()
}

func TestOutstandingUntilTheResponseHasBeenReadOrClosed(t *testing.T) {
	w := newWorld(t)
	w.instance(0, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		if r.URL.RawQuery == "q=1" {
			_, _ = io.WriteString(w, "some")
		}
	})
	response, err := w.transport.RoundTrip(w.request(t.Context(), nil))
	require.NoError(t, err)
	require.EqualValues(t, 1, w.endpoint(0).outstanding.Load())
	_, err = io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Zero(t, w.endpoint(0).outstanding.Load(), "read to its end")
	require.NoError(t, response.Body.Close())
	require.Zero(t, w.endpoint(0).outstanding.Load(), "counted once")

	response, err = w.transport.RoundTrip(w.request(t.Context(), nil))
	require.NoError(t, err)
	require.EqualValues(t, 1, w.endpoint(0).outstanding.Load())
	require.NoError(t, response.Body.Close())
	require.Zero(t, w.endpoint(0).outstanding.Load(), "closed")

	head := w.request(t.Context(), nil)
	head.Method = http.MethodHead
	response, err = w.transport.RoundTrip(head)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	w.requireIdle()
}

func TestBusyInstanceGetsFewerRequests(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	entered := make(chan struct{}, 10)
	w.instance(0, func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	})
	first := make(chan error, 1)
	go func() {
		_, err := w.post("")
		first <- err
	}()
	<-entered
	w.instance(1, name("free"))
	w.transport.cluster("orders").current()
	w.endpoint(1).warm.Store(0) // slow start would give it less
	for range 50 {
		got, err := w.post("")
		require.NoError(t, err)
		require.Equal(t, "free", got)
	}
	close(release)
	require.NoError(t, <-first)
	w.requireIdle()
}

func TestStreamsBothWays(t *testing.T) {
	w := newWorld(t)
	w.register(0, deadAddress(0))
	w.instance(1, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		_ = control.Flush()
		buffer := make([]byte, 64)
		for {
			n, err := r.Body.Read(buffer)
			_, _ = w.Write(bytes.ToUpper(buffer[:n]))
			_ = control.Flush()
			if err != nil {
				w.Header().Set(http.TrailerPrefix+"Result", "done")
				return
			}
		}
	})
	for range 10 {
		reader, writer := io.Pipe()
		response, err := w.transport.RoundTrip(w.request(t.Context(), reader))
		require.NoError(t, err)
		buffer := make([]byte, 64)
		for _, message := range []string{"one", "two", "three"} {
			_, err = io.WriteString(writer, message)
			require.NoError(t, err)
			n, err := io.ReadFull(response.Body, buffer[:len(message)])
			require.NoError(t, err)
			require.Equal(t, strings.ToUpper(message), string(buffer[:n]))
		}
		require.NoError(t, writer.Close())
		_, err = io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, "done", response.Trailer.Get("Result"))
		require.NoError(t, response.Body.Close())
	}
	w.requireIdle()
}

func TestCancelReachesTheInstance(t *testing.T) {
	w := newWorld(t)
	entered, cancelled := make(chan struct{}), make(chan struct{})
	w.instance(0, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Flush") != "" {
			_ = http.NewResponseController(w).Flush()
		}
		entered <- struct{}{}
		<-r.Context().Done()
		cancelled <- struct{}{}
	})

	// While it waits for the header.
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := w.transport.RoundTrip(w.request(ctx, strings.NewReader("body")))
		failed <- err
	}()
	<-entered
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	<-cancelled

	// While it reads the body.
	ctx, cancel = context.WithCancel(t.Context())
	request := w.request(ctx, nil)
	request.Header.Set("Flush", "1")
	response, err := w.transport.RoundTrip(request)
	require.NoError(t, err)
	<-entered
	cancel()
	_, err = io.ReadAll(response.Body)
	require.ErrorIs(t, err, context.Canceled)
	<-cancelled
	require.NoError(t, response.Body.Close())

	w.requireIdle()
	require.Zero(t, w.endpoint(0).until.Load(), "the instance did nothing wrong")
}

// breaking adds instances at which each request breaks once it is read, and is counted.
func (w *world) breaking(n int, calls *atomic.Int64) {
	for i := range n {
		w.instance(i, func(_ http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		})
	}
}

// A request that may have been sent is not sent again: the instance may have acted on it.
func TestSentRequestIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	var calls atomic.Int64
	w.breaking(3, &calls)
	_, err := w.post("body")
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrUnreachable)
	require.EqualValues(t, 1, calls.Load())
	w.requireIdle()
}

// A request without side effects that breaks is sent to another instance.
func TestSafeRequestIsRepeated(t *testing.T) {
	w := newWorld(t)
	var calls atomic.Int64
	for i := range 3 {
		w.instance(i, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if calls.Add(1) == 1 {
				panic(http.ErrAbortHandler)
			}
			_, _ = w.Write(body)
		})
	}
	for _, body := range []string{"body", ""} {
		calls.Store(0)
		response, err := w.client.Do(w.request(WithSafe(t.Context()), strings.NewReader(body)))
		require.NoError(t, err)
		got, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, body, string(got))
		require.EqualValues(t, 2, calls.Load())
	}
	w.requireIdle()
}

// Where all break, that is not done without end, and one whose body cannot be had again is not sent again.
func TestSafeRequestIsNotRepeatedForEver(t *testing.T) {
	w := newWorld(t)
	var calls atomic.Int64
	w.breaking(5, &calls)
	_, err := w.transport.RoundTrip(w.request(WithSafe(t.Context()), &onlyOnce{Reader: strings.NewReader("body")}))
	require.Error(t, err)
	require.EqualValues(t, 1, calls.Load())
	const requests = 50
	for range requests {
		_, err := w.transport.RoundTrip(w.request(WithSafe(t.Context()), strings.NewReader("body")))
		require.Error(t, err)
	}
	require.LessOrEqual(t, calls.Load(), int64(1+requests+requests/retryCost+firstSaved/retryCost))
	w.requireIdle()
}

func TestDialGivenUpByTheCallerIsNotTheInstancesFault(t *testing.T) {
	w := newWorld(t)
	w.register(0, "127.0.0.1:9")
	ctx, cancel := context.WithCancel(t.Context())
	w.transport.base = roundTrip(func(r *http.Request) (*http.Response, error) {
		cancel()
		_ = r.Body.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	})
	stream := &onlyOnce{Reader: strings.NewReader("body")}
	_, err := w.transport.RoundTrip(w.request(ctx, stream))
	require.ErrorIs(t, err, context.Canceled)
	require.EqualValues(t, 1, stream.closed.Load())
	require.Zero(t, w.endpoint(0).until.Load())
	w.requireIdle()
}

// A base that reads before it dials leaves nothing to send to another instance.
func TestBodyThatWasReadIsNotSentAgain(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.register(i, "127.0.0.1:9")
	}
	calls := 0
	w.transport.base = roundTrip(func(r *http.Request) (*http.Response, error) {
		calls++
		_, _ = r.Body.Read(make([]byte, 1))
		_ = r.Body.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
	})
	stream := &onlyOnce{Reader: strings.NewReader("body")}
	_, err := w.transport.RoundTrip(w.request(t.Context(), stream))
	require.ErrorIs(t, err, ErrUnreachable)
	require.Equal(t, 1, calls)
	require.EqualValues(t, 1, stream.closed.Load())
}

// http.Transport may have read the body for a connection that was closing, and dialed then.
func TestBodyThatWasReadIsHadAgainIfItCan(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.register(i, "127.0.0.1:9")
	}
	calls := 0
	w.transport.base = roundTrip(func(r *http.Request) (*http.Response, error) {
		calls++
		if calls < 3 {
			_, _ = r.Body.Read(make([]byte, 1))
			_ = r.Body.Close()
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
		}
		return &http.Response{StatusCode: http.StatusOK, Body: r.Body}, nil
	})
	got, err := w.post("body")
	require.NoError(t, err)
	require.Equal(t, "body", got)
	w.requireIdle()
}

// A late Close or Read by the attempt that failed must not touch the body of the next one.
func TestAttemptThatFailedHasNoHoldOnTheBody(t *testing.T) {
	w := newWorld(t)
	w.register(0, "127.0.0.1:9")
	w.register(1, "127.0.0.1:10")
	var first io.ReadCloser
	w.transport.base = roundTrip(func(r *http.Request) (*http.Response, error) {
		if first == nil {
			first = r.Body
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
		}
		_ = first.Close()
		_, err := first.Read(make([]byte, 1))
		require.ErrorIs(t, err, errTaken)
		got, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		_ = r.Body.Close()
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(got))}, nil
	})
	stream := &onlyOnce{Reader: strings.NewReader("body")}
	response, err := w.transport.RoundTrip(w.request(t.Context(), stream))
	require.NoError(t, err)
	got, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "body", string(got))
	require.EqualValues(t, 1, stream.closed.Load())
}

func TestInstancesComeAndGoUnderLoad(t *testing.T) {
	w := newWorld(t)
	w.instance(0, echo)
	ctx, stop := context.WithCancel(t.Context())
	var all, leaving sync.WaitGroup
	var served atomic.Int64
	for range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				if got, err := w.post("body"); err != nil || got != "body" {
					t.Errorf("got %q, %v", got, err)
					return
				}
				served.Add(1)
			}
		})
	}
	for i := range 20 {
		s := w.instance(i+1, echo)
		more := served.Load() + 50
		require.Eventually(t, func() bool { return served.Load() >= more || t.Failed() }, patience, time.Millisecond)
		require.NoError(t, w.directory.Deregister(t.Context(), fmt.Sprintf("orders-%d", i+1)))
		leaving.Go(s.drain) // net/http gives connections a second
	}
	leaving.Wait()
	stop()
	all.Wait()
	w.requireIdle()
}

func TestPeerThatIsGoneWithoutAWordIsNoticed(t *testing.T) {
	w := newWorld(t)
	entered := make(chan struct{}, 1)
	s := listen(t, func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
	})
	wire := newWire(t, s.address)
	w.register(0, wire.address)
	failed := make(chan error, 1)
	go func() {
		_, err := w.post("body")
		failed <- err
	}()
	<-entered
	wire.cut()
	err := <-failed
	require.Error(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded, "it is not only the caller who gave up")
	w.requireIdle()
}

func BenchmarkRoundTrip(b *testing.B) {
	directory := memory.New()
	for i := range 3 {
		require.NoError(b, directory.Register(b.Context(), discovery.Registration{Instance: instanceOf(i, "127.0.0.1:9")}))
	}
	transport := New(directory, roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{Body: io.NopCloser(strings.NewReader(""))}, nil
	}))
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://orders/", io.NopCloser(strings.NewReader("")))
	require.NoError(b, err)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			response, err := transport.RoundTrip(request)
			if err != nil {
				b.Error(err)
				return
			}
			_ = response.Body.Close()
		}
	})
}
