package edge

import (
	"errors"
	"strconv"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gateway/internal/wire"
	"ashlar.dev/kernel/rpcerror"
)

// side is who sends the messages of a stream, as an error's metadata has it.
type side string

const (
	fromCaller  side = "caller"
	fromService side = "service"
)

// errOverBound ends a body that is over a bound of its stream.
var errOverBound = errors.New("the stream is over a bound")

// bounds is what each side of a stream may send; nothing bounds the only message of a unary call here.
func (c *call) bounds() wire.Bounds {
	if c.route.Unary() {
		return wire.Bounds{}
	}
	out := c.h.current.Load().streamBounds
	if own := c.route.StreamLimit.Messages; own != nil {
		out.Messages = *own
	}
	if own := c.route.StreamLimit.Bytes; own != nil {
		out.Bytes = *own
	}
	return out
}

// exceed gives up a stream one side of which has sent too much. It may be called on a goroutine of the transport.
func (c *call) exceed(by side, frames *wire.Frames) {
	refusal := tooLarge(c.h.MaxMessageBytes)
	switch frames.Excess() {
	case wire.TooManyMessages:
		refusal = streamTooLarge(by, "messages", frames.Bounds().Messages)
	case wire.TooManyBytes:
		refusal = streamTooLarge(by, "bytes", frames.Bounds().Bytes)
	case wire.MessageTooLarge, wire.Within:
	}
	c.giveUp(refusal)
}

func streamTooLarge(by side, what string, most uint64) *connect.Error {
	bound := strconv.FormatUint(most, 10)
	return rpcerror.New(connect.CodeResourceExhausted, reasonStreamTooLarge, "a stream may have "+bound+" "+what+" from its "+string(by)+"; begin another",
		rpcerror.Meta("limit", what), rpcerror.Meta("max", bound), rpcerror.Meta("side", string(by)))
}
