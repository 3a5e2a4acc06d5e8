package gateway_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway"
)

const goodKey = "ak_good"

func TestAPIKey(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	for range 5 {
		status, a := w.post(whoAmI, "{}", bearer(goodKey))
		require.Equal(t, http.StatusOK, status, a.raw)
		assert.NotContains(t, e.seen()["Authorization"][0], goodKey, "services see an access token")
	}
	assert.EqualValues(t, 1, w.exchanged.Load())
	status, a := w.post(whoAmI, "{}", bearer("ak_bad"))
	assert.Equal(t, http.StatusUnauthorized, status)
	assert.Equal(t, "API_KEY_INVALID", a.reason())
	assert.NotContains(t, w.out.String(), goodKey)
}

// Guessing is limited before it costs auth anything.
func TestGuessingAPIKeys(t *testing.T) {
	const burst = 20
	w := newWorld(t, func(c *gateway.Config) { c.RateLimit, c.RateBurst = 0.001, burst })
	w.add(echoOffer(t, newEcho()))
	require.Eventually(t, func() bool { return strings.Contains(w.out.String(), echoService) }, within, time.Millisecond)
	reasons := map[string]int{}
	for i := range 3 * burst {
		_, a := w.post(whoAmI, "{}", bearer("ak_"+strconv.Itoa(i)))
		reasons[a.reason()]++
	}
	assert.LessOrEqual(t, w.exchanged.Load(), int64(burst))
	assert.Positive(t, reasons["RATE_LIMITED"])
	assert.Equal(t, 3*burst, reasons["RATE_LIMITED"]+reasons["API_KEY_INVALID"], "%v", reasons)
}
