package overload

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// backend works on calls in the order in which they come, so many at a time, also on those whose callers are gone: it does
// not know. Its time is that of the test.
type backend struct {
	now     time.Duration
	workers int
	takes   func() time.Duration
	queue   []*request
	callers []*request // in the order in which they come and, if they are not answered, leave
	busy    done
	done    []*request
}

type request struct {
	came, ended time.Duration
	slot        Slot
	priority    Priority
	caller      uint64
}

// done holds what is being worked on, by when it will be done.
type done []*request

func (d *done) Len() int           { return len(*d) }
func (d *done) Less(i, j int) bool { return (*d)[i].ended < (*d)[j].ended }
func (d *done) Swap(i, j int)      { (*d)[i], (*d)[j] = (*d)[j], (*d)[i] }
func (d *done) Push(x any)         { *d = append(*d, x.(*request)) }
func (d *done) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

// until lets time pass.
func (b *backend) until(t time.Duration) {
	for {
		for len(b.busy) < b.workers && len(b.queue) > 0 {
			r := b.queue[0]
			b.queue = b.queue[1:]
			r.ended = b.now + b.takes()
			heap.Push(&b.busy, r)
		}
		next := t
		if len(b.busy) > 0 {
			next = min(t, b.busy[0].ended)
		}
		for len(b.callers) > 0 && b.callers[0].came+callerPatience <= next {
			b.now = b.callers[0].came + callerPatience
			b.callers[0].slot.Abandon()
			b.callers = b.callers[1:]
		}
		if len(b.busy) == 0 || b.busy[0].ended > t {
			b.now = t
			return
		}
		r := heap.Pop(&b.busy).(*request)
		b.now = r.ended
		answered(&r.slot)
		b.done = append(b.done, r)
	}
}

// load is what a run is about.
type load struct {
	perSecond float64
	callers   int
	high      float64 // part of the calls
	lasts     time.Duration
	limited   bool
}

// outcome is what came of it.
type outcome struct {
	good             float64 // answered within patience, each second
	p99              time.Duration
	high, highPassed int
	passed           map[uint64]int
}

// callerPatience is how long callers wait.
const callerPatience = 500 * time.Millisecond

func (b *backend) run(p *Procedure, l load) outcome {
	random := rand.New(rand.NewPCG(1, 2))
	out := outcome{passed: map[uint64]int{}}
	b.done = nil
	end := b.now + l.lasts
	for b.now < end {
		b.until(b.now + time.Duration(random.ExpFloat64()/l.perSecond*float64(time.Second)))
		r := &request{came: b.now, caller: uint64(random.IntN(l.callers))}
		if random.Float64() < l.high {
			r.priority = High
			out.high++
		}
		if l.limited {
			slot, ok := p.Enter(r.caller, r.priority)
			if !ok {
				continue
			}
			r.slot = slot
		}
		if r.priority == High {
			out.highPassed++
		}
		out.passed[r.caller]++
		b.queue = append(b.queue, r)
		b.callers = append(b.callers, r)
	}
	var took []time.Duration
	for _, r := range b.done {
		took = append(took, r.ended-r.came)
		if r.ended-r.came <= callerPatience {
			out.good++
		}
	}
	out.good /= l.lasts.Seconds()
	slices.Sort(took)
	if len(took) > 0 {
		out.p99 = took[len(took)*99/100]
	}
	return out
}

func newBackend(workers int, mean time.Duration) (*backend, *Procedure) {
	random := rand.New(rand.NewPCG(3, 4))
	b := &backend{workers: workers, takes: func() time.Duration { return time.Duration(random.ExpFloat64() * float64(mean)) }}
	return b, newService(func() time.Duration { return b.now }).Procedure("p")
}

// Ten times what a service can do.
func TestOverload(t *testing.T) {
	for name, c := range map[string]struct {
		workers int
		mean    time.Duration
	}{
		"few that are fast":  {4, 10 * time.Millisecond},
		"some":               {16, 20 * time.Millisecond},
		"many that are slow": {64, 50 * time.Millisecond},
		"one":                {1, 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			capacity := float64(c.workers) / c.mean.Seconds()
			unguarded, _ := newBackend(c.workers, c.mean)
			collapsed := unguarded.run(nil, load{perSecond: 10 * capacity, callers: 100, lasts: 20 * time.Second})
			assert.Less(t, collapsed.good, 0.1*capacity, "without a limit hardly anybody is answered in time")

			b, p := newBackend(c.workers, c.mean)
			usual := b.run(p, load{perSecond: capacity / 2, callers: 100, lasts: 10 * time.Second, limited: true})
			assert.InDelta(t, capacity/2, usual.good, capacity*0.06)
			b.run(p, load{perSecond: 10 * capacity, callers: 100, high: 0.02, lasts: 3 * time.Second, limited: true})
			got := b.run(p, load{perSecond: 10 * capacity, callers: 100, high: 0.02, lasts: 60 * time.Second, limited: true})
			limit, _ := p.service.Limit()
			t.Logf("capacity %.0f, good %.0f (%.0f without), p99 %v, high %d of %d, limit %d",
				capacity, got.good, collapsed.good, got.p99, got.highPassed, got.high, limit)
			assert.Greater(t, got.good, 0.8*capacity)
			assert.Less(t, got.p99, callerPatience)
			assert.Greater(t, float64(got.highPassed), 0.95*float64(got.high), "what is important passes")

			after := b.run(p, load{perSecond: capacity / 2, callers: 100, lasts: 20 * time.Second, limited: true})
			assert.InDelta(t, capacity/2, after.good, capacity*0.06)
			_, limited := p.service.Limit()
			assert.False(t, limited, "when it is over, nothing is left of it")
		})
	}
}

