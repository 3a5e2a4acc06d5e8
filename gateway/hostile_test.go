package gateway_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	"ashlar.dev/gateway"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
)

// What a gateway of these tests allows. Where no setting says how long something may last, it is net/http's own time.
const (
	headerTimeout = 300 * time.Millisecond
	idleTimeout   = 600 * time.Millisecond
	callTimeout   = time.Second // for what attacks call; well-behaved callers have more, also on a busy machine
	atATime       = 10          // requests over one connection
	// answerTime is how long an answer may take to be written, unreadTime included: there is none where the machine stands still
	// for longer just then.
	answerTime = 2 * time.Second
)

// besieged is a world in which well-behaved callers call all the time.
type besieged struct {
	*world

	echo *echo
	dial func(t *testing.T) net.Conn
}

func newBesieged(t *testing.T, configure func(*gateway.Config)) *besieged {
	t.Helper()
	w := newWorld(t, func(c *gateway.Config) {
		withoutShedding(c)
		c.HeaderTimeout, c.IdleTimeout, c.MaxConnectionRequests = headerTimeout, idleTimeout, atATime
		if configure != nil {
			configure(c)
		}
	})
	e := newEcho()
	o := echoOffer(t, e)
	o.policy.Procedures = map[string]*kernelv1.ProcedurePolicy{change: {Timeout: durationpb.New(callTimeout)}}
	w.add(o)
	w.routable(look, true)
	return &besieged{w, e, func(t *testing.T) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", w.gateway.Address())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(within)) // it may have been closed at once
		return conn
	}}
}

// while runs an attack and requires that others are served meanwhile, and that the gateway has afterwards what it had before:
// no request is under way, no connection is open, and what they took is given back.
func (b *besieged) while(t *testing.T, attack func(t *testing.T)) {
	t.Helper()
	quiet := func() bool {
		return b.counted("ashlar_gateway_requests_in_flight", nil) == 0 && b.counted("ashlar_gateway_connections", nil) == 0
	}
	require.Eventually(t, quiet, within, 10*time.Millisecond)
	heap, goroutines := settled()
	var callers sync.WaitGroup
	var served atomic.Int64
	stop := make(chan struct{})
	for _, h2 := range []bool{false, true} {
		client := newHTTPClient(t, h2)
		callers.Go(func() {
			defer client.CloseIdleConnections()
			for first := time.Now(); ; {
				// By GET, which may be sent again where the connection was idle for too long on a busy machine. A new one may be
				// closed, too, where the machine stands still for as long as a request may take to come.
				began := time.Now()
				response, err := client.Get(b.url(look + "?encoding=json&message=%7B%7D"))
				if err != nil && time.Since(began) >= headerTimeout && time.Since(first) < 3*within {
					continue
				}
				if !assert.NoError(t, err) {
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if !assert.Equal(t, http.StatusOK, response.StatusCode) {
					return
				}
				served.Add(1)
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		})
	}
	attack(t)
	close(stop)
	callers.Wait()
	assert.GreaterOrEqual(t, served.Load(), int64(2))
	require.Eventually(t, quiet, within, 10*time.Millisecond, "something is left")
	require.Eventually(t, func() bool {
		h, g := settled()
		return h < heap+8<<20 && g <= goroutines+3*atATime // connections to the service stay for a while
	}, within, 50*time.Millisecond, "memory or goroutines are left")
}

// settled is how much memory and how many goroutines there are.
func settled() (heap uint64, goroutines int) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}

func goroutines() int {
	_, n := settled()
	return n
}

// drip writes text a byte at a time, and then what comes again and again, until the other end has had enough.
func drip(conn net.Conn, text, again string) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		next := again
		if i < len(text) {
			next = text[i : i+1]
		}
		if next == "" {
			return
		}
		if _, err := io.WriteString(conn, next); err != nil {
			return
		}
		<-tick.C
	}
}

// requireClosed requires that the gateway ends a connection, and returns what it said before.
func requireClosed(t *testing.T, conn net.Conn) string {
	t.Helper()
	said, err := io.ReadAll(conn)
	require.False(t, errors.Is(err, os.ErrDeadlineExceeded), "it is still open after %s", within)
	return string(said)
}

