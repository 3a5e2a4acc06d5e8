package h2

import (
	"context"
	"crypto/rand"
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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mirror answers with what it is sent, as it comes, and with trailers.
func mirror(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %d %s %s", r.Proto, r.Host, r.URL.Path, r.ContentLength, r.Header.Get("Te"), r.Header.Get("X-Own")))
	_ = control.Flush()
	buffer := make([]byte, 10_000)
	for {
		n, err := r.Body.Read(buffer)
		if n > 0 {
			_, _ = w.Write(buffer[:n])
			_ = control.Flush()
		}
		if err != nil {
			break
		}
	}
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
}

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mirror)
	random := make([]byte, 3<<20)
	_, _ = rand.Read(random)
	large := string(random)
	for name, c := range map[string]struct {
		body   string
		length int64
		seen   string
	}{
		"a message":                {"hello", 5, "5"},
		"of unknown length":        {"hello", -1, "-1"},
		"large":                    {large, int64(len(large)), fmt.Sprint(len(large))},
		"large, of unknown length": {large, -1, "-1"},
		"not large":                {large[:smallBytes], smallBytes, fmt.Sprint(smallBytes)},
	} {
		t.Run(name, func(t *testing.T) {
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					response, got, err := w.exchange(strings.NewReader(c.body), c.length)
					if !assert.NoError(t, err) {
						return
					}
					assert.Equal(t, len(c.body), len(got))
					assert.True(t, got == c.body)
					assert.Equal(t, http.StatusOK, response.StatusCode)
					assert.Equal(t, "HTTP/2.0 "+w.address+" /a.v1.S/M "+c.seen+" trailers b", response.Header.Get("X-Seen"))
					assert.Equal(t, http.Header{"Grpc-Status": {"0"}}, response.Trailer)
				})
			}
			all.Wait()
		})
	}
	response, got, err := w.exchange(http.NoBody, 0)
	require.NoError(t, err)
	assert.Empty(t, got)
	assert.Contains(t, response.Header.Get("X-Seen"), " 0 trailers")
}

// Each side sees at once what the other one says, and can end before it.
func TestConversation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mirror)
	body, caller := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	response, err := w.send(ctx, body, -1)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	for i := range 10 {
		said := fmt.Sprintf("message %d", i)
		_, err := io.WriteString(caller, said)
		require.NoError(t, err)
		heard := make([]byte, len(said))
		_, err = io.ReadFull(response.Body, heard)
		require.NoError(t, err)
		assert.Equal(t, said, string(heard))
	}
	require.NoError(t, caller.Close())
	rest, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Empty(t, rest)
	assert.Equal(t, "0", response.Trailer.Get("Grpc-Status"))
}

// The end of the context reaches the handler, and the one who waits.
func TestCancellation(t *testing.T) {
	t.Parallel()
	came, ended := make(chan struct{}, 2), make(chan error, 2)
	var answers atomic.Bool
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if answers.Load() {
			_ = http.NewResponseController(rw).Flush()
		} else {
			came <- struct{}{}
		}
		<-r.Context().Done()
		ended <- r.Context().Err()
	})
	why := errors.New("no longer")
	for _, answered := range []bool{false, true} {
		answers.Store(answered)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		if !answered {
			go func() { <-came; cancel(why) }()
		}
		response, err := w.send(ctx, strings.NewReader("x"), 1)
		if answered {
			require.NoError(t, err)
			cancel(why)
			_, err = io.ReadAll(response.Body)
			_ = response.Body.Close()
		}
		require.ErrorIs(t, err, why)
		require.Error(t, <-ended)
	}
	response, err := w.send(t.Context(), strings.NewReader("x"), 1)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close(), "a body that nobody wants ends it, too")
	require.Error(t, <-ended)
}

// A service that has answered wants no more of the request, and its sender is told.
func TestAnsweredBeforeTheRequestIsComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "enough") })
	body, caller := io.Pipe()
	go func() { _, _ = io.WriteString(caller, "x") }()
	_, got, err := w.exchange(body, -1)
	require.NoError(t, err)
	assert.Equal(t, "enough", got)
	require.Eventually(t, func() bool {
		_, err := io.WriteString(caller, "more")
		return errors.Is(err, io.ErrClosedPipe)
	}, within, time.Millisecond)
}

func TestAnswerThatBreaksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, "begun")
		_ = http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	})
	_, got, err := w.exchange(strings.NewReader("x"), 1)
	require.Error(t, err)
	assert.Equal(t, "begun", got)
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	require.NoError(t, listener.Close())
	transport := New()
	_, err := send(t.Context(), transport, listener.Addr().String(), strings.NewReader("x"), 1)
	op, ok := errors.AsType[*net.OpError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "dial", op.Op)
}

// There are as many connections as it takes for the streams that are open, and those that nobody needs are closed.
func TestManyStreams(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(rw).Flush()
		<-release
	})
	const streams = 600
	var all sync.WaitGroup
	var open atomic.Int32
	for range streams {
		all.Go(func() {
			response, err := w.send(t.Context(), strings.NewReader("x"), 1)
			if !assert.NoError(t, err) {
				return
			}
			open.Add(1)
			_, err = io.ReadAll(response.Body)
			assert.NoError(t, err)
			_ = response.Body.Close()
		})
	}
	require.Eventually(t, func() bool { return open.Load() == streams }, within, time.Millisecond)
	h := w.transport.host(w.address)
	h.mu.Lock()
	conns := h.conns
	h.mu.Unlock()
	assert.GreaterOrEqual(t, len(conns), 3)
	w.transport.Forget(w.address)
	close(release)
	all.Wait()
	for _, c := range conns {
		require.Eventually(t, func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.err != nil && len(c.streams) == 0 && c.active.Load() == 0
		}, within, time.Millisecond)
	}
}

// An instance that stops lets what is under way end; what comes then does not meet a connection that takes no more.
func TestInstanceStops(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	var seen atomic.Int32
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
		if seen.Add(1) == 1 {
			close(begun)
			<-release
		}
		_, _ = io.WriteString(rw, "done")
	})
	done := make(chan error, 1)
	go func() {
		_, _, err := w.exchange(strings.NewReader("x"), 1)
		done <- err
	}()
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- w.server.Shutdown(context.Background()) }()
	require.Eventually(t, func() bool {
		_, _, err := w.exchange(strings.NewReader("x"), 1)
		op, ok := errors.AsType[*net.OpError](err)
		return ok && op.Op == "dial"
	}, within, 10*time.Millisecond)
	close(release)
	require.NoError(t, <-done)
	require.NoError(t, <-stopped)
}
