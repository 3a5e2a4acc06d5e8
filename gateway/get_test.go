package gateway_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Over HTTP/2 a request may say that it has ended in a frame after its headers; over HTTP/1.1 a body of unknown length
// is a body.
func TestGetWithoutAndWithABody(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	for _, c := range []struct {
		name string
		h2   bool
		body io.Reader
		want int
	}{
		{"h2, ended later", true, struct{ io.Reader }{http.NoBody}, http.StatusOK},
		{"h2, with a body", true, struct{ io.Reader }{bytes.NewReader([]byte("x"))}, http.StatusUnsupportedMediaType},
		{"h2, with a length", true, bytes.NewReader([]byte("x")), http.StatusUnsupportedMediaType},
		{"http/1.1, chunked", false, struct{ io.Reader }{bytes.NewReader([]byte("x"))}, http.StatusUnsupportedMediaType},
		{"http/1.1", false, nil, http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			request, err := http.NewRequest(http.MethodGet, w.url(look+`?encoding=json&message=%7B%7D`), c.body)
			require.NoError(t, err)
			response, err := newHTTPClient(t, c.h2).Do(request)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			assert.Equal(t, c.want, response.StatusCode)
		})
	}
}
