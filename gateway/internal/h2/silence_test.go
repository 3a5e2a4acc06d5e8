package h2

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

// told is an instance on the other end of a pipe, in a bubble, where time costs nothing. It notes what comes, and answers
// what it is told to.
type told struct {
	*conn

	pings                 atomic.Int64
	answersPings, answers bool
}

func newTold(t *testing.T, answersPings, answers bool) *told {
	ours, theirs := net.Pipe()
	i := &told{conn: newConn(ours, &host{transport: New()}), answersPings: answersPings, answers: answers}
	go i.serve(theirs)
	t.Cleanup(func() { i.fail(errClosing); _ = theirs.Close() })
	require.True(t, i.reserve())
	i.open()
	return i
}

func (i *told) serve(theirs net.Conn) {
	_, _ = io.ReadFull(theirs, make([]byte, len(http2.ClientPreface)))
	fr := http2.NewFramer(theirs, theirs)
	_ = fr.WriteSettings()
	for {
		frame, err := fr.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.PingFrame:
			if i.pings.Add(1); i.answersPings {
				_ = fr.WritePing(true, f.Data)
			}
		case *http2.HeadersFrame:
			if i.answers {
				answer(fr, f.StreamID, false, ":status", "200")
			}
		default:
		}
	}
}

func (i *told) begin(t *testing.T) *stream {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/a", http.NoBody)
	require.NoError(t, err)
	s, err := i.start(request, &payload{request: request})
	require.NoError(t, err)
	return s
}

// A call that nothing follows does not wait for long; a stream of which something has come, is looked after less often.
func TestHowSoonSilenceIsNoticed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers         bool
		soonest, latest time.Duration
	}{
		"a call":   {false, (unheardTicks + pingTicks) * tick, (unheardTicks + pingTicks + 1) * tick},
		"a stream": {true, (silentTicks + pingTicks) * tick, (silentTicks + pingTicks + 1) * tick},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newTold(t, false, c.answers)
				synctest.Wait()
				time.Sleep(tick / 3) // the connection is not as old as the call
				began := time.Now()
				s := i.begin(t)
				response, err := s.await()
				if c.answers {
					require.NoError(t, err)
					_, err = io.Copy(io.Discard, response.Body)
				}
				require.ErrorIs(t, err, errSilent)
				took := time.Since(began)
				assert.GreaterOrEqual(t, took, c.soonest-tick)
				assert.LessOrEqual(t, took, c.latest)
				assert.EqualValues(t, 1, i.pings.Load())
			})
		})
	}
}

// An instance that works for long, and answers PINGs, is waited for, and not asked more often than need be.
func TestAnInstanceThatWorksForLong(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]bool{"a call": false, "a stream": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newTold(t, true, answers)
				synctest.Wait()
				s := i.begin(t)
				time.Sleep(time.Hour)
				synctest.Wait()
				i.mu.Lock()
				err := s.err
				i.mu.Unlock()
				require.NoError(t, err)
				assert.LessOrEqual(t, i.pings.Load(), int64(time.Hour/(silentTicks*tick))+1)
				assert.GreaterOrEqual(t, i.pings.Load(), int64(time.Hour/((silentTicks+2)*tick)))
			})
		})
	}
}

// A connection that nobody uses is not asked anything.
func TestNobodyAsksAnIdleConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newTold(t, true, false)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Zero(t, i.pings.Load())
		i.unreserve()
	})
}
