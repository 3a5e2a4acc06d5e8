// Package freeport chooses ports of the loopback address that another process is to bind. Where a process can be handed a
// listener (rpc.Bind), or can take port 0 and say which one that is, do that instead: a port that was chosen may be gone
// when it is bound, so whoever uses one has to be ready to try another.
package freeport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The ports come from below those that systems give out on their own, to listeners on port 0 and to connections, and from
// above the last that browsers refuse (10080, Fetch standard, "bad port").
const (
	lowest  = 12000
	highest = 31999
	tries   = 200
)

// Host is the address that the ports are of.
const Host = "127.0.0.1"

// given has the ports that this process has chosen: none is chosen twice.
var given struct {
	sync.Mutex

	ports map[int]bool
}

// Choose returns n ports that nobody uses now, over TCP or UDP, each another, and other ones than any earlier call in the
// process has returned. It may be called by several goroutines.
func Choose(ctx context.Context, n int) ([]int, error) {
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	var chosen []int
	for range tries {
		if len(chosen) == n {
			return chosen, nil
		}
		port := lowest + rand.IntN(highest-lowest+1) //nolint:gosec // no secret
		if !given.ports[port] && Free(ctx, port) {
			given.ports[port] = true
			chosen = append(chosen, port)
		}
	}
	return nil, fmt.Errorf("no free ports on %s between %d and %d", Host, lowest, highest)
}

// ChooseAddress is Choose of one port, as the address that it is part of.
func ChooseAddress(ctx context.Context) (string, error) {
	ports, err := Choose(ctx, 1)
	if err != nil {
		return "", err
	}
	return Address(ports[0]), nil
}

// Free reports whether nobody uses a port of the loopback address, over TCP or UDP.
func Free(ctx context.Context, port int) bool {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", Address(port))
	if err != nil {
		return false
	}
	packets, err := config.ListenPacket(ctx, "udp", Address(port))
	if err == nil {
		err = packets.Close()
	}
	return errors.Join(err, listener.Close()) == nil
}

// Address is the loopback address with a port.
func Address(port int) string { return net.JoinHostPort(Host, strconv.Itoa(port)) }
