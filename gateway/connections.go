package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"ashlar.dev/gateway/internal/limit"
)

// defaultConnectionRequests is what MaxConnectionRequests means where it is not set.
const defaultConnectionRequests = 250

// boundConnections sets what a server allows of each connection; where nothing is set, what it has been made with.
func (c Config) boundConnections(server *http.Server) {
	server.HTTP2.MaxConcurrentStreams = cmp.Or(c.MaxConnectionRequests, defaultConnectionRequests)
	server.ReadHeaderTimeout = cmp.Or(c.HeaderTimeout, server.ReadHeaderTimeout)
	server.IdleTimeout = cmp.Or(c.IdleTimeout, server.IdleTimeout)
}

// connectionBounds says how many connections there may be. validate comes before it.
func (c Config) connectionBounds() limit.ConnectionBounds {
	addresses, _ := c.addresses()
	return limit.ConnectionBounds{All: c.MaxConnections, Each: c.MaxAddressConnections, Exempt: addresses.TrustedProxies.Contains}
}

func (c Config) validateConnections() error {
	var errs []error
	for _, of := range []struct {
		name  string
		value int64
	}{
		{"gateway-max-connections", int64(c.MaxConnections)},
		{"gateway-max-address-connections", int64(c.MaxAddressConnections)},
		{"gateway-max-connection-requests", int64(c.MaxConnectionRequests)},
		{"gateway-header-timeout", int64(c.HeaderTimeout)},
		{"gateway-idle-timeout", int64(c.IdleTimeout)},
	} {
		if of.value < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", of.name))
		}
	}
	return errors.Join(errs...)
}
