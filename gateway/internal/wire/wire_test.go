package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTimeoutsOfBothKinds(t *testing.T) {
	for _, c := range []struct {
		protocol Protocol
		value    string
		want     time.Duration
		ok       bool
		wrong    bool
	}{
		{ConnectUnary, "", 0, false, false},
		{ConnectUnary, "0", 0, true, false},
		{ConnectGet, "1500", 1500 * time.Millisecond, true, false},
		{ConnectStream, "9999999999", 9999999999 * time.Millisecond, true, false},
		{ConnectUnary, "10000000000", 0, false, true},
		{ConnectUnary, "-1", 0, false, true},
		{ConnectUnary, "+1", 0, false, true},
		{ConnectUnary, "1e3", 0, false, true},
		{GRPC, "", 0, false, false},
		{GRPC, "0n", 0, true, false},
		{GRPC, "1H", time.Hour, true, false},
		{GRPC, "2M", 2 * time.Minute, true, false},
		{GRPC, "3S", 3 * time.Second, true, false},
		{GRPCWeb, "4m", 4 * time.Millisecond, true, false},
		{GRPC, "5u", 5 * time.Microsecond, true, false},
		{GRPC, "99999999H", 0, false, false}, // more than can be counted
		{GRPC, "100000000n", 0, false, true},
		{GRPC, "1", 0, false, true},
		{GRPC, "S", 0, false, true},
		{GRPC, "-1S", 0, false, true},
		{GRPC, "1 S", 0, false, true},
	} {
		header := http.Header{"Grpc-Timeout": {c.value}, "Connect-Timeout-Ms": {"77"}}
		if c.protocol != GRPC && c.protocol != GRPCWeb {
			header = http.Header{"Connect-Timeout-Ms": {c.value}, "Grpc-Timeout": {"77S"}}
		}
		got, ok, err := Timeout(c.protocol, header)
		assert.Equal(t, c.wrong, err != nil, "%v %q", c.protocol, c.value)
		assert.Equal(t, c.ok, ok, "%v %q", c.protocol, c.value)
		assert.Equal(t, c.want, got, "%v %q", c.protocol, c.value)
	}
}

// Whatever a caller says about his deadline, what is forwarded can be read again, and is never more.
func FuzzTimeout(f *testing.F) {
	f.Add("15S")
	f.Add("99999999H")
	f.Add("1500")
	f.Add("28000H") // more seconds than eight digits can say
	f.Add("-1")
	f.Fuzz(func(t *testing.T, value string) {
		for _, p := range []Protocol{ConnectUnary, GRPC} {
			header := http.Header{"Grpc-Timeout": {value}, "Connect-Timeout-Ms": {value}}
			d, ok, err := Timeout(p, header)
			if err != nil || !ok {
				continue
			}
			require.GreaterOrEqual(t, d, time.Duration(0))
			SetTimeout(p, header, d)
			again, ok, err := Timeout(p, header)
			require.NoError(t, err)
			require.True(t, ok)
			require.LessOrEqual(t, again, d)
			if d < maxGRPCValue*time.Second {
				require.LessOrEqual(t, d-again, time.Second)
			}
		}
	})
}

func frame(flags byte, payload []byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(payload)))
	return append(out, payload...)
}

func TestFrames(t *testing.T) {
	end := []byte(`{"error":{"code":"not_found"}}`)
	body := append(append(frame(0, []byte("hello")), frame(1, nil)...), frame(flagConnectEnd, end)...)
	for step := 1; step <= len(body); step++ {
		f := NewFrames(ConnectStream, Bounds{})
		for rest := body; len(rest) > 0; {
			n := min(step, len(rest))
			f.Feed(rest[:n])
			rest = rest[n:]
		}
		content, compressed, ok := f.Ended()
		require.True(t, ok)
		assert.False(t, compressed)
		assert.Equal(t, "not_found", CodeOfEnd(ConnectStream, content, compressed))
		assert.False(t, f.Between(), "nothing comes after the end")
	}
	f := NewFrames(GRPC, Bounds{})
	assert.True(t, f.Between())
	f.Feed(body[:3])
	assert.False(t, f.Between())
	f.Feed(body[3:10])
	assert.True(t, f.Between())
	f.Feed(body[10:])
	assert.True(t, f.Between(), "gRPC has no last frame")
}

// feed feeds a body in pieces of a size, and returns how much of it was within the bounds.
func feed(f *Frames, body []byte, step int) (within int) {
	for len(body) > 0 {
		n := min(step, len(body))
		got := f.Feed(body[:n])
		if within += got; got < n {
			return within
		}
		body = body[n:]
	}
	return within
}

