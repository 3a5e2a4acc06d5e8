package limit

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStreams(t *testing.T) {
	s := streams(2)
	me := Principal("usr_1")
	leave, ok := s.Enter(me, site)
	require.True(t, ok)
	other, ok := s.Enter(me, site)
	require.True(t, ok)
	_, ok = s.Enter(me, site)
	assert.False(t, ok)
	fromSite, ok := s.Enter(site, site)
	assert.True(t, ok)
	leave()
	again, ok := s.Enter(me, site)
	assert.True(t, ok)
	again()
	other()
	fromSite()
	assert.Empty(t, s.open, "nobody is remembered")
}

func TestStreamsOfAnAddress(t *testing.T) {
	s := streams(1)
	open := 0
	for i := range 100 {
		if _, ok := s.Enter(Principal(fmt.Sprint("usr_", i)), site); ok {
			open++
		}
	}
	assert.Equal(t, Crowd, open)
}

func TestNoBoundOfStreams(t *testing.T) {
	s := streams(0)
	for range 1000 {
		_, ok := s.Enter(site, site)
		assert.True(t, ok)
	}
}

func streams(each int) *Streams {
	s := NewStreams()
	s.SetEach(each)
	return s
}
