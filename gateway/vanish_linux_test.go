package gateway_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/gateway"
)

// A machine with an instance of a service is gone without a word, under load. Its streams end; calls without effects are all
// served, and of those with effects fail only what it had; when it is back, it is used again.
func TestAMachineVanishesUnderLoad(t *testing.T) {
	onTwoMachines(t, func(t *testing.T, other *machine) {
		const timeout = 8 * time.Second // longer than a machine stands still: calls that reach an instance must not end so
		// So many callers, the instances and the gateway have this machine to themselves at best: calls do take long.
		w := newWorld(t, withoutShedding)
		local := newEcho()
		o := echoOffer(t, local)
		o.policy.Timeout = durationpb.New(timeout)
		w.add(o)
		w.routable(look, true)
		w.enlist("echo-there", other.order("serve", ""))
		served := func() int {
			n, err := strconv.Atoi(other.order("served", ""))
			require.NoError(t, err)
			return n
		}
		inUse := func(t *testing.T) {
			before := served()
			require.Eventually(t, func() bool { return served() > before+20 }, 3*within, 10*time.Millisecond, "it gets calls")
		}
		t.Run("warm up", func(t *testing.T) {
			w.load(t)
			inUse(t)
		})
		w.out.forget()
		before, heap := goroutines(), heapBytes()
		for _, how := range []string{"pull the cable", "be mute"} {
			t.Run(how, func(t *testing.T) {
				loads := w.load(t)
				inUse(t)
				streams := w.streams(t, "http://"+w.gateway.Address(), "send-and-wait")
				require.Eventually(t, func() bool { return len(local.waiting)+waitingAt(other) == len(streams) }, within, time.Millisecond)
				there := waitingAt(other)
				require.NotZero(t, there)
				require.Less(t, there, len(streams))
				for _, load := range loads {
					load.save()
				}

				other.order(how, "")
				began := time.Now()
				ended := make(chan error, len(streams))
				for _, stream := range streams {
					go func() { ended <- stream.Receive(&structpb.Struct{}) }()
				}
				for range there {
					select {
					case err := <-ended:
						requireError(t, err, connect.CodeUnavailable, "SERVICE_UNAVAILABLE")
					case <-time.After(3 * within):
						t.Fatal("a stream to the machine goes on")
					}
				}
				took := time.Since(began)
				for _, load := range loads {
					load.drained()
				}
				assert.Empty(t, ended, "streams to the other one go on")
				other.order("come back", "")
				inUse(t)
				for name, load := range loads {
					load.stop()
					t.Logf("%s: %d calls, %d failed; the slowest took %s", name, load.served.Load()+load.failed.Load(), load.failed.Load(), load.slowest().Round(time.Millisecond))
					assert.Less(t, load.slowest(), timeout+within, name)
				}
				assert.Zero(t, loads["look"].failed.Load()+loads["look in gRPC"].failed.Load())
				assert.LessOrEqual(t, loads["change"].failed.Load(), int64(2*sideBySide))
				assert.LessOrEqual(t, loads["change in gRPC"].failed.Load(), int64(2*sideBySide))
				t.Logf("%d of %d streams ended, the last one after %s", there, len(streams), took.Round(time.Millisecond))
				for range len(streams) - there {
					<-local.waiting
				}
				for _, stream := range streams {
					_ = stream.Close()
				}
				for range len(streams) - there {
					<-local.ended
				}
				other.order("forget", "")
			})
			require.Eventually(t, func() bool { return goroutines() <= before+10 }, 3*within, 50*time.Millisecond, "goroutines stay: %d, then %d", before, goroutines())
			grown := int64(heapBytes()) - int64(heap)
			t.Logf("%d KiB more than before", grown>>10)
			assert.Less(t, grown, int64(16<<20), "bytes")
		}
	}, func(t *testing.T, orders orders) {
		e := newEcho()
		orders["serve"] = func(string) string {
			o := echoOffer(t, e)
			o.listen = thereAddress + ":0"
			return newEmptyWorld(t).add(o).listener.Addr().String()
		}
		orders["served"] = func(string) string { return strconv.Itoa(e.count()) }
		orders["waiting"] = func(string) string { return strconv.Itoa(len(e.waiting)) }
		orders["forget"] = func(string) string {
			for len(e.waiting) > 0 {
				<-e.waiting
			}
			return ""
		}
	})
}