func TestFramesAreBounded(t *testing.T) {
	two := append(frame(flagCompressed, []byte("hello")), frame(0, nil)...)
	end := frame(flagConnectEnd, []byte("{}"))
	for name, c := range map[string]struct {
		frames *Frames
		body   []byte
		within int
		excess Excess
	}{
		"no bound":                        {NewRequestFrames(Bounds{}), slices.Concat(two, two, two), 45, Within},
		"as many as may be":               {NewRequestFrames(Bounds{Messages: 2, Bytes: 15, MessageBytes: 5}), two, 15, Within},
		"one too many":                    {NewRequestFrames(Bounds{Messages: 2}), slices.Concat(two, two), 15, TooManyMessages},
		"bytes are reached":               {NewRequestFrames(Bounds{Bytes: 15}), slices.Concat(two, two), 15, TooManyBytes},
		"the message that passes them":    {NewRequestFrames(Bounds{Bytes: 16}), slices.Concat(two, two), 25, TooManyBytes},
		"too large":                       {NewRequestFrames(Bounds{MessageBytes: 4}), two, 0, MessageTooLarge},
		"too large, said by the envelope": {NewRequestFrames(Bounds{MessageBytes: 5}), append(two[:15:15], 0, 0, 0, 0, 6), 15, MessageTooLarge},
		"an end is no message":            {NewFrames(ConnectStream, Bounds{Messages: 2, Bytes: 15, MessageBytes: 5}), slices.Concat(two, end), 22, Within},
		"what comes after the end":        {NewFrames(ConnectStream, Bounds{Messages: 2}), slices.Concat(two, end, two), 37, Within},
		"a request has no end":            {NewRequestFrames(Bounds{Messages: 2}), slices.Concat(two, end), 15, TooManyMessages},
		"trailers of gRPC-Web":            {NewFrames(GRPCWeb, Bounds{Messages: 2}), slices.Concat(two, frame(flagWebEnd, []byte("grpc-status: 0"))), 34, Within},
	} {
		t.Run(name, func(t *testing.T) {
			for step := 1; step <= len(c.body); step++ {
				f := *c.frames
				within := feed(&f, c.body, step)
				if c.excess == MessageTooLarge { // the prefix may have passed in pieces
					assert.GreaterOrEqual(t, within, c.within)
					assert.LessOrEqual(t, within, c.within+prefixBytes-1)
				} else {
					assert.Equal(t, c.within, within, "pieces of %d", step)
				}
				assert.Equal(t, c.excess, f.Excess())
				if c.excess == TooManyMessages || c.excess == TooManyBytes {
					assert.True(t, f.Between())
				}
				if c.excess != Within {
					assert.Zero(t, f.Feed(c.body), "nothing more is within")
				}
			}
		})
	}
	f := NewRequestFrames(Bounds{Messages: 1e9})
	body := bytes.Repeat(two, 100)
	assert.Zero(t, testing.AllocsPerRun(100, func() { f.Feed(body) }))
}

// counted counts what is within bounds with nothing in mind but that.
func counted(body []byte, b Bounds, endFlag byte) (within int, excess Excess) {
	total, at := uint64(0), 0
	for n := uint64(0); at < len(body); n++ {
		end := body[at]&endFlag != 0
		switch {
		case end:
		case n >= b.Messages:
			return at, TooManyMessages
		case total >= b.Bytes:
			return at, TooManyBytes
		}
		if len(body)-at < prefixBytes {
			break
		}
		length := binary.BigEndian.Uint32(body[at+1:])
		if end {
			if uint64(length) <= uint64(len(body)-at-prefixBytes) {
				break
			}
		} else if length > b.MessageBytes {
			return at, MessageTooLarge
		}
		total += prefixBytes + uint64(length)
		if uint64(length) > uint64(len(body)-at-prefixBytes) {
			break
		}
		at += prefixBytes + int(length)
	}
	return len(body), Within
}

// How a body is cut into pieces does not matter to what is counted.
func FuzzBounds(f *testing.F) {
	f.Add(append(frame(1, []byte("hello")), frame(0, nil)...), uint8(3), uint8(1), uint8(20), uint8(9))
	f.Add(append(frame(0, nil), frame(flagConnectEnd, []byte("{}"))...), uint8(1), uint8(1), uint8(5), uint8(1))
	f.Fuzz(func(t *testing.T, body []byte, step, messages, total, message uint8) {
		b := Bounds{Messages: uint64(messages) + 1, Bytes: uint64(total) + 1, MessageBytes: uint32(message) + 1}
		for _, of := range []struct {
			frames *Frames
			end    byte
		}{{NewRequestFrames(b), 0}, {NewFrames(ConnectStream, b), flagConnectEnd}, {NewFrames(GRPCWeb, b), flagWebEnd}} {
			within, excess := counted(body, b, of.end)
			got := feed(of.frames, body, int(step)+1)
			require.Equal(t, excess, of.frames.Excess())
			if excess == MessageTooLarge {
				require.GreaterOrEqual(t, got, within)
				require.Less(t, got, within+prefixBytes)
			} else {
				require.Equal(t, within, got)
			}
		}
	})
}

