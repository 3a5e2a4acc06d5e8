package edge

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway/internal/h2"
	"ashlar.dev/gateway/internal/limit"
	"ashlar.dev/gateway/internal/overload"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/gateway/internal/upstream"
	"ashlar.dev/gateway/internal/wire"
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

	balancer *balance.Transport
	asked    atomic.Int64
}

func newHedged(t *testing.T, instances int, route routes.Route, nth func(n int64, w http.ResponseWriter, r *http.Request)) *hedged {
	t.Helper()
	h := &hedged{}
	directory := memory.New()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	for i := range instances {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // net/http notices only then that the other end has gone
			w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
			nth(h.asked.Add(1), w, r)
		}))
		server.Config.Protocols = protocols
		server.Start()
		t.Cleanup(server.Close)
		require.NoError(t, directory.Register(t.Context(), discovery.Registration{Instance: discovery.Instance{
			ID: "a-" + strconv.Itoa(i), Service: "a", Address: server.Listener.Addr().String(),
		}}))
	}
	tel, err := telemetry.New(context.Background(), telemetry.Config{}, telemetry.Process{}, discard{})
	require.NoError(t, err)
	route.Procedure, route.Service, route.Access = ask, "a", access.Public
	table := routes.NewTable([]*routes.Route{&route})
	pool, shared := upstream.NewPool(), h2.New()
	t.Cleanup(pool.Close)
	t.Cleanup(shared.CloseIdleConnections)
	h.balancer = balance.New(directory, shared)
	h.Handler, err = New(Parts{
		Tables: func() *routes.Table { return table }, Tokens: everybody{}, Limits: limit.New(), Own: http.NotFoundHandler(),
		RoundTripper: h.balancer, Direct: &Direct{Balancer: h.balancer, Pool: pool, Shared: shared}, Status: health.NewStatus(), Telemetry: tel,
		MaxMessageBytes: 1 << 20, Settings: Settings{MaxTimeout: within},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.Eventually(t, func() bool {
			for _, instance := range h.balancer.Instances("a") {
				if instance.Outstanding != 0 {
					return false
				}
			}
			return true
		}, within, time.Millisecond, "calls are still counted")
	})
	return h
}

// way is how calls are made, with a deadline if it is not empty, and their outcome told: its code, or ok.
type way struct {
	contentType, body, deadline string
}

var connectWay, grpcWay = way{"application/json", "{}", "Connect-Timeout-Ms"}, way{"application/grpc", "\x00\x00\x00\x00\x00", "Grpc-Timeout"}

// eitherWay runs a test for calls that have a connection each, and for those that share some.
func eitherWay(t *testing.T, test func(t *testing.T, by way)) {
	t.Run("connect", func(t *testing.T) { test(t, connectWay) })
	t.Run("grpc", func(t *testing.T) { test(t, grpcWay) })
}

// ask makes a call; timeout is 0 for none, or below 1 s.
func (h *hedged) ask(t *testing.T, by way, timeout time.Duration) (code, body string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, ask, strings.NewReader(by.body))
	r.Header.Set("Content-Type", by.contentType)
	if timeout > 0 {
		left := strconv.FormatInt(timeout.Milliseconds(), 10)
		if by == grpcWay {
			left += "m"
		}
		r.Header.Set(by.deadline, left)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body = w.Body.String()
	switch {
	case by == grpcWay:
		status := w.Header().Get("Grpc-Status")
		if status == "" {
			status = w.Result().Trailer.Get("Grpc-Status")
		}
		return wire.CodeOfStatus(status), body
	case w.Code != http.StatusOK:
		return wire.CodeOfError(w.Body.Bytes(), ""), body
	default:
		return wire.OK, body
	}
}

func answered(w http.ResponseWriter) {
	if w.Header().Get("Content-Type") == grpcWay.contentType {
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		_, _ = io.WriteString(w, grpcWay.body)
		return
	}
	_, _ = io.WriteString(w, `{"text":"x"}`)
}

// awaited waits for what should come in no time.
func awaited(t *testing.T, what <-chan struct{}, otherwise string) {
	t.Helper()
	select {
	case <-what:
	case <-time.After(within):
		t.Fatal(otherwise)
	}
}

// One instance hangs: the answer comes from another, and what the first one does is given up.
func TestASecondInstanceAnswers(t *testing.T) {
	eitherWay(t, func(t *testing.T, by way) {
		given := make(chan struct{}, 1)
		h := newHedged(t, 2, routes.Route{Safe: true, HedgeAfter: time.Millisecond}, func(n int64, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				<-r.Context().Done()
				given <- struct{}{}
				return
			}
			answered(w)
		})
		code, body := h.ask(t, by, 0)
		assert.Equal(t, wire.OK, code)
		assert.NotEmpty(t, body)
		awaited(t, given, "the first instance was never told")
		assert.InDelta(t, 1, testutil.ToFloat64(h.metrics.hedged), 0)
	})
}

