package cache

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestFreshness(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header          http.Header
		toPerson, toAll time.Duration // 0: not kept
	}{
		{http.Header{}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=60"}}, time.Minute, time.Minute},
		{http.Header{"Cache-Control": {"Max-Age=60, MUST-REVALIDATE"}}, time.Minute, time.Minute},
		{http.Header{"Cache-Control": {"public", "max-age=60"}}, time.Minute, time.Minute},
		{http.Header{"Cache-Control": {"private, max-age=60"}}, time.Minute, 0},
		{http.Header{"Cache-Control": {"max-age=60, s-maxage=5"}}, time.Minute, 5 * time.Second},
		{http.Header{"Cache-Control": {"s-maxage=5"}}, 0, 5 * time.Second},
		{http.Header{"Cache-Control": {"max-age=31536000"}}, maxFresh, maxFresh},
		{http.Header{"Cache-Control": {"max-age=60"}, "Age": {"50"}}, 10 * time.Second, 10 * time.Second},
		{http.Header{"Cache-Control": {"max-age=60"}, "Age": {"60"}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=60"}, "Age": {"x"}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=60"}, "Age": {"1", "2"}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=0"}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=-1"}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=1.5"}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age="}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=99999999999999999999"}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=60, max-age=5"}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=60", "no-store"}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=60, no-cache"}}, 0, 0},
		{http.Header{"Cache-Control": {`max-age=60, private="x, public"`}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=60"}, "Set-Cookie": {"a=b"}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"Accept-Encoding, Authorization"}}, time.Minute, time.Minute},
		{http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"Accept-Encoding", "X-Tenant"}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"Accept-Encoding, Origin"}}, 0, 0},
		{http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"*"}}, 0, 0},
	} {
		for shared, want := range map[bool]time.Duration{false: c.toPerson, true: c.toAll} {
			fresh, _, ok := Freshness(c.header, shared)
			require.Equal(t, want > 0, ok, "%v %v", c.header, shared)
			if ok {
				require.Equal(t, want, fresh, "%v %v", c.header, shared)
			}
		}
	}
}

// Whatever a service says, what must not be kept is not, and nothing is kept for longer than it may be.
func FuzzFreshness(f *testing.F) {
	f.Add("max-age=60, private", "Origin", "3", true)
	f.Add(`no-store="x"`, "*", "", false)
	f.Fuzz(func(t *testing.T, control, vary, age string, shared bool) {
		header := http.Header{"Cache-Control": {control}, "Vary": {vary}}
		if age != "" {
			header["Age"] = []string{age}
		}
		fresh, _, ok := Freshness(header, shared)
		require.True(t, !ok || fresh > 0 && fresh <= maxFresh)
		header.Add("Cache-Control", "no-store")
		_, _, ok = Freshness(header, shared)
		require.False(t, ok)
	})
}

// What is kept never takes more than it may, and what is counted is what is there.
func TestBounds(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	c, err := New(size, prometheus.NewRegistry())
	require.NoError(t, err)
	now := time.Now()
	for range 5000 {
		k := Key{Procedure: "/a.v1.S/M", Query: fmt.Sprint(rand.IntN(500))}
		switch rand.IntN(3) {
		case 0:
			c.Get(k, now.Add(time.Duration(rand.IntN(20))*time.Second))
		default:
			c.Put(k, &Answer{Body: make([]byte, rand.IntN(size/share+1000)), Until: now.Add(10 * time.Second)})
		}
		total := int64(0)
		for _, k := range c.answers.Keys() {
			a, _ := c.answers.Peek(k)
			total += k.bytes(a)
		}
		require.Equal(t, total, c.bytes)
		require.LessOrEqual(t, c.bytes, int64(size))
	}
	require.Positive(t, c.answers.Len())
	for i := range 3 * size / overhead { // the smallest there are
		c.Put(Key{Query: fmt.Sprint(i)}, &Answer{Until: now.Add(time.Second)})
	}
	require.LessOrEqual(t, c.bytes, int64(size))
	require.LessOrEqual(t, c.answers.Len(), size/overhead)
}

func TestNobodyWaitsForWhatIsNotKept(t *testing.T) {
	t.Parallel()
	c, err := New(1<<20, prometheus.NewRegistry())
	require.NoError(t, err)
	k := Key{Procedure: "/a.v1.S/M"}
	landed, wait := c.Fly(k)
	require.True(t, landed == nil && wait == nil)
	c.Worthwhile(k.Procedure, true)
	landed, wait = c.Fly(k)
	require.True(t, landed != nil && wait == nil)
	again, wait := c.Fly(k)
	require.True(t, again == nil && wait != nil)
	c.Worthwhile(k.Procedure, false)
	landed()
	<-wait
	landed, wait = c.Fly(k)
	require.True(t, landed == nil && wait == nil)
}