func TestSlowCallersOverHTTP1(t *testing.T) {
	b := newBesieged(t, nil)
	head := func(procedure string) string {
		return "POST " + procedure + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	}
	post := head(change)
	for name, c := range map[string]struct {
		drip, again string // by bytes, and then for ever
		at          time.Duration
		says        string
	}{
		"nothing":                     {"", "", headerTimeout, ""},
		"request line":                {strings.Repeat("A", 10_000), "", headerTimeout, ""},
		"fields":                      {"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X", 10_000), "", headerTimeout, ""},
		"fields without an end":       {"GET / HTTP/1.1\r\n", "X: x\r\n", headerTimeout, ""},
		"half a preface of HTTP/2":    {"PRI * HTTP/2.0\r\n", "", headerTimeout, ""},
		"body of a length":            {post + "Content-Length: 100000\r\n\r\n", " ", callTimeout, "deadline_exceeded"},
		"body in chunks":              {post + "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", callTimeout, "deadline_exceeded"},
		"chunk without an end":        {post + "Transfer-Encoding: chunked\r\n\r\n1", "0", callTimeout, "deadline_exceeded"},
		"extension of a chunk":        {post + "Transfer-Encoding: chunked\r\n\r\n1;", "x", callTimeout, "deadline_exceeded"},
		"trailers":                    {post + "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: x\r\n", 0, ""},
		"body of what is not there":   {"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", " ", 0, "404 Not Found"},
		"nothing after a whole call":  {head(look) + "Content-Length: 2\r\n\r\n{}", "", idleTimeout, "200 OK"},
		"line ends after a whole one": {head(look) + "Content-Length: 2\r\n\r\n{}", "\r\n", 0, "200 OK"},
	} {
		t.Run(name, func(t *testing.T) {
			b.while(t, func(t *testing.T) {
				began := time.Now() // before the gateway's own clocks begin
				conn := b.dial(t)
				head, rest, body := strings.Cut(c.drip, "\r\n\r\n")
				if body { // the head at once, so that the time of the rest counts
					_, err := io.WriteString(conn, head+"\r\n\r\n")
					require.NoError(t, err)
				} else {
					rest = c.drip
				}
				var dripping sync.WaitGroup
				dripping.Go(func() { drip(conn, rest, c.again) })
				said := requireClosed(t, conn)
				_ = conn.Close()
				dripping.Wait()
				if said != "" || time.Since(began) < c.at+answerTime {
					assert.Contains(t, said, c.says)
				}
				assert.GreaterOrEqual(t, time.Since(began), c.at, "it had less time than it is meant to have")
			})
		})
	}
}

func TestHandshakeThatStalls(t *testing.T) {
	s := newTLSWorld(t, func(c *gateway.Config) { c.HeaderTimeout = headerTimeout })
	for name, hello := range map[string]string{
		"nothing": "", "a record that does not come": "\x16\x03\x01\x02\x00", "no TLS": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", s.gateway.Address())
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			require.NoError(t, conn.SetDeadline(time.Now().Add(within)))
			_, err = io.WriteString(conn, hello)
			require.NoError(t, err)
			requireClosed(t, conn)
		})
	}
	t.Run("a handshake, and then nothing", func(t *testing.T) {
		conn, err := tls.Dial("tcp", s.gateway.Address(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		require.NoError(t, conn.SetDeadline(time.Now().Add(within)))
		requireClosed(t, conn)
	})
}

// One address gets no more connections than it may have, and those that are over are given no time.
func TestConnectionsAreBounded(t *testing.T) {
	for bound, change := range map[string]func(*gateway.Config){
		"address": func(c *gateway.Config) { c.MaxAddressConnections = 20 },
		"all":     func(c *gateway.Config) { c.MaxConnections = 20 },
	} {
		t.Run(bound, func(t *testing.T) {
			b := newBesieged(t, func(c *gateway.Config) {
				c.HeaderTimeout, c.IdleTimeout = within, within // only the bound closes them
				change(c)
			})
			before := b.counted("ashlar_gateway_connections", nil)
			var open []net.Conn
			for range 50 {
				if conn, err := net.Dial("tcp", b.gateway.Address()); err == nil { // it may be over before that is known here
					open = append(open, conn)
				}
			}
			require.Eventually(t, func() bool {
				return b.counted("ashlar_gateway_connections_refused_total", map[string]string{"bound": bound}) >= 30
			}, within, 5*time.Millisecond)
			assert.InDelta(t, 20, b.counted("ashlar_gateway_connections", nil), 0, "with %v from before", before)
			for _, conn := range open {
				_ = conn.Close()
			}
			require.Eventually(t, func() bool { return b.counted("ashlar_gateway_connections", nil) < 20 }, within, 5*time.Millisecond)
			status, _ := b.post(look, "{}", nil)
			assert.Equal(t, http.StatusOK, status)
		})
	}
	t.Run("but for a trusted proxy", func(t *testing.T) {
		b := newBesieged(t, func(c *gateway.Config) {
			c.MaxAddressConnections, c.TrustedProxies = 5, []string{"127.0.0.1"}
			c.HeaderTimeout = within
		})
		for range 20 {
			b.dial(t)
		}
		require.Eventually(t, func() bool { return b.counted("ashlar_gateway_connections", nil) >= 20 }, within, 5*time.Millisecond)
		assert.Zero(t, b.counted("ashlar_gateway_connections_refused_total", map[string]string{"bound": "address"}))
	})
}
