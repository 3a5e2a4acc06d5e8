package freeport_test

import (
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/freeport"
)

func TestNoPortIsChosenTwice(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				ports, err := freeport.Choose(t.Context(), 3)
				mu.Lock()
				if err != nil {
					t.Error(err)
				}
				for _, port := range ports {
					if seen[port] {
						t.Errorf("%d twice", port)
					}
					seen[port] = true
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	require.Len(t, seen, 8*10*3)
	for port := range seen {
		require.GreaterOrEqual(t, port, 10081) // browsers refuse 10080
		require.Less(t, port, 32768)           // Linux gives out these
	}
}

func TestFree(t *testing.T) {
	listener, err := net.Listen("tcp", freeport.Address(0))
	require.NoError(t, err)
	port := portOf(t, listener.Addr())
	require.False(t, freeport.Free(t.Context(), port))
	packets, err := net.ListenPacket("udp", freeport.Address(port))
	if err == nil { // else somebody else has it, and it is not free all the same
		defer packets.Close()
	}
	require.NoError(t, listener.Close())
	require.False(t, freeport.Free(t.Context(), port), "UDP counts, too")
}

func portOf(t *testing.T, address net.Addr) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address.String())
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	return port
}