// The first one answers after all: it counts, and what the second does is given up.
func TestTheFirstInstanceAnswersBeforeTheSecond(t *testing.T) {
	eitherWay(t, func(t *testing.T, by way) {
		asked, given := make(chan struct{}), make(chan struct{})
		h := newHedged(t, 2, routes.Route{Safe: true, HedgeAfter: time.Millisecond}, func(n int64, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				<-asked
				answered(w)
				return
			}
			close(asked)
			<-r.Context().Done()
			close(given)
		})
		code, body := h.ask(t, by, 0)
		assert.Equal(t, wire.OK, code)
		assert.NotEmpty(t, body)
		awaited(t, given, "the second instance was never told")
	})
}

// The first one has begun to answer, and goes on after another one has been asked: it is waited for.
func TestTheFirstInstanceAnswersInPieces(t *testing.T) {
	asked := make(chan struct{})
	h := newHedged(t, 2, routes.Route{Safe: true, HedgeAfter: 100 * time.Millisecond}, func(n int64, w http.ResponseWriter, r *http.Request) {
		if n > 1 {
			close(asked)
			<-r.Context().Done()
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: appl")
		<-asked
		_, _ = io.WriteString(conn, "ication/json\r\nContent-Length: 2\r\n\r\n{}")
	})
	code, body := h.ask(t, connectWay, 0)
	assert.Equal(t, wire.OK, code)
	assert.Equal(t, "{}", body)
}

// The second one breaks, or there is none: the first one's answer is waited for.
func TestTheFirstInstanceAnswersAfterAll(t *testing.T) {
	for name, instances := range map[string]int{"broken": 2, "alone": 1} {
		t.Run(name, func(t *testing.T) {
			eitherWay(t, func(t *testing.T, by way) {
				asked := make(chan struct{})
				h := newHedged(t, instances, routes.Route{Safe: true, HedgeAfter: time.Nanosecond}, func(n int64, w http.ResponseWriter, _ *http.Request) {
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
				code, body := h.ask(t, by, 0)
				assert.Equal(t, wire.OK, code, body)
				assert.EqualValues(t, instances, h.asked.Load())
			})
		})
	}
}

// The first one breaks while the second one works.
func TestTheFirstInstanceBreaks(t *testing.T) {
	eitherWay(t, func(t *testing.T, by way) {
		asked, broken := make(chan struct{}), make(chan struct{})
		h := newHedged(t, 2, routes.Route{Safe: true, HedgeAfter: time.Nanosecond}, func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				<-asked
				close(broken)
				panic(http.ErrAbortHandler)
			}
			close(asked)
			<-broken
			answered(w)
		})
		code, body := h.ask(t, by, 0)
		assert.Equal(t, wire.OK, code, body)
		assert.EqualValues(t, 2, h.asked.Load())
	})
}

// An instance breaks at once: what has no effects is asked of another, a stream of which nothing has come, too.
func TestAnotherInstanceIsAskedWhereOneBreaks(t *testing.T) {
	for name, route := range map[string]routes.Route{"unary": {Safe: true}, "stream": {Safe: true, Stream: connect.StreamTypeServer}, "with effects": {}} {
		t.Run(name, func(t *testing.T) {
			eitherWay(t, func(t *testing.T, by way) {
				if by == connectWay && !route.Unary() {
					by.contentType, by.body = "application/connect+json", "\x00\x00\x00\x00\x02{}"
				}
				h := newHedged(t, 2, route, func(n int64, w http.ResponseWriter, _ *http.Request) {
					if n == 1 {
						panic(http.ErrAbortHandler)
					}
					answered(w)
				})
				code, body := h.ask(t, by, 0)
				if route.Safe {
					assert.Equal(t, wire.OK, code, body)
					assert.EqualValues(t, 2, h.asked.Load())
				} else {
					assert.Equal(t, connect.CodeUnavailable.String(), code, body)
					assert.EqualValues(t, 1, h.asked.Load())
				}
			})
		})
	}
}

// An instance that was passed over is known to be back as soon as a stream begins there, and not when it ends; how it ends
// says nothing about what has been the matter meanwhile.
func TestAStreamTellsAtOnceThatAnInstanceIsBack(t *testing.T) {
	eitherWay(t, func(t *testing.T, by way) {
		if by == connectWay {
			by.contentType, by.body = "application/connect+json", "\x00\x00\x00\x00\x02{}"
		}
		end := make(chan struct{})
		h := newHedged(t, 1, routes.Route{Safe: true, Stream: connect.StreamTypeServer}, func(_ int64, w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-end
			answered(w)
		})
		passOver := func() {
			var tries balance.Tries
			lease, err := h.balancer.Lease(t.Context(), "a", &tries)
			require.NoError(t, err)
			lease.Done(balance.Unreachable, &tries, io.EOF)
			require.Equal(t, 1, h.balancer.Instances("a")[0].Failures)
		}
		passOver()
		ended := make(chan string, 1)
		go func() {
			code, _ := h.ask(t, by, 0)
			ended <- code
		}()
		assert.Eventually(t, func() bool { return h.balancer.Instances("a")[0].Failures == 0 }, within, time.Millisecond)
		close(end)
		assert.Equal(t, wire.OK, <-ended)
	})
}

func TestNothingIsAskedTwiceWithoutNeed(t *testing.T) {
	for name, route := range map[string]routes.Route{
		"fast":         {Safe: true, HedgeAfter: time.Hour},
		"with effects": {HedgeAfter: time.Nanosecond},
		"not wanted":   {Safe: true},
	} {
		t.Run(name, func(t *testing.T) {
			eitherWay(t, func(t *testing.T, by way) {
				h := newHedged(t, 3, route, func(_ int64, w http.ResponseWriter, _ *http.Request) { answered(w) })
				for range 50 {
					code, body := h.ask(t, by, 0)
					require.Equal(t, wire.OK, code, body)
				}
				assert.EqualValues(t, 50, h.asked.Load())
			})
		})
	}
}

// What a manifest says of another instance's turn is no more time for the caller, who has set a deadline. It holds, too, where
// both instances are silent.
func TestTheDeadlineHoldsWhoeverIsAsked(t *testing.T) {
	for name, after := range map[string]time.Duration{"before the second": time.Hour, "after the second": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			eitherWay(t, func(t *testing.T, by way) {
				release := make(chan struct{})
				h := newHedged(t, 2, routes.Route{Safe: true, HedgeAfter: after}, func(_ int64, _ http.ResponseWriter, r *http.Request) {
					select {
					case <-r.Context().Done():
					case <-release:
					}
				})
				ended := make(chan string, 1)
				go func() {
					code, _ := h.ask(t, by, 50*time.Millisecond)
					ended <- code
				}()
				select {
				case got := <-ended:
					assert.Equal(t, connect.CodeDeadlineExceeded.String(), got)
				case <-time.After(within):
					close(release)
					t.Fatal("the caller still waits")
				}
			})
		})
	}
}