func waitingAt(other *machine) int {
	n, err := strconv.Atoi(other.order("waiting", ""))
	require.NoError(other.t, err)
	return n
}

// load calls in all ways until the test ends.
func (w *world) load(t *testing.T) map[string]*callers {
	return map[string]*callers{
		"look": w.call(t, look), "look in gRPC": w.callBy(t, look, onceGRPC),
		"change": w.call(t, change), "change in gRPC": w.callBy(t, change, onceGRPC),
	}
}

// streams opens streams in all protocols, over both versions of HTTP, and waits for the first message of each.
func (w *world) streams(t *testing.T, url, do string) []connect.ClientStream {
	var out []connect.ClientStream
	for range 4 {
		for _, h2 := range []bool{false, true} {
			for _, options := range [][]connecthttp.Option{nil, {connecthttp.WithGRPC()}, {connecthttp.WithGRPCWeb()}} {
				client := connect.NewClient(connecthttp.NewTransport(newHTTPClient(t, h2), url, options...))
				stream, err := client.CallServerStream(t.Context(), spec(t, count), message("do", do))
				require.NoError(t, err)
				require.NoError(t, stream.Receive(&structpb.Struct{}))
				out = append(out, stream)
			}
		}
	}
	return out
}

// The machine of callers is gone without a word, in the middle of their streams: those on which nothing happens, and those that
// a service sends to again and again. The gateway lets go of them, and the service is told.
func TestTheMachineOfCallersVanishes(t *testing.T) {
	onTwoMachines(t, func(t *testing.T, other *machine) {
		w := newEmptyWorld(t)
		w.addAuth()
		w.start(func(cfg *gateway.Config) { cfg.Addr = hereAddress + ":0" })
		e := newEcho()
		w.add(echoOffer(t, e))
		w.routable(look, true)
		w.out.forget()
		before, heap := goroutines(), heapBytes()
		n, err := strconv.Atoi(other.order("call", "http://"+w.gateway.Address()))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return len(e.waiting) == n }, within, time.Millisecond)
		t.Run("gone", func(t *testing.T) {
			load := w.call(t, look)
			other.order("pull the cable", "")
			began := time.Now()
			var first time.Duration
			require.Eventually(t, func() bool {
				if first == 0 && len(e.ended) > 0 {
					first = time.Since(began)
				}
				return len(e.ended) == n
			}, 6*within, 10*time.Millisecond, "streams go on whose callers are gone")
			load.stop()
			t.Logf("%d streams ended, the first one after %s, the last one after %s; %d calls of others meanwhile",
				n, first.Round(time.Second), time.Since(began).Round(time.Second), load.served.Load())
			assert.Zero(t, load.failed.Load())
		})
		require.Eventually(t, func() bool { return goroutines() <= before+10 }, 3*within, 50*time.Millisecond, "goroutines stay")
		grown := int64(heapBytes()) - int64(heap)
		t.Logf("%d KiB more than before", grown>>10)
		assert.Less(t, grown, int64(16<<20), "bytes")
	}, func(t *testing.T, orders orders) {
		orders["call"] = func(url string) string {
			w := &world{t: t}
			n := 0
			for _, do := range []string{"send-and-wait", "drip"} {
				for _, stream := range w.streams(t, url, do) {
					n++
					go func() {
						for stream.Receive(&structpb.Struct{}) == nil { // nobody asks what comes
						}
					}()
				}
			}
			return fmt.Sprint(n)
		}
	})
}
