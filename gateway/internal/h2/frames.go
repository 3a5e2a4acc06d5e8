package h2

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// appendHeader appends the nine bytes before each frame (RFC 9113, section 4.1).
func appendHeader(out []byte, kind http2.FrameType, flags http2.Flags, stream uint32, length int) []byte {
	return append(out, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags),
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

func appendSettings(out []byte, settings ...http2.Setting) []byte {
	out = appendHeader(out, http2.FrameSettings, 0, 0, 6*len(settings))
	for _, s := range settings {
		out = binary.BigEndian.AppendUint16(out, uint16(s.ID))
		out = binary.BigEndian.AppendUint32(out, s.Val)
	}
	return out
}

func appendSettingsAck(out []byte) []byte {
	return appendHeader(out, http2.FrameSettings, http2.FlagSettingsAck, 0, 0)
}

func appendWindowUpdate(out []byte, stream, n uint32) []byte {
	out = appendHeader(out, http2.FrameWindowUpdate, 0, stream, 4)
	return binary.BigEndian.AppendUint32(out, n)
}

func appendReset(out []byte, stream uint32, code http2.ErrCode) []byte {
	out = appendHeader(out, http2.FrameRSTStream, 0, stream, 4)
	return binary.BigEndian.AppendUint32(out, uint32(code))
}

func appendPing(out []byte, ack bool, data [8]byte) []byte {
	var flags http2.Flags
	if ack {
		flags = http2.FlagPingAck
	}
	out = appendHeader(out, http2.FramePing, flags, 0, len(data))
	return append(out, data[:]...)
}

// appendBlock appends the headers of a request, in as many frames as it takes.
func appendBlock(out []byte, stream uint32, block []byte, end bool, frameBytes int) []byte {
	kind, flags := http2.FrameHeaders, http2.Flags(0)
	if end {
		flags = http2.FlagHeadersEndStream
	}
	for {
		n := min(len(block), frameBytes)
		if n == len(block) {
			flags |= http2.FlagHeadersEndHeaders // the same bit for CONTINUATION
		}
		out = appendHeader(out, kind, flags, stream, n)
		out = append(out, block[:n]...)
		if block = block[n:]; len(block) == 0 {
			return out
		}
		kind, flags = http2.FrameContinuation, 0
	}
}

// appendData appends part of a body, in as many frames as it takes.
func appendData(out []byte, stream uint32, data []byte, end bool, frameBytes int) []byte {
	for {
		n := min(len(data), frameBytes)
		var flags http2.Flags
		if end && n == len(data) {
			flags = http2.FlagDataEndStream
		}
		out = appendHeader(out, http2.FrameData, flags, stream, n)
		out = append(out, data[:n]...)
		if data = data[n:]; len(data) == 0 {
			return out
		}
	}
}