// A service that is slow as a whole is not asked twice for everything.
func TestHedgingHasABudget(t *testing.T) {
	eitherWay(t, func(t *testing.T, by way) {
		h := newHedged(t, 2, routes.Route{Safe: true, HedgeAfter: time.Nanosecond}, func(_ int64, w http.ResponseWriter, _ *http.Request) { answered(w) })
		const calls = 300
		for range calls {
			code, body := h.ask(t, by, 0)
			require.Equal(t, wire.OK, code, body)
		}
		assert.LessOrEqual(t, testutil.ToFloat64(h.metrics.hedged), float64(calls)/10+10+1)
		assert.Positive(t, testutil.ToFloat64(h.metrics.hedged))
	})
}

// An instance is silent. The calls that waited for it do not make the others look slow, so that nobody is refused for them.
func TestASilentInstanceIsNoOverload(t *testing.T) {
	eitherWay(t, func(t *testing.T, by way) {
		const many = 10
		load := overload.NewService().Procedure(ask)
		var silent atomic.Bool
		var heard atomic.Int64
		h := newHedged(t, 2, routes.Route{Safe: true, HedgeAfter: 500 * time.Millisecond, Load: load}, func(_ int64, w http.ResponseWriter, r *http.Request) {
			if silent.Load() && heard.Add(1) <= many {
				<-r.Context().Done()
				return
			}
			answered(w)
		})
		ask := func() {
			code, body := h.ask(t, by, 0)
			assert.Equal(t, wire.OK, code, body)
		}
		for range 40 {
			ask()
		}
		silent.Store(true)
		var all sync.WaitGroup
		for range many {
			all.Go(ask)
		}
		require.Eventually(t, func() bool { return heard.Load() == many }, within, time.Millisecond)
		for range 2 * many {
			ask()
		}
		all.Wait()
		for range 2 * many {
			ask()
		}
		_, limited := load.Service().Limit()
		assert.False(t, limited)
		assert.GreaterOrEqual(t, testutil.ToFloat64(h.metrics.hedged), float64(many)) // more where the machine is slow
	})
}
