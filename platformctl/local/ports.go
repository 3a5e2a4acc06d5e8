package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports that are chosen here and bound later by another process come from below the range from which systems give out
// ports on their own, so that no process that binds to port 0 meanwhile gets one of them.
const (
	lowestPort  = 20000
	highestPort = 29999
	portTries   = 200
)

const loopback = "127.0.0.1"

// freePorts returns n different ports of the loopback address that nobody uses now, over TCP and UDP.
func freePorts(ctx context.Context, n int) ([]int, error) {
	var found []int
	taken := map[int]bool{}
	for range portTries {
		if len(found) == n {
			return found, nil
		}
		port := lowestPort + rand.IntN(highestPort-lowestPort+1) //nolint:gosec // no secret
		if !taken[port] && free(ctx, port) {
			taken[port] = true
			found = append(found, port)
		}
	}
	return nil, fmt.Errorf("no free ports on %s between %d and %d", loopback, lowestPort, highestPort)
}

// free reports whether nobody uses a port of the loopback address.
func free(ctx context.Context, port int) bool {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", hostPort(port))
	if err != nil {
		return false
	}
	packets, err := config.ListenPacket(ctx, "udp", hostPort(port))
	if err == nil {
		err = packets.Close()
	}
	return errors.Join(err, listener.Close()) == nil
}

// hostPort is the loopback address with a port.
func hostPort(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
