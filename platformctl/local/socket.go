package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

const (
	socketName = "control.sock"
	// maxSocketPath is what every system takes: the address of a Unix socket has room for 104 bytes on BSD and macOS, for 108
	// on Linux, and one of them ends it.
	maxSocketPath = 103
)

// socket is a Unix socket that only its owner can open.
type socket struct {
	net.Listener

	link string // in the home folder: the socket itself, or a symbolic link to it
	dir  string // a folder of its own, where the path in the home folder is too long; else empty
}

// listenInHome makes the control socket of a home folder, which this process must hold: what a killed one has left there
// is replaced.
func listenInHome(ctx context.Context, folder string) (*socket, error) {
	s := &socket{link: filepath.Join(folder, socketName)}
	forget(s.link)
	path := s.link
	if len(path) > maxSocketPath {
		var err error
		if s.dir, err = os.MkdirTemp("", "ashlar-"); err != nil { // mode 0700
			return nil, fmt.Errorf("make a folder for the control socket: %w", err)
		}
		path = filepath.Join(s.dir, socketName)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", path)
	if err == nil {
		s.Listener = listener
		err = os.Chmod(path, 0o600)
	}
	if err == nil && path != s.link {
		err = os.Symlink(path, s.link)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the control socket %s: %w", path, err), s.Close())
	}
	return s, nil
}

// forget removes a socket that nobody listens on any more, and the folder that was made for it.
func forget(link string) {
	if target, err := os.Readlink(link); err == nil && filepath.Base(target) == socketName {
		_ = os.Remove(target)
		_ = os.Remove(filepath.Dir(target)) // only if it is empty
	}
	_ = os.Remove(link)
}

// Close implements net.Listener, and leaves nothing behind.
func (s *socket) Close() error {
	var err error
	if s.Listener != nil {
		err = s.Listener.Close()
		if errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	forget(s.link)
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
	return err
}

// socketOf returns the path to dial for the control socket of a home folder; empty where there is none.
func socketOf(folder string) (string, error) {
	path, err := filepath.Abs(filepath.Join(folder, socketName))
	if err != nil {
		return "", err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case info.Mode()&fs.ModeSymlink == 0:
		return path, nil
	default:
		return os.Readlink(path)
	}
}
