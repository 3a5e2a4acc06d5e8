package service

import (
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
)

// What Config.OpsDebug can be. What is none of them, such as the empty one of a configuration that was not parsed, is the
// first.
const (
	debugLocal = "local"
	debugAll   = "all"
	debugNone  = "none"
)

// mountProfiles serves net/http/pprof.
func (o *Ops) mountProfiles() {
	o.HandleDebug("/debug/pprof/", http.HandlerFunc(pprof.Index))
	o.HandleDebug("/debug/pprof/cmdline", http.HandlerFunc(pprof.Cmdline))
	o.HandleDebug("/debug/pprof/profile", http.HandlerFunc(pprof.Profile))
	o.HandleDebug("/debug/pprof/symbol", http.HandlerFunc(pprof.Symbol)) // `go tool pprof` posts to it
	o.HandleDebug("/debug/pprof/trace", http.HandlerFunc(pprof.Trace))
}

// guard refuses those who may not see a page.
func (o *Ops) guard(page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch o.debug {
		case debugAll:
		case debugNone:
			http.Error(w, "turned off by ASHLAR_OPS_DEBUG=none", http.StatusForbidden)
			return
		default:
			if !isLoopback(r.RemoteAddr) || !namesThisMachine(r.Host) {
				http.Error(w, "only for who is on the same machine, by its address or as localhost (ASHLAR_OPS_DEBUG=local)", http.StatusForbidden)
				return
			}
		}
		page.ServeHTTP(w, r)
	})
}

// isLoopback tells whether HOST:PORT can only be reached from the same machine.
func isLoopback(address string) bool {
	parsed, err := netip.ParseAddrPort(address)
	return err == nil && parsed.Addr().Unmap().IsLoopback()
}

// namesThisMachine tells whether a Host header is none that a stranger's name server could have made up: a web page may
// ask for its own name after that has become an address of this machine.
func namesThisMachine(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	if name == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}
