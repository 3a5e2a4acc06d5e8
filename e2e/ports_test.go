package e2e

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// freeAddress returns a loopback address that nobody uses now and nobody is given: systems give out ports above 32767,
// platformctl those from 20000.
func freeAddress() (string, error) {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10000+rand.IntN(10000)))
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		return address, listener.Close()
	}
	return "", errors.New("no free port between 10000 and 19999")
}
