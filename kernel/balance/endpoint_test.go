package balance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProbationGrowsAndEnds(t *testing.T) {
	e := &endpoint{}
	var now time.Duration
	require.True(t, e.ready(now) && e.claim(now))

	last := time.Duration(0)
	for range 20 {
		e.failed(now, now)
		require.False(t, e.ready(now))
		require.False(t, e.claim(now))
		for range 10 { // sent before or in the probation: no news
			e.failed(now-1, now+1)
			e.failed(now+1, now+1)
		}
		length := e.resumes - now
		require.Greater(t, length, last*3/5-1, "it shrank by more than the jitter")
		require.LessOrEqual(t, length, maxProbation*5/4)
		last = length

		now = e.resumes
		require.True(t, e.ready(now))
		require.True(t, e.claim(now), "one request finds out")
		require.False(t, e.claim(now), "only one")
		require.False(t, e.ready(now))
	}
	require.Greater(t, last, maxProbation/2)

	e.reached(now-maxProbation*2, now)
	require.False(t, e.ready(now), "an old connection says nothing")
	e.reached(now, now)
	require.True(t, e.ready(now) && e.claim(now) && e.claim(now))

	e.failed(now, now)
	require.LessOrEqual(t, e.resumes-now, firstProbation*5/4, "it starts small again")
}

func TestProbeThatTellsNothingIsFollowedByAnother(t *testing.T) {
	e := &endpoint{}
	e.failed(0, 0)
	now := e.resumes
	require.True(t, e.claim(now))
	require.False(t, e.claim(now+probeFor-1))
	require.True(t, e.claim(now+probeFor))
}
