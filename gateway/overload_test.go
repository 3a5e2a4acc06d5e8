package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/gateway"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/gatewayops"
)

// Many times more callers than a service can serve in time. What the limit does in numbers is tested where time is made
// (internal/overload); this is that it does it here.
func TestServiceThatIsOverloaded(t *testing.T) {
	const together = 4 // enough that it is seen within a second how long calls take, also where each takes long
	w := newWorld(t, nil)
	e := newEcho()
	e.workers = make(chan struct{}, together)
	o := echoOffer(t, e)
	o.policy.Procedures = map[string]*kernelv1.ProcedurePolicy{manage: {Priority: kernelv1.Priority_PRIORITY_HIGH}}
	w.add(o)
	w.routable(look, true)

	post := func(n int, procedure, message string) (median time.Duration) {
		var took []time.Duration
		for range n {
			began := time.Now()
			status, _ := w.post(procedure, message, bearer(w.token(nil)))
			require.Equal(t, http.StatusOK, status)
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		return took[n/2]
	}
	// Most of what a call takes is the service's work, also on a machine that has much else to do. One that stands still for once
	// changes nothing about that.
	e.work = max(40*time.Millisecond, 10*post(50, look, "{}"))
	workTime := e.work
	post(20, whoAmI, `{"do": "work"}`) // what is usual

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var done, late, refused, important, passed atomic.Int64
	call := func(client *connect.Client, procedure string) error {
		// Each can wait for 50 others that are served before him; those who ask are 80.
		limited, cancel := context.WithTimeout(ctx, 50/together*workTime)
		defer cancel()
		return client.CallUnary(limited, spec(t, procedure), message("do", "work"), &structpb.Struct{})
	}
	for i := range 8 {
		token := w.token(func(c *authn.Claims) { c.Subject = fmt.Sprint("usr_", i) })
		client := w.clientAs(token)
		for range 10 {
			running.Go(func() {
				for ctx.Err() == nil {
					switch err := call(client, whoAmI); {
					case err == nil:
						done.Add(1)
					case rpcerror.Reason(err) == rpcerror.ReasonOverloaded:
						refused.Add(1)
						<-time.After(10 * workTime)
					default:
						late.Add(1)
					}
				}
			})
		}
	}
	signIn := w.clientAs(w.token(func(c *authn.Claims) { c.Subject = "usr_sign_in" }))
	defer running.Wait()
	defer stop()
	require.Eventually(t, func() bool { return refused.Load() > 0 }, 3*within, time.Millisecond)
	began, lateBefore := done.Load(), late.Load()
	running.Go(func() {
		for ctx.Err() == nil {
			important.Add(1)
			if call(signIn, manage) == nil {
				passed.Add(1)
			}
			<-time.After(5 * workTime)
		}
	})
	defer func() {
		t.Logf("in time %d, too late %d before and %d after the first refusal, refused %d; important %d of %d",
			done.Load(), lateBefore, late.Load()-lateBefore, refused.Load(), passed.Load(), important.Load())
	}()
	// How many are in time depends on what else the machine has to do: without a limit it would soon be nobody. What is important
	// passes.
	require.Eventually(t, func() bool { return done.Load() > began+30 && passed.Load() > 0 }, 6*within, time.Millisecond)
	status, _ := w.post("/grpc.health.v1.Health/Check", "{}", nil)
	assert.Equal(t, http.StatusOK, status)
	stop()
	running.Wait()

	answered := func() bool {
		status, a := w.post(whoAmI, "{}", bearer(w.token(nil)))
		return status == http.StatusOK || assert.Equal(t, rpcerror.ReasonOverloaded, a.reason()) && false
	}
	require.Eventually(t, answered, 3*within, time.Millisecond, "it is over")
}

// What a service refuses or fails at says nothing about how long it takes, in whichever protocol that is said; what it
// answers does, also where that is no.
func TestWhatOverloadLearnsFrom(t *testing.T) {
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		w := newWorld(t, nil)
		w.add(echoOffer(t, newEcho()))
		w.routable(look, true)
		client := w.client(h2, options...)
		answered := func(do string, code connect.Code) gatewayops.Service {
			for range 10 {
				err := client.CallUnary(t.Context(), spec(t, look), message("do", do), &structpb.Struct{})
				require.Equal(t, code, connect.CodeOf(err))
			}
			var s gatewayops.Service
			require.Eventually(t, func() bool { s = w.shownService("echo"); return s.InFlight == 0 }, within, time.Millisecond)
			return s
		}
		usual := func(s gatewayops.Service) float64 {
			at := slices.IndexFunc(s.Procedures, func(p gatewayops.Procedure) bool { return p.Procedure == look })
			return s.Procedures[at].UsualMS
		}
		for _, code := range []connect.Code{
			connect.CodeUnavailable, connect.CodeResourceExhausted, connect.CodeInternal, connect.CodeUnknown, connect.CodeDataLoss,
			connect.CodeUnimplemented, connect.CodeCanceled, connect.CodeDeadlineExceeded,
		} {
			require.Zero(t, usual(answered(code.String(), code)), code)
		}
		require.Positive(t, usual(answered("not_found", connect.CodeNotFound)))
	})
}

