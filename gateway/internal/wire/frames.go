package wire

import "encoding/binary"

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

// Frames follows a body of enveloped messages as it passes, in pieces of any size. It copies nothing but the last frame,
// which carries the outcome of the call. It is not safe for concurrent use.
type Frames struct {
	endFlag byte

	prefix [prefixBytes]byte
	got    int    // bytes of the prefix that have been seen
	left   uint32 // bytes of the message that have not
	inEnd  bool
	ended  bool
	end    []byte
}

// NewFrames returns what follows the response bodies of a framed protocol.
func NewFrames(p Protocol) *Frames {
	f := &Frames{}
	switch p {
	case ConnectStream:
		f.endFlag = flagConnectEnd
	case GRPCWeb:
		f.endFlag = flagWebEnd
	case None, REST, ConnectUnary, ConnectGet, GRPC: // gRPC ends with HTTP trailers
	}
	return f
}

// Feed looks at the next piece.
func (f *Frames) Feed(p []byte) {
	for len(p) > 0 && !f.ended {
		if f.got < prefixBytes {
			n := copy(f.prefix[f.got:], p)
			f.got += n
			p = p[n:]
			if f.got < prefixBytes {
				return
			}
			f.left = binary.BigEndian.Uint32(f.prefix[1:])
			f.inEnd = f.prefix[0]&f.endFlag != 0
		}
		n := min(uint64(f.left), uint64(len(p)))
		if f.inEnd {
			f.end = append(f.end, p[:min(n, uint64(max(maxEndBytes-len(f.end), 0)))]...)
		}
		p = p[n:]
		f.left -= uint32(n)
		if f.left == 0 {
			f.got, f.ended = 0, f.inEnd
		}
	}
}

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
