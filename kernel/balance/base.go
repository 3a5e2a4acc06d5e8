package balance

import (
	"net"
	"net/http"
	"time"
)

// dialTimeout is how long an instance may take to accept a connection. They are near; one that takes longer is not there.
const dialTimeout = time.Second

// streamBuffer bounds what an instance may send on one stream (RFC 9113, section 5.2) before the first of it is read: thousands
// of callers may be slow at a time. Between machines that are near it is more than one stream has on its way.
const streamBuffer = 256 << 10

// DefaultBase returns the transport for requests between the parts of the platform: HTTP/2 without TLS (h2c, RFC 9113
// section 3.3), no proxy, nothing compressed or decompressed on the way. A connection that has been silent for a second is
// probed with a PING, and closed if no answer comes within 2 s, so that a peer that is gone without a word does not hold
// its streams. Of an answer that nobody reads at most streamBuffer is kept. The caller closes it with CloseIdleConnections.
func DefaultBase() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		DialContext:        (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		Protocols:          protocols,
		DisableCompression: true,
		IdleConnTimeout:    90 * time.Second,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: streamBuffer,
			SendPingTimeout:           time.Second,
			PingTimeout:               2 * time.Second,
			WriteByteTimeout:          10 * time.Second,
		},
	}
}
