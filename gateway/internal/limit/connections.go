package limit

import (
	"net"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Connections bounds how many connections are open, of all and from each address: a connection costs memory and a file
// descriptor before anybody has asked for anything. It is safe for concurrent use.
type Connections struct {
	refused *prometheus.CounterVec

	mu     sync.Mutex
	bounds ConnectionBounds
	open   int
	from   map[Caller]int
}

// ConnectionBounds says how many connections there may be; 0: no bound.
type ConnectionBounds struct {
	All  int
	Each int // from one address; for IPv6 from a network of one customer
	// Exempt tells for which addresses Each does not hold: those of proxies, behind which many are. nil: none.
	Exempt func(netip.Addr) bool
}

// NewConnections returns one without bounds.
func NewConnections(metrics prometheus.Registerer) (*Connections, error) {
	c := &Connections{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ashlar_gateway_connections_refused_total", Help: "Connections that were closed at once because there were too many.",
		}, []string{"bound"}),
		from: map[Caller]int{},
	}
	return c, metrics.Register(c.refused)
}

// SetBounds sets what holds from now on. Connections that are open stay.
func (c *Connections) SetBounds(bounds ConnectionBounds) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bounds = bounds
}

// Listener returns a listener that closes at once what is over the bounds. inner has to be one of TCP.
func (c *Connections) Listener(inner net.Listener) net.Listener { return &boundedListener{inner, c} }

// enter counts a connection, or says which bound it is over.
func (c *Connections) enter(address netip.Addr) (site Caller, over string) {
	site = Address(address)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch b := c.bounds; {
	case b.All > 0 && c.open >= b.All:
		return site, "all"
	case b.Each > 0 && c.from[site] >= b.Each && (b.Exempt == nil || !b.Exempt(address)):
		return site, "address"
	}
	c.open++
	c.from[site]++
	return site, ""
}

func (c *Connections) leave(site Caller) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.from[site]--; c.from[site] == 0 {
		delete(c.from, site)
	}
}

type boundedListener struct {
	net.Listener

	connections *Connections
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			return conn, nil
		}
		var address netip.Addr // without one, all share what one may have
		if remote, ok := tcp.RemoteAddr().(*net.TCPAddr); ok {
			address = remote.AddrPort().Addr()
		}
		site, over := l.connections.enter(address)
		if over == "" {
			return &boundedConn{TCPConn: tcp, leave: sync.OnceFunc(func() { l.connections.leave(site) })}, nil
		}
		l.connections.refused.WithLabelValues(over).Inc()
		_ = tcp.SetLinger(0) // nothing of it is kept
		_ = tcp.Close()
	}
}

// boundedConn is counted until it is closed.
type boundedConn struct {
	*net.TCPConn

	leave func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	defer c.leave()
	return c.TCPConn.Close()
}
