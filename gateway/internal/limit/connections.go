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

// Enter counts a connection from an address of TCP or UDP until leave is called; not ok: there are too many.
func (c *Connections) Enter(remote net.Addr) (leave func(), ok bool) {
	site, over := c.enter(addressOf(remote))
	if over != "" {
		c.refused.WithLabelValues(over).Inc()
		return nil, false
	}
	return sync.OnceFunc(func() { c.leave(site) }), true
}

// Crowded tells whether half of the connections that there may be are open, of all or from an address. Who only says that he
// is at an address should have to prove it then, so that he takes nobody's place.
func (c *Connections) Crowded(remote net.Addr) bool {
	address := addressOf(remote)
	site := Address(address)
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.bounds
	return b.All > 0 && 2*c.open >= b.All || b.bounds(address) && 2*c.from[site] >= b.Each
}

// addressOf returns the zero address where there is none: all without one share what one may have.
func addressOf(remote net.Addr) netip.Addr {
	switch a := remote.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr()
	case *net.UDPAddr:
		return a.AddrPort().Addr()
	default:
		return netip.Addr{}
	}
}

// bounds tells whether Each holds for an address.
func (b ConnectionBounds) bounds(address netip.Addr) bool {
	return b.Each > 0 && (b.Exempt == nil || !b.Exempt(address))
}

// enter counts a connection, or says which bound it is over.
func (c *Connections) enter(address netip.Addr) (site Caller, over string) {
	site = Address(address)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch b := c.bounds; {
	case b.All > 0 && c.open >= b.All:
		return site, "all"
	case b.bounds(address) && c.from[site] >= b.Each:
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
		if leave, ok := l.connections.Enter(tcp.RemoteAddr()); ok {
			return &boundedConn{TCPConn: tcp, leave: leave}, nil
		}
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
