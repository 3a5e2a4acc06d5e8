package wire

import (
	"cmp"
	"encoding/binary"
	"math"
)

const (
	// prefixBytes is the size of what precedes each message: one byte of flags, four of length.
	prefixBytes = 5
	// EnvelopeBytes is by how much an enveloped message is longer than the message.
	EnvelopeBytes = prefixBytes

	flagCompressed = 0x01
	flagConnectEnd = 0x02
	flagWebEnd     = 0x80

	// maxEndBytes bounds what is kept of the last frame: trailers have the size of headers.
	maxEndBytes = 64 << 10
)

// Bounds is what one side of a stream may send, as its envelopes say it: a compressed message counts as it comes. The frame
// by which an answer ends is no message. 0 is no bound.
type Bounds struct {
	Messages uint64
	// Bytes bounds all messages together, with their envelopes: once they have so many, no further one may begin.
	Bytes uint64
	// MessageBytes bounds each message.
	MessageBytes uint32
}

// Excess is which of its bounds a side of a stream is over.
type Excess int

// The bounds. The zero value is none of them.
const (
	Within Excess = iota
	TooManyMessages
	TooManyBytes
	MessageTooLarge
)

// Frames follows a body of enveloped messages as it passes, in pieces of any size. It copies nothing but the last frame,
// which carries the outcome of the call. It is not safe for concurrent use.
type Frames struct {
	endFlag byte
	max     Bounds

	messages uint64
	bytes    uint64
	excess   Excess

	prefix [prefixBytes]byte
	got    int    // bytes of the prefix that have been seen
	left   uint32 // bytes of the message that have not
	inEnd  bool
	ended  bool
	end    []byte
}

// NewFrames returns what follows the response bodies of a framed protocol.
func NewFrames(p Protocol, bounds Bounds) *Frames {
	f := NewRequestFrames(bounds)
	switch p {
	case ConnectStream:
		f.endFlag = flagConnectEnd
	case GRPCWeb:
		f.endFlag = flagWebEnd
	case None, REST, ConnectUnary, ConnectGet, GRPC: // gRPC ends with HTTP trailers
	}
	return f
}

// NewRequestFrames returns what follows the request bodies of a framed protocol. All their frames are messages, whatever
// their flags say: a request ends where its body does.
func NewRequestFrames(bounds Bounds) *Frames {
	return &Frames{max: Bounds{
		Messages: cmp.Or(bounds.Messages, math.MaxUint64), Bytes: cmp.Or(bounds.Bytes, math.MaxUint64),
		MessageBytes: cmp.Or(bounds.MessageBytes, math.MaxUint32),
	}}
}

// Feed looks at the next piece, and returns how much of it comes before what is over a bound: all, where nothing is. What is
// too many begins a frame, so that Between holds there; only a message that is too large may have begun in an earlier piece.
// After an excess nothing more is within.
func (f *Frames) Feed(p []byte) (within int) {
	begun := 0 // where the frame begins, if that is in this piece
	for at := 0; at < len(p) && !f.ended; {
		if f.excess != Within {
			return begun
		}
		if f.got < prefixBytes {
			if f.got == 0 {
				if begun = at; f.full(p[at]) {
					return at
				}
			}
			n := copy(f.prefix[f.got:], p[at:])
			f.got += n
			at += n
			if f.got < prefixBytes {
				return len(p)
			}
			if f.begin(); f.excess != Within {
				return begun
			}
		}
		n := int(min(uint64(f.left), uint64(len(p)-at)))
		if f.inEnd {
			f.end = append(f.end, p[at:at+min(n, max(maxEndBytes-len(f.end), 0))]...)
		}
		at += n
		f.left -= uint32(n)
		if f.left == 0 {
			f.got, f.ended = 0, f.inEnd
		}
	}
	return len(p)
}

// full tells whether a frame that begins with these flags is a message too many.
func (f *Frames) full(flags byte) bool {
	switch {
	case flags&f.endFlag != 0:
		return false
	case f.messages >= f.max.Messages:
		f.excess = TooManyMessages
	case f.bytes >= f.max.Bytes:
		f.excess = TooManyBytes
	}
	return f.excess != Within
}

// begin begins a frame whose prefix is there.
func (f *Frames) begin() {
	f.left = binary.BigEndian.Uint32(f.prefix[1:])
	if f.inEnd = f.prefix[0]&f.endFlag != 0; f.inEnd {
		return
	}
	f.messages++
	f.bytes += prefixBytes + uint64(f.left)
	if f.left > f.max.MessageBytes {
		f.excess = MessageTooLarge
	}
}

// Bounds returns what the body is held to; what has no bound has the largest that can be.
func (f *Frames) Bounds() Bounds { return f.max }

// Excess tells which bound has been passed.
func (f *Frames) Excess() Excess { return f.excess }

// Between tells whether the body could go on with a new frame here: no frame has begun, and the last has not been seen.
func (f *Frames) Between() bool { return f.got == 0 && !f.ended }

// Ended tells whether the last frame is complete, and returns what it holds.
func (f *Frames) Ended() (content []byte, compressed, ok bool) {
	return f.end, f.prefix[0]&flagCompressed != 0, f.ended
}

// webEnd returns the last frame of a gRPC-Web body with these lines of trailers.
func webEnd(trailers []byte) []byte {
	frame := binary.BigEndian.AppendUint32([]byte{flagWebEnd}, uint32(len(trailers)))
	return append(frame, trailers...)
}
