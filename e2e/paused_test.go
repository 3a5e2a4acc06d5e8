package e2e

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
)

// One of two processes of a service is paused while people read: it takes connections and answers nothing. No call fails, the
// gateway's own or those between services, none is late, and the process is in use again once it goes on.
func TestAProcessIsPausedUnderReads(t *testing.T) {
	p := up(t, newSettings(t))
	admin := p.admin(t)
	second := startProgram(t, environ("ASHLAR_INSTANCE_ID=identity-by-hand"), "/bin/sh", "-c", p.script("identity"))
	healthy := func(want int) {
		t.Helper()
		require.NoError(t, eventually(startWithin, func() error {
			if s := p.services(t)["identity"]; s.Healthy != want {
				return fmt.Errorf("%d instances of identity are healthy, not %d", s.Healthy, want)
			}
			return nil
		}))
	}
	healthy(2)

	r := startReaders(t, p, admin,
		request{procedure: listOrganizations, message: &identityv1.ListOrganizationsRequest{}},
		request{procedure: whoAmI, message: &authv1.WhoAmIRequest{}}) // auth asks identity
	r.more(20)
	second.signal(t, syscall.SIGSTOP)
	healthy(1)
	r.drained() // while it is paused: nobody is served because it goes on
	second.signal(t, syscall.SIGCONT)
	healthy(2)
	r.more(20)
	r.stop()
	r.report()
	second.signal(t, syscall.SIGTERM)
	require.Zero(t, second.wait(t, stopWithin))
	p.stop(t)
}

// readers read side by side until they are stopped, and count.
type readers struct {
	t    *testing.T
	stop func()
	done atomic.Int64

	mu      sync.Mutex
	slowest map[string]time.Duration
	ended   map[string]int // how many calls of each kind
	failed  []string
}

// startReaders lets two people each make one of the requests again and again: one in Connect, and one in gRPC, whose calls go
// another way through the gateway.
func startReaders(t *testing.T, p *platform, who person, requests ...request) *readers {
	ctx, cancel := context.WithCancel(t.Context())
	r := &readers{t: t, slowest: map[string]time.Duration{}, ended: map[string]int{}}
	var all sync.WaitGroup
	for _, each := range requests {
		for _, speech := range []speech{speeches[0], speeches[2]} {
			all.Go(func() {
				tick := time.NewTicker(2 * pace)
				defer tick.Stop()
				for ctx.Err() == nil {
					<-tick.C
					begun := time.Now()
					a, err := speech.try(context.WithoutCancel(ctx), each.from(p, who))
					r.note(each.procedure+", "+speech.name, a, err, time.Since(begun))
				}
			})
		}
	}
	r.stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(r.stop)
	return r
}

func (r *readers) note(procedure string, a answer, err error, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done.Add(1)
	r.ended[procedure]++
	r.slowest[procedure] = max(r.slowest[procedure], took)
	if err != nil || a.code != "" {
		r.failed = append(r.failed, fmt.Sprintf("%s after %s: %s %v", procedure, took.Round(time.Millisecond), a, err))
	}
}

// more waits until so many more calls have ended.
func (r *readers) more(n int64) {
	r.t.Helper()
	at := r.done.Load()
	require.NoError(r.t, eventually(goOnWithin, func() error {
		if done := r.done.Load() - at; done < n {
			return fmt.Errorf("%d of %d calls", done, n)
		}
		return nil
	}))
}

// drained waits until all calls have ended that are under way, and as many again.
func (r *readers) drained() {
	r.t.Helper()
	ended := func() map[string]int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return maps.Clone(r.ended)
	}
	before := ended()
	require.NoError(r.t, eventually(goOnWithin, func() error {
		for kind, n := range ended() {
			if n < before[kind]+2 {
				return fmt.Errorf("%s: %d calls", kind, n-before[kind])
			}
		}
		return nil
	}))
}

func (r *readers) report() {
	r.t.Logf("%d calls, %d failed; the slowest took %v", r.done.Load(), len(r.failed), r.slowest)
	assert.Empty(r.t, r.failed)
	for procedure, slowest := range r.slowest {
		assert.Less(r.t, slowest, callTimeout, procedure)
	}
}
