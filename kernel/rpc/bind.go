package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// inheritedPrefix begins the address of a listener that is there already.
const inheritedPrefix = "fd:"

// firstInherited is the first file descriptor that is not one of the standard streams.
const firstInherited = 3

// Inherited is the address, for Bind, of the listener that a process was given as the n-th of exec.Cmd.ExtraFiles, from 0.
func Inherited(n int) string { return inheritedPrefix + strconv.Itoa(firstInherited+n) }

// Bind listens on a TCP address, host:port; port 0 takes a free one. An address fd:N stands for the listener that the
// process inherited as file descriptor N: whoever started it knows where it listens before it does, and nobody else can
// take the port meanwhile. A descriptor can be used once.
func Bind(ctx context.Context, address string) (net.Listener, error) {
	if number, ok := strings.CutPrefix(address, inheritedPrefix); ok {
		listener, err := inherited(number)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		return listener, nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return listener, nil
}

func inherited(number string) (net.Listener, error) {
	descriptor, err := strconv.ParseUint(number, 10, 31)
	if err != nil || descriptor < firstInherited {
		return nil, errors.New("not the number of an inherited file descriptor, which are 3 and above")
	}
	file := os.NewFile(uintptr(descriptor), inheritedPrefix+number)
	if file == nil {
		return nil, os.ErrInvalid
	}
	listener, err := net.FileListener(file) // has a descriptor of its own, which no other program inherits
	err = errors.Join(err, file.Close())
	if err != nil {
		return nil, err
	}
	if _, ok := listener.(*net.TCPListener); !ok {
		return nil, errors.Join(errors.New("not a listener of TCP"), listener.Close())
	}
	return listener, nil
}