// A gateway that starts in the middle of it has never seen what is usual.
func TestOverloadFromTheBeginning(t *testing.T) {
	b, p := newBackend(16, 20*time.Millisecond)
	b.run(nil, load{perSecond: 8000, callers: 100, lasts: 500 * time.Millisecond})
	b.run(p, load{perSecond: 8000, callers: 100, lasts: 60 * time.Second, limited: true})
	got := b.run(p, load{perSecond: 8000, callers: 100, lasts: 20 * time.Second, limited: true})
	t.Logf("good %.0f, p99 %v", got.good, got.p99)
	assert.Greater(t, got.good, 0.8*800)
	assert.Less(t, got.p99, callerPatience)
}

// A service that takes longer for reasons of its own, such as larger answers, is not overloaded: it is asked less until that is
// clear, and not for good.
func TestWhatIsUsualChanges(t *testing.T) {
	b, p := newBackend(1000, 10*time.Millisecond)
	at := load{perSecond: 2000, callers: 100, lasts: 10 * time.Second, limited: true}
	b.run(p, at)
	random := rand.New(rand.NewPCG(5, 6))
	b.takes = func() time.Duration { return time.Duration(random.ExpFloat64() * float64(80*time.Millisecond)) }
	b.run(p, at)
	again := b.run(p, at)
	assert.InDelta(t, 2000, again.good, 100)
}

// Under any load below capacity nobody is refused.
func TestNothingIsRefusedWithoutNeed(t *testing.T) {
	for _, part := range []float64{0.1, 0.5, 0.8} {
		b, p := newBackend(32, 20*time.Millisecond)
		got := b.run(p, load{perSecond: part * 1600, callers: 100, lasts: 60 * time.Second, limited: true})
		passed := 0
		for _, n := range got.passed {
			passed += n
		}
		assert.InDelta(t, part*1600*60, passed, part*1600*60*0.02)
	}
}

// Somebody who floods a service leaves room for others.
func TestOneOfMany(t *testing.T) {
	b, p := newBackend(16, 20*time.Millisecond)
	b.run(p, load{perSecond: 400, callers: 100, lasts: 5 * time.Second, limited: true})
	random := rand.New(rand.NewPCG(7, 8))
	asked, passed := 0, 0
	for end := b.now + 30*time.Second; b.now < end; {
		b.until(b.now + time.Duration(random.ExpFloat64()/8000*float64(time.Second)))
		caller := uint64(200)
		if random.Float64() < 0.02 {
			caller = uint64(random.IntN(100))
			asked++
		}
		if slot, ok := p.Enter(caller, Normal); ok {
			if caller != 200 {
				passed++
			}
			r := &request{came: b.now, slot: slot}
			b.queue, b.callers = append(b.queue, r), append(b.callers, r)
		}
	}
	assert.Greater(t, float64(passed), 0.9*float64(asked))
}

func TestOrderOfPriorities(t *testing.T) {
	for limit := int64(floor); limit < 1000; limit++ {
		assert.Less(t, Low.of(limit), Normal.of(limit))
		assert.Less(t, Normal.of(limit), High.of(limit))
	}
	assert.Positive(t, High.of(math.MaxInt32))
}

// answered ends a call that the service needed all that time for.
func answered(slot *Slot) {
	slot.Release(slot.Age())
	slot.Learn()
}

func TestSlotsEndOnce(t *testing.T) {
	s := NewService()
	slot, ok := s.Procedure("p").Enter(1, Normal)
	assert.True(t, ok)
	answered(&slot)
	slot.Abandon()
	slot.Forget()
	slot, ok = s.Procedure("p").Enter(1, High)
	assert.True(t, ok && slot.Waiting())
	slot.Release(time.Second)
	assert.False(t, slot.Waiting())
	assert.Zero(t, s.inFlight.Load(), "the place is free before it is known how the answer ends")
	slot.Release(time.Second)
	slot.Learn()
	slot.Learn()
	var none Slot
	answered(&none)
	assert.Zero(t, s.inFlight.Load())
	assert.Zero(t, s.callers[1].Load())
}

func BenchmarkEnter(b *testing.B) {
	p := NewService().Procedure("p")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := uint64(0); pb.Next(); i++ {
			if slot, ok := p.Enter(i, Normal); ok {
				answered(&slot)
			}
		}
	})
}

// Who is alone may use what nobody else wants; the next one still finds a place, and then each has his half.
func TestOneCallerAndAnother(t *testing.T) {
	s := newService(func() time.Duration { return 0 })
	s.limit.Store(floor)
	p := s.Procedure("/x/Y")
	enter := func(caller uint64) (entered []Slot) {
		for range floor {
			if slot, ok := p.Enter(caller, Normal); ok {
				entered = append(entered, slot)
			}
		}
		return entered
	}
	mine := enter(1)
	require.Len(t, mine, floor-1)
	require.Len(t, enter(2), 1)
	for i := range mine {
		mine[i].Forget()
	}
	require.Len(t, enter(1), floor/2)
	require.Len(t, enter(2), floor/2-1)
}
