package edge

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ashlar.dev/gateway/internal/wire"
)

// appendHead appends the head of the request that an instance gets over HTTP/1.1. Everything in it is either ours, or was
// taken apart by net/http and is put together anew: how long the body is, is what has been read of it.
func (c *call) appendHead(out []byte, bodyBytes int) []byte {
	r := c.r
	out = append(out, r.Method...)
	out = append(out, ' ')
	out = append(out, c.route.Procedure...)
	if r.Method == http.MethodGet && r.URL.RawQuery != "" {
		out = append(out, '?')
		out = append(out, harmless(r.URL.RawQuery)...)
	}
	out = append(out, " HTTP/1.1\r\nHost: "...)
	out = append(out, c.route.Service...)
	out = append(out, "\r\n"...)
	for name, values := range r.Header {
		if ours(name) {
			continue
		}
		for _, value := range values {
			out = appendField(out, name, value)
		}
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		out = appendField(out, "X-Forwarded-For", host)
	}
	out = appendField(out, "X-Forwarded-Host", r.Host)
	if r.TLS == nil {
		out = append(out, "X-Forwarded-Proto: http\r\n"...)
	} else {
		out = append(out, "X-Forwarded-Proto: https\r\n"...)
	}
	if c.tells() && !c.timer.deadline.IsZero() { // a manifest's bound is none for streams
		out = c.appendTimeout(out)
	}
	out = append(out, "Traceparent: "...)
	out = c.appendTraceparent(out)
	out = append(out, "\r\n"...)
	if r.Method == http.MethodPost {
		out = append(out, "Content-Length: "...)
		out = strconv.AppendInt(out, int64(bodyBytes), 10)
		out = append(out, "\r\n"...)
	}
	return append(out, "\r\n"...)
}

// appendTimeout appends how long the service has.
func (c *call) appendTimeout(out []byte) []byte {
	left := max(c.timer.hop(), time.Millisecond).Milliseconds()
	if c.protocol == wire.GRPCWeb {
		return appendField(out, "Grpc-Timeout", strconv.FormatInt(left, 10)+"m")
	}
	out = append(out, "Connect-Timeout-Ms: "...)
	out = strconv.AppendInt(out, left, 10)
	return append(out, "\r\n"...)
}

// ours tells whether a field of a request is set here, whatever the caller sent.
func ours(name string) bool {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Connect-Timeout-Ms", "Grpc-Timeout":
		return true
	default:
		return false
	}
}

func appendField(out []byte, name, value string) []byte {
	out = append(out, harmless(name)...)
	out = append(out, ": "...)
	out = append(out, harmless(value)...)
	return append(out, "\r\n"...)
}

// harmless returns text that cannot end a line. net/http lets none through that can; that this never changes is not left
// to it alone.
func harmless(text string) string {
	if strings.IndexByte(text, '\n') < 0 && strings.IndexByte(text, '\r') < 0 && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == 0 {
			return -1
		}
		return r
	}, text)
}