// Who wants none of that has every call passed on: of many more than the service can serve in time, none is refused.
func TestNothingIsShedWhereNobodyWantsIt(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.NoShedding = true })
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	var running sync.WaitGroup
	var refused atomic.Int64
	client := w.clientAs(w.token(nil))
	for range 80 {
		running.Go(func() {
			for range 5 {
				if err := client.CallUnary(t.Context(), spec(t, whoAmI), message("do", "work"), &structpb.Struct{}); err != nil {
					refused.Add(1)
				}
			}
		})
	}
	running.Wait()
	assert.Zero(t, refused.Load())
}

func TestGatewayThatHasTooMany(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.MaxInFlight = 2 })
	e := newEcho()
	o := echoOffer(t, e)
	o.policy.Procedures = map[string]*kernelv1.ProcedurePolicy{manage: {Priority: kernelv1.Priority_PRIORITY_HIGH}}
	w.add(o)
	w.routable(look, true)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	client := w.client(true)
	for range 2 {
		running.Go(func() { _ = client.CallUnary(ctx, spec(t, look), message("do", "wait"), &structpb.Struct{}) })
		<-e.waiting
	}
	status, a := w.post(look, "{}", nil)
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Equal(t, rpcerror.ReasonOverloaded, a.reason())
	assert.Equal(t, "1", a.header.Get("Retry-After"))
	status, _ = w.post(manage, "{}", bearer(w.token(nil)))
	assert.Equal(t, http.StatusOK, status, "what is important has room")
	status, _ = w.post("/grpc.health.v1.Health/Check", "{}", nil)
	assert.Equal(t, http.StatusOK, status)
	request, err := http.NewRequest(http.MethodGet, w.url("/healthz"), nil)
	require.NoError(t, err)
	status, _ = w.do(request)
	assert.Equal(t, http.StatusOK, status)
	stop()
	running.Wait()
	require.Eventually(t, func() bool {
		status, _ := w.post(look, "{}", nil)
		return status == http.StatusOK
	}, within, time.Millisecond)
}

// clientAs returns a client of the gateway for somebody with a token.
func (w *world) clientAs(token string) *connect.Client {
	client := newHTTPClient(w.t, true)
	client.Transport = withToken{client.Transport, "Bearer " + token}
	return connect.NewClient(connecthttp.NewTransport(client, "http://"+w.gateway.Address()))
}

type withToken struct {
	http.RoundTripper

	authorization string
}

// RoundTrip implements http.RoundTripper.
func (t withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", t.authorization)
	return t.RoundTripper.RoundTrip(r)
}
