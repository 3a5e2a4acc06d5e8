package gateway_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/discovery/consul/consultest"
	"ashlar.dev/kernel/workload"
)

// envFaultTime says how long Consul is away: a minute is past all that waits for it. CI has less time.
const envFaultTime = "ASHLAR_TEST_FAULT_TIME"

func faultTime(t *testing.T) time.Duration {
	d, err := time.ParseDuration(cmp.Or(os.Getenv(envFaultTime), "2s"))
	require.NoError(t, err)
	return d
}

// twins are two gateways that learn from Consul, with services that are registered there.
type twins struct {
	t        *testing.T
	worlds   []*world
	services []*member
}

// member is an instance, with the registry that its process would have.
type member struct {
	*backend

	echo     *echo
	registry *consul.Registry
}

// newTwins starts gateways, each with an agent, and three instances, which are with the first agent.
func newTwins(t *testing.T, agents ...*consultest.Agent) *twins {
	t.Helper()
	tw := &twins{t: t}
	key := workload.NewClusterKey()
	for i, agent := range agents {
		w := newEmptyWorldIn(t, openConsul(t, agent), key)
		w.start(func(cfg *gateway.Config) {
			withoutShedding(cfg)
			cfg.InstanceID = fmt.Sprintf("gateway-%d", i)
		})
		// All instances are in this process. Where it stands still for longer than a check may take, Consul is right to say that
		// none of them is well.
		w.nobody = func() bool {
			list, _, _ := w.registry.Instances("echo").Get()
			return len(list) == 0
		}
		tw.worlds = append(tw.worlds, w)
	}
	for i := range 3 {
		tw.join(agents[0], i)
	}
	for _, w := range tw.worlds {
		w.routable(look, true)
	}
	tw.agree(0, 1, 2)
	return tw
}

func openConsul(t *testing.T, agent *consultest.Agent) *consul.Registry {
	t.Helper()
	registry, err := consul.New(consul.Config{Address: agent.Addr}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, registry.Close()) })
	return registry
}

// join starts an instance.
func (tw *twins) join(agent *consultest.Agent, number int) {
	tw.t.Helper()
	m := &member{echo: newEcho(), registry: openConsul(tw.t, agent)}
	o := echoOffer(tw.t, m.echo)
	o.id = fmt.Sprintf("echo-%d", number)
	m.backend = tw.worlds[0].addTo(m.registry, o)
	tw.services = append(tw.services, m)
}

// die ends an instance without a word: nobody deregisters it, or keeps it registered.
func (m *member) die() {
	m.kill()
	_ = m.registry.Close()
}

// agree waits until each gateway sees these instances and no others.
func (tw *twins) agree(numbers ...int) {
	tw.t.Helper()
	for i, w := range tw.worlds {
		ctx, cancel := context.WithTimeout(tw.t.Context(), 3*within)
		seen, err := w.registry.Instances("echo").Wait(ctx, func(list []discovery.Instance) bool {
			return slices.EqualFunc(list, numbers, func(have discovery.Instance, want int) bool { return have.ID == fmt.Sprintf("echo-%d", want) })
		})
		cancel()
		require.NoError(tw.t, err, "gateway %d sees %v, not %v", i, seen, numbers)
	}
}

// Consul fails in each of its ways while two gateways are under load, and an instance dies meanwhile. No call fails, and
// afterwards both gateways learn what is new, and agree.
func TestConsulFailsUnderLoad(t *testing.T) {
	alone := func(t *testing.T) []*consultest.Agent {
		agent := consultest.Start(t)
		return []*consultest.Agent{agent, agent}
	}
	for _, c := range []struct {
		name   string
		agents func(t *testing.T) []*consultest.Agent
		fail   func(agents []*consultest.Agent)
		mend   func(agents []*consultest.Agent)
	}{
		{
			name: "agent that is paused", agents: alone,
			fail: func(agents []*consultest.Agent) { agents[0].Pause() },
			mend: func(agents []*consultest.Agent) { agents[0].Resume() },
		},
		{
			name: "agent that is killed and has lost everything", agents: alone,
			fail: func(agents []*consultest.Agent) { agents[0].Kill() },
			mend: func(agents []*consultest.Agent) { agents[0].Restart() },
		},
		{
			name:   "no leader",
			agents: func(t *testing.T) []*consultest.Agent { return consultest.StartCluster(t, 3) },
			fail: func(agents []*consultest.Agent) {
				agents[1].Kill()
				agents[2].Kill()
			},
			mend: func(agents []*consultest.Agent) {
				agents[1].Restart()
				agents[2].Restart()
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			agents := c.agents(t)
			tw := newTwins(t, agents[0], agents[1])
			var loads []*callers
			for _, w := range tw.worlds {
				loads = append(loads, w.call(t, look))
			}
			more := func(n int64) {
				for _, load := range loads {
					load.more(n)
				}
			}
			goroutines := runtime.NumGoroutine()

			c.fail(agents)
			began := time.Now()
			more(200)
			tw.services[0].die()
			for time.Since(began) < faultTime(t) {
				more(50)
			}
			during := loads[0].served.Load() + loads[1].served.Load()
			// A machine that stands still lets calls be asked twice, each over a connection of its own: four goroutines. Thousands
			// of calls have been made.
			assert.LessOrEqual(t, runtime.NumGoroutine(), goroutines+10+4*len(loads)*sideBySide, "goroutines while Consul is away")

			c.mend(agents)
			mended := time.Now()
			tw.join(agents[0], 3)
			tw.agree(1, 2, 3)
			agreed := time.Since(mended)
			require.Eventually(t, func() bool { return tw.services[3].echo.count() > 0 }, 3*within, time.Millisecond, "calls to the new instance")
			more(200)
			// What goes is noticed, too: the watch has not stopped.
			require.NoError(t, tw.services[1].registry.Deregister(t.Context(), "echo-1"))
			tw.agree(2, 3)
			more(200)
			for _, load := range loads {
				load.stop()
				assert.Zero(t, load.failed.Load(), "of %d", load.served.Load())
			}
			t.Logf("%d calls, none failed; %d of them before Consul was back; both gateways agreed %s after that",
				loads[0].served.Load()+loads[1].served.Load(), during, agreed.Round(time.Millisecond))
		})
	}
}
