package upstream

import "errors"

const (
	// maxSizeDigits bounds the size of a chunk: 16^8 bytes.
	maxSizeDigits = 8
	// maxExtensionBytes bounds what may stand beside the size of a chunk.
	maxExtensionBytes = 256
)

var errChunk = errors.New("malformed chunk")

// chunks takes the framing out of a chunked body (RFC 9112, section 7.1), in pieces of any size. Line ends are CRLF and
// nothing else. The zero value is the beginning of a body.
type chunks struct {
	state  chunkState
	digits int
	left   uint64
	passed int // bytes of an extension, or of trailers
}

type chunkState int

const (
	inSize chunkState = iota
	inExtension
	afterSize // its CR
	inData
	afterData
	afterDataCR
	atTrailer // the beginning of a line
	inTrailer
	afterTrailer // its CR
	atEnd        // the CR of the last line
	ended
)

// feed takes the next piece apart, in place, and returns what of it is body, and what follows the end of the body.
func (c *chunks) feed(p []byte) (body, rest []byte, err error) {
	body = p[:0]
	for i := 0; i < len(p); {
		switch c.state {
		case inData:
			n := int(min(c.left, uint64(len(p)-i)))
			body = append(body, p[i:i+n]...) // it moves to the front, so that nothing is overwritten that has not been read
			i += n
			if c.left -= uint64(n); c.left == 0 {
				c.state = afterData
			}
		case ended:
			return body, p[i:], nil
		default:
			if !c.step(p[i]) {
				return body, nil, errChunk
			}
			i++
		}
	}
	return body, nil, nil
}

// step takes one byte of framing, and reports whether it may stand there.
func (c *chunks) step(b byte) bool {
	switch c.state {
	case inSize:
		return c.size(b)
	case inExtension:
		if b == '\r' {
			c.state = afterSize
			return true
		}
		c.passed++
		return b != '\n' && c.passed <= maxExtensionBytes
	case afterSize:
		c.state = inData
		if c.left == 0 {
			c.state, c.passed = atTrailer, 0
		}
		return b == '\n'
	case afterData:
		c.state = afterDataCR
		return b == '\r'
	case afterDataCR:
		*c = chunks{}
		return b == '\n'
	case atTrailer, inTrailer:
		return c.trailer(b)
	case afterTrailer:
		c.state = atTrailer
		return b == '\n'
	case atEnd:
		c.state = ended
		return b == '\n'
	default:
		return false
	}
}

func (c *chunks) size(b byte) bool {
	digit := -1
	switch {
	case '0' <= b && b <= '9':
		digit = int(b - '0')
	case 'a' <= b && b <= 'f':
		digit = int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		digit = int(b-'A') + 10
	}
	if digit >= 0 {
		c.digits++
		c.left = c.left<<4 | uint64(digit)
		return c.digits <= maxSizeDigits
	}
	switch b {
	case '\r':
		c.state = afterSize
	case ';', ' ', '\t':
		c.state = inExtension
	default:
		return false
	}
	return c.digits > 0
}

// trailer passes over what follows the last chunk. The protocols that come this way put nothing there that matters.
func (c *chunks) trailer(b byte) bool {
	c.passed++
	switch {
	case b == '\r' && c.state == atTrailer:
		c.state = atEnd
	case b == '\r':
		c.state = afterTrailer
	default:
		c.state = inTrailer
	}
	return b != '\n' && c.passed <= maxTrailerBytes
}
