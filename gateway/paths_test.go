package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Nothing but the name of a procedure, to the letter, reaches a service.
func TestPathsByRawConnections(t *testing.T) {
	w, seen := newArrivals(t)
	for target, status := range map[string]int{
		change:                                             200,
		change + "?a=b":                                    200,
		"http://elsewhere" + change:                        200, // the form of RFC 9112, section 3.2.2; the host says nothing
		"/" + change:                                       501,
		change + "/":                                       501,
		"/." + change:                                      501,
		"/x/.." + change:                                   501,
		"/acme.echo.v1.EchoService//Change":                501,
		"/acme.echo.v1.EchoService/../Change":              501,
		"/acme.echo.v1.EchoService/x/../Change":            501,
		"/acme.echo.v1.EchoService%2fChange":               501,
		"/acme.echo.v1.EchoService%2FChange":               501,
		"/acme.echo.v1.EchoService/%43hange":               501,
		"/acme.echo.v1.EchoService/Change%00":              501,
		"/acme.echo.v1.EchoService/Change%0d%0aX:%201":     501,
		"/acme.echo.v1.EchoService/change":                 501,
		"/ACME.echo.v1.EchoService/Change":                 501,
		"/acme.echo.v1.EchoService/Change;x":               501,
		"/acme.echo.v1.EchoService/Change%20":              501,
		`/acme.echo.v1.EchoService\Change`:                 501,
		"/acme.echo.v1.EchoService/Ch\u0430nge":            501, // a Cyrillic letter
		"/" + strings.Repeat("a", 60_000):                  501,
		"/" + strings.Repeat("a/", 20_000) + ".." + change: 501,
		secret: 501,
		"/ashlar.kernel.v1.ManifestService/GetManifest": 501,
		"*":      501,
		"change": 400,
	} {
		t.Run(target[:min(len(target), 60)], func(t *testing.T) {
			statuses := w.send(lines("POST "+target+" HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Length: 2")+"{}", 1)
			require.Equal(t, []int{status}, statuses)
			arrived := seen.take()
			if status != http.StatusOK {
				assert.Empty(t, arrived)
				return
			}
			require.Len(t, arrived, 1)
			assert.Equal(t, "POST "+change, arrived[0].target, "without a query")
		})
	}
	assert.Equal(t, []int{http.StatusRequestHeaderFieldsTooLarge}, w.send("POST /"+strings.Repeat("a", 100_000)+" HTTP/1.1\r\nHost: x\r\n\r\n", 1))
}

// What a caller writes into headers stays in its line, and what is not for him to say is removed.
func TestHeadersFromOutside(t *testing.T) {
	w, seen := newArrivals(t)
	for _, path := range []string{change, count} { // by either way to a service
		_ = w.send(lines("POST "+path+" HTTP/1.1", "Host: evil.example", "Content-Type: application/"+map[string]string{change: "json", count: "connect+json"}[path],
			"Connection: keep-alive, X-Listed", "X-Listed: 1", "Keep-Alive: timeout=5", "TE: trailers", "Trailer: X", "Expect:",
			"X-Forwarded-For: 1.2.3.4", "x_forwarded_host: 1.2.3.4", "Forwarded: for=1.2.3.4", "X-Real-IP: 1.2.3.4", "Ashlar-Workload: forged",
			"aShLaR_wOrKlOaD: forged", "Traceparent: 00-11111111111111111111111111111111-1111111111111111-01", "Authorization: Bearer sesame",
			"X-Kept: a\tb", "X-Twice: 1", "X-Twice: 2", "Content-Length: 7")+"\x00\x00\x00\x00\x02{}", 1)
		arrived := seen.take()
		require.Len(t, arrived, 1, path)
		header := arrived[0].header
		for _, name := range []string{"X-Listed", "Keep-Alive", "Te", "Trailer", "Forwarded", "X-Real-Ip", "Ashlar-Workload", "Ashlar_wOrKlOaD", "Authorization", "X_forwarded_host"} {
			assert.NotContains(t, header, http.CanonicalHeaderKey(name), path)
		}
		assert.Equal(t, []string{"127.0.0.1"}, header["X-Forwarded-For"], path)
		assert.Equal(t, []string{"evil.example"}, header["X-Forwarded-Host"], path)
		assert.Equal(t, []string{"http"}, header["X-Forwarded-Proto"], path)
		assert.Equal(t, []string{"a\tb"}, header["X-Kept"], path)
		assert.Equal(t, []string{"1", "2"}, header["X-Twice"], path)
		require.Len(t, header["Traceparent"], 1, path)
		assert.Regexp(t, "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$", header.Get("Traceparent"))
		assert.NotContains(t, header.Get("Traceparent"), "1111111111111111")
	}
}
