package edge

import (
	"net/http"
	"strings"
)

// forgedPrefixes begin the headers that say who calls, from where or on whose behalf. From outside they are worth
// nothing, and they must not look as if they came from us.
var forgedPrefixes = []string{
	"Ashlar-", "X-Forwarded-", "Proxy-", "X-B3-", "X-Original-", "X-Rewrite-", "X-Envoy-", "X-Ssl-", "X-Client-Cert",
	"X-Http-Method", "X-Remote-", "Remote-",
}

// forgedNames are further ones, and headers that belong to one connection (RFC 9110, section 7.6.1).
var forgedNames = []string{
	"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Client-Ip",
	"Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Method-Override", "X-User", "X-User-Id",
	"Traceparent", "Tracestate", "Baggage", "B3", "Uber-Trace-Id", "X-Amzn-Trace-Id", "X-Cloud-Trace-Context",
	"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings", "Expect",
}

// sanitize removes what a client has no say in, and what its Connection header names.
func sanitize(header http.Header) {
	dropNamed(header, header["Connection"])
	for name := range header {
		if forged(name) {
			delete(header, name)
		}
	}
}

// dropNamed removes the fields that a Connection header names: they belong to the connection that it came over (RFC 9110,
// section 7.6.1).
func dropNamed(header http.Header, connection []string) {
	for _, list := range connection {
		for name := range strings.SplitSeq(list, ",") {
			header.Del(strings.TrimSpace(name))
		}
	}
}

// forgedBy has both by their first letter, in lower case.
var forgedBy = func() (out [256]struct{ prefixes, names []string }) {
	for _, prefix := range forgedPrefixes {
		of := &out[prefix[0]|' ']
		of.prefixes = append(of.prefixes, prefix)
	}
	for _, name := range forgedNames {
		of := &out[name[0]|' ']
		of.names = append(of.names, name)
	}
	return out
}()

func forged(name string) bool {
	if name == "" {
		return false
	}
	// Some servers take an underscore for a dash.
	if strings.IndexByte(name, '_') >= 0 {
		name = strings.ReplaceAll(name, "_", "-")
	}
	candidates := &forgedBy[name[0]|' ']
	for _, prefix := range candidates.prefixes {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	for _, forged := range candidates.names {
		if len(forged) == len(name) && strings.EqualFold(name, forged) {
			return true
		}
	}
	return false
}
