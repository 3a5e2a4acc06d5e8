package edge

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway/internal/limit"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/gateway/internal/upstream"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/balance"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/memory"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/telemetry"
)

// hedged is a handler before instances of a service. nth is what the service does with the n-th request, from 1, wherever
// it comes.
type hedged struct {
	*Handler

	asked atomic.Int64
}

func newHedged(t *testing.T, instances int, route routes.Route, nth func(n int64, w http.ResponseWriter, r *http.Request)) *hedged {
	t.Helper()
	h := &hedged{}
	directory := memory.New()
	for i := range instances {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // net/http notices only then that the other end has gone
			nth(h.asked.Add(1), w, r)
		}))
		t.Cleanup(server.Close)
		require.NoError(t, directory.Register(t.Context(), discovery.Registration{Instance: discovery.Instance{
			ID: "a-" + strconv.Itoa(i), Service: "a", Address: server.Listener.Addr().String(),
		}}))
	}
	tel, err := telemetry.New(context.Background(), telemetry.Config{}, telemetry.Process{}, discard{})
	require.NoError(t, err)
	route.Procedure, route.Service, route.Access = ask, "a", access.Public
	table := routes.NewTable([]*routes.Route{&route})
	pool := upstream.NewPool()
	t.Cleanup(pool.Close)
	h.Handler, err = New(Parts{
		Tables: func() *routes.Table { return table }, Tokens: everybody{}, Limits: limit.New(), Own: http.NotFoundHandler(),
		Direct: &Direct{Balancer: balance.New(directory, nil), Pool: pool}, Status: health.NewStatus(), Telemetry: tel,
		MaxMessageBytes: 1 << 20, Settings: Settings{MaxTimeout: within},
	})
	require.NoError(t, err)
	return h
}

func (h *hedged) ask(t *testing.T) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, ask, strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func answered(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"text":"x"}`)
}

// One instance hangs: the answer comes from another, and what the first one does is given up.
func TestASecondInstanceAnswers(t *testing.T) {
	given := make(chan struct{}, 1)
	h := newHedged(t, 2, routes.Route{Get: true, HedgeAfter: time.Millisecond}, func(n int64, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			<-r.Context().Done()
			given <- struct{}{}
			return
		}
		answered(w)
	})
	w := h.ask(t)
	assert.Equal(t, http.StatusOK, w.Code)
	assert.JSONEq(t, `{"text":"x"}`, w.Body.String())
	select {
	case <-given:
	case <-time.After(within):
		t.Fatal("the first instance was never told")
	}
	assert.InDelta(t, 1, testutil.ToFloat64(h.metrics.hedged), 0)
}

// The second one breaks, or there is none: the first one's answer is waited for.
func TestTheFirstInstanceAnswersAfterAll(t *testing.T) {
	for name, instances := range map[string]int{"broken": 2, "alone": 1} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan struct{})
			h := newHedged(t, instances, routes.Route{Get: true, HedgeAfter: time.Nanosecond}, func(n int64, w http.ResponseWriter, _ *http.Request) {
				if n == 1 {
					if instances > 1 {
						<-asked
					}
					answered(w)
					return
				}
				close(asked)
				panic(http.ErrAbortHandler)
			})
			w := h.ask(t)
			assert.Equal(t, http.StatusOK, w.Code, w.Body.String())
			assert.EqualValues(t, instances, h.asked.Load())
		})
	}
}

func TestNothingIsAskedTwiceWithoutNeed(t *testing.T) {
	for name, route := range map[string]routes.Route{
		"fast":         {Get: true, HedgeAfter: time.Hour},
		"with effects": {HedgeAfter: time.Nanosecond},
		"not wanted":   {Get: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHedged(t, 3, route, func(_ int64, w http.ResponseWriter, _ *http.Request) { answered(w) })
			for range 50 {
				require.Equal(t, http.StatusOK, h.ask(t).Code)
			}
			assert.EqualValues(t, 50, h.asked.Load())
		})
	}
}

// What a manifest says of another instance's turn is no more time for the caller, who has set a deadline.
func TestTheDeadlineComesBeforeTheSecondInstance(t *testing.T) {
	release := make(chan struct{})
	h := newHedged(t, 2, routes.Route{Get: true, HedgeAfter: time.Hour}, func(_ int64, _ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	status := make(chan int, 1)
	go func() {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, ask, strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Connect-Timeout-Ms", "50")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		status <- w.Code
	}()
	select {
	case got := <-status:
		assert.Equal(t, http.StatusGatewayTimeout, got)
	case <-time.After(within):
		close(release)
		t.Fatal("the caller still waits")
	}
}

// A service that is slow as a whole is not asked twice for everything.
func TestHedgingHasABudget(t *testing.T) {
	h := newHedged(t, 2, routes.Route{Get: true, HedgeAfter: time.Nanosecond}, func(_ int64, w http.ResponseWriter, _ *http.Request) { answered(w) })
	const calls = 300
	for range calls {
		require.Equal(t, http.StatusOK, h.ask(t).Code)
	}
	assert.LessOrEqual(t, testutil.ToFloat64(h.metrics.hedged), float64(calls)/10+10+1)
	assert.Positive(t, testutil.ToFloat64(h.metrics.hedged))
}
