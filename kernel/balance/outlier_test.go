package balance

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/memory"
)

// clocked is a transport over n instances whose clock the test moves.
type clocked struct {
	*Transport

	directory *memory.Registry
	now       time.Duration
}

func newClocked(t *testing.T, n int) *clocked {
	t.Helper()
	directory := memory.New()
	for i := range n {
		require.NoError(t, directory.Register(t.Context(), discovery.Registration{Instance: instanceOf(i, "127.0.0.1:"+string(rune('1'+i)))}))
	}
	c := &clocked{Transport: New(directory, nil), directory: directory, now: time.Minute}
	c.clock = func() time.Duration { return c.now }
	return c
}

// lease takes one for a request that was offered to nobody yet.
func (c *clocked) lease(t *testing.T) Lease {
	t.Helper()
	lease, err := c.Lease(t.Context(), "orders", &Tries{})
	require.NoError(t, err)
	return lease
}

// counts says how many of so many requests, each answered at once, go where.
func (c *clocked) counts(t *testing.T, n int) map[string]int {
	t.Helper()
	out := map[string]int{}
	for range n {
		lease := c.lease(t)
		out[lease.endpoint.id]++
		lease.Done(Answered, &Tries{}, nil)
	}
	return out
}

func (c *clocked) ejected() int {
	n := 0
	for _, e := range c.cluster("orders").current().endpoints {
		if !e.ready(c.now) {
			n++
		}
	}
	return n
}

var errGarbage = errors.New("garbage")

func TestInstanceAtWhichAllBreaksIsPassedOver(t *testing.T) {
	c := newClocked(t, 3)
	broken, breaks := "orders-1", 0
	for range 1000 {
		lease := c.lease(t)
		if lease.endpoint.id == broken {
			breaks++
			lease.Done(Broken, &Tries{}, errGarbage)
		} else {
			lease.Done(Answered, &Tries{}, nil)
		}
	}
	require.Equal(t, maxStrikes, breaks, "no more once it is out")

	c.now += maxProbation * 2 // one request finds out, and it is no better
	for range 100 {
		lease := c.lease(t)
		if lease.endpoint.id == broken {
			breaks++
			lease.Done(Broken, &Tries{}, errGarbage)
		} else {
			lease.Done(Answered, &Tries{}, nil)
		}
	}
	require.Equal(t, maxStrikes+1, breaks)

	c.now += maxProbation * 2 // it is well again
	require.Positive(t, c.counts(t, 300)[broken])
	c.now += slowStart
	require.InDelta(t, 1000, c.counts(t, 3000)[broken], 250)
}

// What breaks now and then, between answers, is found by its share.
func TestInstanceAtWhichHalfBreaksIsPassedOver(t *testing.T) {
	c := newClocked(t, 2)
	sick := c.cluster("orders").current().endpoints[0]
	for i := range 100 {
		lease := c.lease(t)
		if lease.endpoint == sick && i%5 != 0 {
			lease.Done(Broken, &Tries{}, errGarbage)
		} else {
			lease.Done(Answered, &Tries{}, nil)
		}
		c.now += time.Millisecond
		if !sick.ready(c.now) {
			return
		}
	}
	t.Fatal("it is still in use")
}

func TestFewFailuresAmongManyAnswersDoNotMatter(t *testing.T) {
	c := newClocked(t, 2)
	for i := range 10_000 {
		outcome := Answered
		if i%10 == 0 {
			outcome = Broken
		}
		c.lease(t).Done(outcome, &Tries{}, errGarbage)
		c.now += time.Millisecond
	}
	require.Zero(t, c.ejected())
}

func TestCallersWhoGiveUpSayNothing(t *testing.T) {
	c := newClocked(t, 2)
	for range 1000 {
		c.lease(t).Done(Abandoned, &Tries{}, nil)
	}
	require.Zero(t, c.ejected())
}

