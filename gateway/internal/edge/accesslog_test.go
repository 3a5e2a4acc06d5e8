package edge

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSampleIsTheShareOfAll(t *testing.T) {
	const n = 20_000
	for _, share := range []float64{0, 0.01, 0.5, 0.999_999_999_999_999_9, 1} {
		h := &Handler{access: &accessLog{}}
		h.current.Store(&current{access: AccessLog{Sample: share}.sampling()})
		got := 0
		for range n {
			c := &call{h: h, trace: newTrace(), code: "ok"}
			if _, ok := c.occasion(0); ok {
				got++
			}
		}
		assert.InDelta(t, share*n, got, 400, "of %d at %v", n, share) // 400: more than five standard deviations
	}
}
