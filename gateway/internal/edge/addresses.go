package edge

import (
	"crypto/tls"
	"net/http"
	"net/netip"

	"ashlar.dev/gateway/internal/address"
)

// Addresses says where callers are, and which may call. The zero value looks at nobody.
type Addresses struct {
	// TrustedProxies are those who are believed when they say for whom they ask.
	TrustedProxies address.Set
	// Allow are those who may call; empty: all. Deny are those who may not, whatever Allow says.
	Allow, Deny address.Set
}

// none tells whether there is nothing to look at.
func (a *Addresses) none() bool {
	return a.TrustedProxies.Empty() && a.Allow.Empty() && a.Deny.Empty()
}

// admit tells whether a caller may call. A connection whose address is not known is on no list.
func (a *Addresses) admit(client netip.Addr) bool {
	return !a.Deny.Contains(client) && (a.Allow.Empty() || a.Allow.Contains(client))
}

// byProxy stands for the TLS between a caller and a proxy. There are no certificates in it.
var byProxy = &tls.ConnectionState{}

// place finds out where the caller is and whether he speaks TLS, and lets the request look as if it came from there: its
// RemoteAddr and TLS are what limits, logs and services go by. It comes before anything else looks at the request, and
// tells whether the caller may go on.
func (a *Addresses) place(r *http.Request) bool {
	connection := addressOf(r)
	client := address.Client(connection, r.Header["X-Forwarded-For"], a.TrustedProxies)
	if a.TrustedProxies.Contains(connection) {
		r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
		switch told := r.Header["X-Forwarded-Proto"]; {
		case len(told) != 1:
		case told[0] == "https":
			r.TLS = byProxy
		case told[0] == "http":
			r.TLS = nil
		}
	}
	return a.admit(client)
}

// addressOf is the address that a request comes from; the zero one where that is not known.
func addressOf(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr()
}
