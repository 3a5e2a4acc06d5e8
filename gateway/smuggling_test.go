package gateway_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// arrivals notes every request that reaches a service, whatever it is for.
type arrivals struct {
	mu       sync.Mutex
	requests []arrival
}

type arrival struct {
	target, body string
	header       http.Header
}

// ServeHTTP implements http.Handler.
func (a *arrivals) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	a.mu.Lock()
	a.requests = append(a.requests, arrival{target: r.Method + " " + r.RequestURI, body: string(body), header: r.Header.Clone()})
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}")
}

// take returns what has come since the last time.
func (a *arrivals) take() []arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.requests
	a.requests = nil
	return out
}

// newArrivals returns a world whose test service notes what it is sent.
func newArrivals(t *testing.T) (*world, *arrivals) {
	w := newWorld(t, nil)
	b := w.add(echoOffer(t, newEcho()))
	w.routable(change, true)
	seen := &arrivals{}
	b.http.Handler = seen
	return w, seen
}

// send writes bytes to the gateway and returns the statuses of all that it answers until it ends the connection. It ends
// its own half after some answers: that cancels calls.
func (w *world) send(raw string, answers int) []int {
	w.t.Helper()
	connection, err := net.Dial("tcp", w.gateway.Address())
	require.NoError(w.t, err)
	defer func() { _ = connection.Close() }()
	require.NoError(w.t, connection.SetDeadline(time.Now().Add(within)))
	_, err = io.WriteString(connection, raw)
	require.NoError(w.t, err)
	var statuses []int
	reader := bufio.NewReader(connection)
	for {
		if len(statuses) == answers {
			_ = connection.(*net.TCPConn).CloseWrite() // it may be gone
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			// The gateway may cut a connection off on which there is nonsense.
			var reset *net.OpError
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &reset) {
				require.NoError(w.t, err)
			}
			return statuses
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		statuses = append(statuses, response.StatusCode)
	}
}

// lines joins lines of a head by CRLF and ends it.
func lines(head ...string) string { return strings.Join(head, "\r\n") + "\r\n\r\n" }

// post is the head of a call, with further lines.
func post(path string, further ...string) string {
	return lines(append([]string{"POST " + path + " HTTP/1.1", "Host: x", "Content-Type: application/json"}, further...)...)
}

// hidden is what somebody would like a service to take for a request of its own.
var hidden = lines("POST "+secret+" HTTP/1.1", "Host: x", "Content-Type: application/json", "Ashlar-Workload: forged", "Content-Length: 2") + "{}"

type smuggling struct {
	raw string
	// statuses that are answered, and bodies of the calls that the service gets.
	statuses []int
	bodies   []string
}

// ends is after how many answers the caller ends his half: before one that he causes by that.
func (s smuggling) ends() int {
	if len(s.statuses) > 0 && s.statuses[0] == 499 {
		return 0
	}
	return len(s.statuses)
}