// Whatever happens, at least half of the instances that can be dialed stay in use, what is outstanding is counted, and a
// request always has where to go.
func TestNeverMoreThanHalfAreOut(t *testing.T) {
	for range 20 {
		n := 1 + rand.IntN(8)
		c := newClocked(t, n)
		var open []Lease
		for range 2000 {
			switch rand.IntN(4) {
			case 0, 1:
				open = append(open, c.lease(t))
			case 2:
				if len(open) > 0 {
					open[0].Done([]Outcome{Abandoned, Answered, Broken, Broken, Broken}[rand.IntN(5)], &Tries{}, errGarbage)
					open = open[1:]
				}
			case 3:
				c.now += rand.N(100 * time.Millisecond)
			}
			require.LessOrEqual(t, c.ejected(), n/2, "of %d", n)
		}
		for _, lease := range open {
			lease.Done(Answered, &Tries{}, nil)
		}
		for _, e := range c.cluster("orders").current().endpoints {
			require.Zero(t, e.outstanding.Load())
		}
	}
}

func TestNewInstanceBeginsWithLess(t *testing.T) {
	c := newClocked(t, 2)
	require.InDelta(t, 500, c.counts(t, 1000)["orders-0"], 150, "those that were there first share at once")
	require.NoError(t, c.directory.Register(t.Context(), discovery.Registration{Instance: instanceOf(2, "127.0.0.1:9")}))
	var shares []int
	for range 5 {
		shares = append(shares, c.counts(t, 3000)["orders-2"])
		c.now += slowStart / 4
	}
	require.Positive(t, shares[0], "it gets its first request at once")
	require.Less(t, shares[0], 300)
	require.Less(t, shares[0], shares[2])
	require.Less(t, shares[2], shares[4])
	require.InDelta(t, 1000, shares[4], 250)
}

// Where there is nobody else, there is no slow start.
func TestOnlyInstanceGetsAll(t *testing.T) {
	c := newClocked(t, 1)
	require.Equal(t, 100, c.counts(t, 100)["orders-0"])
}

func TestRetriesAreABoundedPartOfTheLoad(t *testing.T) {
	c := newClocked(t, 2)
	retries := 0
	const requests = 5000
	for range requests {
		var tries Tries
		lease, err := c.Lease(t.Context(), "orders", &tries)
		require.NoError(t, err)
		lease.Done(Broken, &tries, errGarbage)
		if lease.Retry(&tries) {
			retries++
		}
	}
	require.Equal(t, (firstSaved+requests)/retryCost, retries)
	for range 10 * requests {
		c.lease(t).Done(Answered, &Tries{}, nil)
	}
	saved := 0
	for c.lease(t).Retry(&Tries{}) {
		saved++
	}
	require.InDelta(t, maxSaved/retryCost, saved, 20, "what is saved up is bounded")
}

// Where nobody else could take it, a retry is neither made nor paid for.
func TestNobodyElseToRetryAt(t *testing.T) {
	c := newClocked(t, 1)
	for range 10 * firstSaved {
		var tries Tries
		lease, err := c.Lease(t.Context(), "orders", &tries)
		require.NoError(t, err)
		lease.Done(Broken, &tries, errGarbage)
		require.False(t, lease.Retry(&tries))
	}
	c.Counts(func(_ string, counts Counts) {
		require.Zero(t, counts.Retried)
		require.Zero(t, counts.Denied)
	})
	require.NoError(t, c.directory.Register(t.Context(), discovery.Registration{Instance: instanceOf(1, "127.0.0.1:2")}))
	var tries Tries
	lease, err := c.Lease(t.Context(), "orders", &tries)
	require.NoError(t, err)
	require.True(t, lease.Retry(&tries), "all of the budget is there")
}

func TestGoneInstancesAreTold(t *testing.T) {
	directory := memory.New()
	var told []string
	transport := New(directory, nil, WithGone(func(address string) { told = append(told, address) }))
	for i, address := range []string{"127.0.0.1:1", "127.0.0.1:2"} {
		require.NoError(t, directory.Register(t.Context(), discovery.Registration{Instance: instanceOf(i, address)}))
	}
	ask := func() {
		lease, err := transport.Lease(t.Context(), "orders", &Tries{})
		require.NoError(t, err)
		lease.Done(Abandoned, &Tries{}, nil)
	}
	ask()
	require.Empty(t, told)
	require.NoError(t, directory.Deregister(t.Context(), "orders-0"))
	ask()
	require.Equal(t, []string{"127.0.0.1:1"}, told)
}