func TestOutcomes(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(`{"metadata":{"a":["b"]}}`))
	require.NoError(t, z.Close())
	assert.Equal(t, OK, CodeOfEnd(ConnectStream, zipped.Bytes(), true))
	assert.Equal(t, OK, CodeOfEnd(ConnectStream, []byte(`{}`), false))
	assert.Equal(t, Unread, CodeOfEnd(ConnectStream, []byte(`{`), false))
	assert.Equal(t, Unread, CodeOfEnd(ConnectStream, []byte(`{}`), true))
	assert.Equal(t, Unread, CodeOfEnd(ConnectStream, []byte(`{"error":{"code":"made up"}}`), false))
	assert.Equal(t, OK, CodeOfEnd(GRPCWeb, []byte("grpc-status: 0\r\n"), false))
	assert.Equal(t, "unavailable", CodeOfEnd(GRPCWeb, []byte("x: y\r\nGrpc-Status:14\r\n"), false))
	assert.Equal(t, Unread, CodeOfEnd(GRPCWeb, nil, false))
	assert.Equal(t, "aborted", CodeOfError([]byte(`{"code":"aborted","message":"x"}`), ""))
	assert.Equal(t, Unread, CodeOfError([]byte(`<html>`), ""))
	assert.Equal(t, OK, CodeOfStatus("0"))
	assert.Equal(t, "data_loss", CodeOfStatus("15"))
	assert.Equal(t, Unread, CodeOfStatus("99"))
	assert.Equal(t, Unread, CodeOfStatus(""))
	assert.Equal(t, Unread, CodeOfError([]byte(`{"code":"code_99"}`), ""))

	last := WebEnd(http.Header{"Grpc-Status": {"14"}, "Grpc-Message": {"gone"}, "Content-Type": {"x"}})
	f := NewFrames(GRPCWeb, Bounds{})
	f.Feed(last)
	content, compressed, ok := f.Ended()
	require.True(t, ok)
	assert.Equal(t, "unavailable", CodeOfEnd(GRPCWeb, content, compressed))
	assert.NotContains(t, string(content), "content-type")
}

// A body from a service that has lost its mind does not crash the gateway, and its pieces do not matter.
func FuzzFrames(f *testing.F) {
	f.Add(frame(flagConnectEnd, []byte(`{"error":{"code":"not_found"}}`)), uint8(3))
	f.Add([]byte{0x83, 0xff, 0xff, 0xff, 0xff, 1, 2}, uint8(1))
	f.Fuzz(func(t *testing.T, body []byte, step uint8) {
		for _, p := range []Protocol{ConnectStream, GRPC, GRPCWeb} {
			whole, pieces := NewFrames(p, Bounds{}), NewFrames(p, Bounds{})
			whole.Feed(body)
			for rest := body; len(rest) > 0; {
				n := min(int(step)%17+1, len(rest))
				pieces.Feed(rest[:n])
				rest = rest[n:]
			}
			a, ac, aok := whole.Ended()
			b, bc, bok := pieces.Ended()
			require.Equal(t, aok, bok)
			require.Equal(t, whole.Between(), pieces.Between())
			if aok {
				require.Equal(t, a, b)
				require.Equal(t, CodeOfEnd(p, a, ac), CodeOfEnd(p, b, bc))
			}
		}
	})
}

func TestProtocols(t *testing.T) {
	for contentType, want := range map[string]Protocol{
		"application/json": ConnectUnary, "application/proto; charset=utf-8": ConnectUnary, "Application/JSON": ConnectUnary,
		"application/connect+json": ConnectStream, "application/grpc": GRPC, "application/grpc+proto": GRPC,
		"application/grpc-web": GRPCWeb, "application/grpc-web+json": GRPCWeb, "text/html": None, "": None,
	} {
		got := ProtocolOf(&http.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {contentType}}})
		assert.Equal(t, want, got, contentType)
	}
	assert.Equal(t, ConnectGet, ProtocolOf(&http.Request{Method: http.MethodGet}))
	assert.Equal(t, None, ProtocolOf(&http.Request{Method: http.MethodPut, Header: http.Header{"Content-Type": {"application/grpc"}}}))
}
