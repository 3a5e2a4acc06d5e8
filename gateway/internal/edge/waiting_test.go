package edge

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway/internal/cache"
	"ashlar.dev/gateway/internal/overload"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/kernel/rpcerror"
)

// limited returns what is known of a procedure whose service may have few calls at a time.
func limited(t *testing.T) *overload.Procedure {
	t.Helper()
	p := overload.NewService().Procedure(ask)
	enter := func(caller int) overload.Slot {
		slot, ok := p.Enter(uint64(caller), overload.Normal)
		require.True(t, ok)
		return slot
	}
	for range 20 {
		slot := enter(0)
		slot.Release(time.Millisecond)
		slot.Learn()
	}
	require.Eventually(t, func() bool {
		slots := make([]overload.Slot, 32)
		for i := range slots {
			slots[i] = enter(i)
		}
		for i := range slots {
			if i < 2 {
				slots[i].Forget() // they would be taken for what is usual
			} else {
				slots[i].Release(time.Second)
				slots[i].Learn()
			}
		}
		_, is := p.Service().Limit()
		return is
	}, within, 10*time.Millisecond)
	return p
}

// Whoever sends slowly takes no place at a service that has few of them.
func TestWhoSendsSlowlyTakesNoPlace(t *testing.T) {
	route := &routes.Route{Procedure: ask, Service: "a", Load: limited(t)}
	w := newEdgeWorld(t, listensNot, func(h *Handler) {
		route.Access = h.Tables().Route(ask).Access
		table := routes.NewTable([]*routes.Route{route})
		h.Tables = func() *routes.Table { return table }
		h.Apply(Settings{MaxTimeout: time.Minute})
	})
	most, _ := route.Load.Service().Limit()
	conns := make([]net.Conn, most)
	for i := range conns {
		conns[i] = w.dial(t)
		_, err := io.WriteString(conns[i], "POST "+ask+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return w.h.inFlight.Load() == most }, within, time.Millisecond)
	for range 10 {
		response := w.open(t, false, ask, "application/json", "", strings.NewReader("{}"))
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	require.Eventually(t, func() bool { return w.h.inFlight.Load() == 0 }, within, time.Millisecond)
}

// takesNothing is a caller who lets nobody write to him until he is released.
type takesNothing struct {
	*httptest.ResponseRecorder

	begun, released chan struct{}
}

// Write implements http.ResponseWriter.
func (w *takesNothing) Write(p []byte) (int, error) {
	close(w.begun)
	<-w.released
	return w.ResponseRecorder.Write(p)
}

// Those who wait for an answer that another gets do not wait until he has taken it.
func TestWaitingForAnAnswerAndNotForACaller(t *testing.T) {
	var h *hedged
	kept := func(w http.ResponseWriter) {
		w.Header().Set("Cache-Control", "max-age=60")
		answered(w)
	}
	h = newHedged(t, 1, routes.Route{Safe: true}, func(n int64, w http.ResponseWriter, _ *http.Request) {
		if n == 2 {
			assert.Eventually(t, func() bool { return h.inFlight.Load() >= 2 }, within, time.Millisecond)
		}
		kept(w)
	})
	var err error
	h.Cache, err = cache.New(1<<20, prometheus.NewRegistry())
	require.NoError(t, err)
	get := func(w http.ResponseWriter, message string) {
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, ask+"?connect=v1&encoding=json&message="+message, http.NoBody))
	}
	get(httptest.NewRecorder(), "1") // so that it is known that answers are kept
	first := &takesNothing{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	done, second := make(chan struct{}), make(chan int)
	go func() {
		defer close(done)
		get(first, "2")
	}()
	require.Eventually(t, func() bool { return h.asked.Load() == 2 }, within, time.Millisecond)
	go func() {
		w := httptest.NewRecorder()
		get(w, "2")
		second <- w.Code
	}()
	<-first.begun
	select {
	case status := <-second:
		assert.Equal(t, http.StatusOK, status)
	case <-time.After(within / 2):
		assert.Fail(t, "the second waits for the first caller")
	}
	close(first.released)
	<-done
	assert.EqualValues(t, 2, h.asked.Load())
}

// neverTold is an auth that does not say what a key is worth.
type neverTold struct{ asked atomic.Int64 }

// Known implements APIKeys.
func (n *neverTold) Known(string) bool { return false }

// Token implements APIKeys.
func (n *neverTold) Token(ctx context.Context, _ string) (string, error) {
	n.asked.Add(1)
	<-ctx.Done()
	return "", ctx.Err()
}

// A deadline holds, and is what the caller is told, also while it is asked what his key is worth.
func TestAPIKeyWithADeadline(t *testing.T) {
	direct, _ := newDirect(t)
	other := newEdgeWorld(t, listensNot, nil).h
	for name, h := range map[string]*Handler{"direct": direct, "passed on": other} {
		t.Run(name, func(t *testing.T) {
			keys := &neverTold{}
			h.APIKeys = keys
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, askMe, strings.NewReader("{}"))
			r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer ak_x"}, "Connect-Timeout-Ms": {"20"}}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			assert.Equal(t, http.StatusGatewayTimeout, w.Code, fmt.Sprint(w.Body))
			assert.Contains(t, w.Body.String(), rpcerror.ReasonDeadlineExceeded)
			assert.EqualValues(t, 1, keys.asked.Load())
		})
	}
}

// A connection may notice that the deadline has passed before the call's own timer does: that is no cancellation.
func TestWhoeverNoticesTheDeadlineFirst(t *testing.T) {
	c := &call{h: newEdgeWorld(t, listensNot, nil).h, r: httptest.NewRequestWithContext(t.Context(), http.MethodPost, ask, http.NoBody)}
	c.request.broken.Store(true)
	c.timer.deadline = time.Now().Add(time.Hour)
	assert.Equal(t, connect.CodeCanceled, connect.CodeOf(c.failure(os.ErrDeadlineExceeded)))
	c.timer.deadline = time.Now()
	assert.Equal(t, connect.CodeDeadlineExceeded, connect.CodeOf(c.failure(os.ErrDeadlineExceeded)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.r = c.r.WithContext(ctx) // as net/http does it
	assert.Equal(t, connect.CodeDeadlineExceeded, connect.CodeOf(c.failure(os.ErrDeadlineExceeded)))
}
