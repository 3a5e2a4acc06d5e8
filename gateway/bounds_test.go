package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What heads of requests may have: in bytes, and so in number.
func TestHeadsThatAreTooLarge(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	before := e.count()
	var many strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&many, "X-A%d: aaaaaaaaaa\r\n", i)
	}
	for name, head := range map[string]string{
		"one long field": "X-A: " + strings.Repeat("a", 128<<10) + "\r\n",
		"many fields":    many.String(),
	} {
		t.Run(name, func(t *testing.T) {
			status, _ := w.raw("POST " + look + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n" + head + "\r\n{}")
			assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, status)
		})
		t.Run(name+" by HTTP/2", func(t *testing.T) {
			request, err := http.NewRequest(http.MethodPost, w.url(look), strings.NewReader("{}"))
			require.NoError(t, err)
			request.Header.Set("Content-Type", "application/json")
			for line := range strings.SplitSeq(strings.TrimSpace(head), "\r\n") {
				field, value, _ := strings.Cut(line, ": ")
				request.Header.Set(field, value)
			}
			response, err := newHTTPClient(t, true).Do(request)
			if err == nil {
				assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
				require.NoError(t, response.Body.Close())
			}
		})
	}
	assert.Equal(t, before, e.count())
	w.routable(look, true)
}