// What one parser takes for a body and another for a request never gets to a service as a request, and what is sent to it
// is no more than what the gateway itself has understood.
func TestSmuggling(t *testing.T) {
	w, seen := newArrivals(t)
	for name, c := range map[string]smuggling{
		"plain":     {post(change, "Content-Length: 2") + "{}", []int{200}, []string{"{}"}},
		"pipelined": {post(change, "Content-Length: 2") + "{}" + post(change, "Content-Length: 3") + "{ }", []int{200, 200}, []string{"{}", "{ }"}},
		"chunked":   {post(change, "Transfer-Encoding: chunked") + "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", []int{200}, []string{"{}"}},
		// The chunks count (RFC 9112, section 6.3), and what follows them is refused as a request.
		"CL.TE": {
			post(change, "Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\nG",
			[]int{200}, []string{""},
		},
		// What a front that goes by the length would take for the body is a request of the caller's own, refused as such.
		"CL.TE with a request inside": {
			post(change, "Content-Length: 300", "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden,
			[]int{200, 501}, []string{""},
		},
		"TE.CL": {
			post(change, "Content-Length: 4", "Transfer-Encoding: chunked") + "2\r\n{}\r\n0\r\n\r\n",
			[]int{200}, []string{"{}"},
		},
		"two lengths":                {post(change, "Content-Length: 2", "Content-Length: 200") + "{}" + hidden, []int{400}, nil},
		"two lengths in one line":    {post(change, "Content-Length: 2, 200") + "{}" + hidden, []int{400}, nil},
		"a signed length":            {post(change, "Content-Length: +2") + "{}", []int{400}, nil},
		"a negative length":          {post(change, "Content-Length: -2") + "{}", []int{400}, nil},
		"a length in hexadecimal":    {post(change, "Content-Length: 0x2") + "{}", []int{400}, nil},
		"an endless length":          {post(change, "Content-Length: 99999999999999999999") + "{}", []int{400}, nil},
		"an unknown transfer coding": {post(change, "Transfer-Encoding: xchunked") + "{}", []int{501}, nil},
		"two transfer codings":       {post(change, "Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", []int{501}, nil},
		"transfer coding twice":      {post(change, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n", []int{501}, nil},
		"a space before the colon":   {post(change, "Content-Length : 2") + "{}", []int{400}, nil},
		"TE with a space":            {post(change, "Transfer-Encoding : chunked", "Content-Length: 2") + "{}", []int{400}, nil},
		"TE with a tab":              {post(change, "Transfer-Encoding:\tchunked") + "0\r\n\r\n" + hidden, []int{200, 501}, []string{""}},
		"TE with a vertical tab":     {post(change, "Transfer-Encoding: \vchunked", "Content-Length: 2") + "{}", []int{400}, nil},
		"a name with a NUL":          {post(change, "X\x00: 1", "Content-Length: 2") + "{}", []int{400}, nil},
		"a value with a NUL":         {post(change, "X: 1\x00", "Content-Length: 2") + "{}", []int{400}, nil},
		"a bare CR in a value":       {post(change, "X: 1\rAshlar-Workload: forged", "Content-Length: 2") + "{}", []int{400}, nil},
		"a chunk size that overflows": {
			post(change, "Transfer-Encoding: chunked") + "FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n", []int{499}, nil,
		},
		"a chunk size with a sign": {post(change, "Transfer-Encoding: chunked") + "+2\r\n{}\r\n0\r\n\r\n", []int{499}, nil},
		"a chunk longer than it says": {
			post(change, "Transfer-Encoding: chunked") + "2\r\n{}}\r\n0\r\n\r\n" + hidden, []int{499}, nil,
		},
		"an HTTP/0.9 request": {"GET " + look + "\r\n\r\n", []int{400}, nil},
		"no host":             {lines("POST "+change+" HTTP/1.1", "Content-Type: application/json", "Content-Length: 2") + "{}", []int{400}, nil},
		"two hosts":           {post(change, "Host: y", "Content-Length: 2") + "{}", []int{400}, nil},
		"a request in a body": {
			post(change, "Content-Length: "+strconv.Itoa(len(hidden))) + hidden, []int{200}, []string{hidden},
		},
		"a body cut off": {post(change, "Content-Length: 20") + "{}", []int{499}, nil},
		"an upgrade": {
			post(change, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Content-Length: 2") + "{}",
			[]int{200}, []string{"{}"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			statuses := w.send(c.raw, c.ends())
			assert.Equal(t, c.statuses, statuses)
			var bodies []string
			for _, a := range seen.take() {
				assert.Equal(t, "POST "+change, a.target)
				assert.Empty(t, a.header.Get("Ashlar-Workload"))
				assert.Empty(t, a.header.Get("Transfer-Encoding"))
				assert.Empty(t, a.header.Get("Upgrade"))
				bodies = append(bodies, a.body)
			}
			assert.Equal(t, c.bodies, bodies)
		})
	}
}
