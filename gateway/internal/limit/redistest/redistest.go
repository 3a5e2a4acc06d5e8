// Package redistest starts Redis servers for tests.
package redistest

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// within bounds what should take milliseconds.
const within = 20 * time.Second

// Server is a Redis of a test's own, that keeps nothing on disk. Its methods are for the goroutine of the test.
type Server struct {
	t       testing.TB
	port    string
	process *exec.Cmd
}

// Start starts a server, which ends with the test. Without the program the test is skipped, or fails where CI=true.
func Start(t testing.TB) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is missing")
		}
		t.Skip("redis-server is missing")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	s := &Server{t: t, port: port}
	s.Restart()
	t.Cleanup(s.Kill)
	return s
}

// URL is the address of the server.
func (s *Server) URL() string { return "redis://127.0.0.1:" + s.port }

// Restart starts the server after Kill, empty and at the same address.
func (s *Server) Restart() {
	s.t.Helper()
	s.process = exec.Command("redis-server", "--port", s.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.t.TempDir())
	require.NoError(s.t, s.process.Start())
	require.Eventually(s.t, func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, within, 5*time.Millisecond)
}

// Kill ends the server as kill -9 does.
func (s *Server) Kill() {
	s.signal(syscall.SIGKILL)
	_ = s.process.Wait()
}

// Pause lets the server hang, with its connections open.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Continue ends Pause.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) { _ = s.process.Process.Signal(sig) }
