package consultest

import (
	"net"
	"slices"
	"strconv"
	"strings"
)

// address is where the HTTP API is.
func (p ports) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.http)) }

// freePorts returns ports that nobody listened on a moment ago, over TCP and UDP.
func freePorts() (ports, error) {
	var found []int
	for len(found) < 3 {
		listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return ports{}, err
		}
		defer listener.Close() // all stay open until all are found, so they differ
		port := listener.Addr().(*net.TCPAddr).Port
		packets, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			continue
		}
		defer packets.Close()
		found = append(found, port)
	}
	return ports{http: found[0], server: found[1], serf: found[2]}, nil
}

// withoutConsul drops the variables that would make the agent another one than the test wants.
func withoutConsul(environ []string) []string {
	return slices.DeleteFunc(environ, func(variable string) bool { return strings.HasPrefix(variable, "CONSUL_") })
}
