// Package redistest starts Redis servers for tests: one, one that Sentinels watch, or a cluster.
package redistest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/freeport"
)

// within bounds what should take milliseconds, or seconds where others have to find out that a server is gone.
const within = 30 * time.Second

const (
	// host is where servers listen.
	host           = freeport.Host
	user, password = "ashlar", "hunter2"
)

// Server is a Redis of a test's own, that keeps nothing on disk. Its methods are for the goroutine of the test.
type Server struct {
	t       testing.TB
	port    string
	secret  *TLS
	args    []string
	process *exec.Cmd
}

// TLS is what servers show over TLS, which they speak with each other, too. nil stands for plain text.
type TLS struct {
	CertFile string // PEM; also that of whoever has signed it
	KeyFile  string // PEM
}

// Start starts a server, which ends with the test. Without the program the test is skipped, or fails where CI=true.
func Start(t testing.TB, secret *TLS) *Server {
	t.Helper()
	return startData(t, secret, choosePorts(t, 1)[0])
}

// startData starts a server that keeps data, with a user who may do what docs/gateway.md says that gateways have to.
func startData(t testing.TB, secret *TLS, port string, args ...string) *Server {
	t.Helper()
	return start(t, secret, port, append(args, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0",
		"--user", user, "on", ">"+password, "~{ashlar:limits}:*", "+eval", "+evalsha", "+time", "+get", "+set", "+cluster|slots")...)
}

func start(t testing.TB, secret *TLS, port string, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is missing")
		}
		t.Skip("redis-server is missing")
	}
	s := &Server{t: t, port: port, secret: secret, args: append(args, "--bind", host, "--dir", t.TempDir())}
	if secret == nil {
		s.args = append(s.args, "--port", port)
	} else {
		s.args = append(s.args, "--port", "0", "--tls-port", port, "--tls-replication", "yes", "--tls-cluster", "yes", "--tls-auth-clients", "no",
			"--tls-cert-file", secret.CertFile, "--tls-key-file", secret.KeyFile, "--tls-ca-cert-file", secret.CertFile)
	}
	s.Restart()
	t.Cleanup(s.Kill)
	return s
}

// choosePorts returns ports on which nothing listens, each another.
func choosePorts(t testing.TB, n int) []string {
	t.Helper()
	chosen, err := freeport.Choose(t.Context(), n)
	require.NoError(t, err)
	ports := make([]string, n)
	for i, port := range chosen {
		ports[i] = strconv.Itoa(port)
	}
	return ports
}

func (s *Server) address() string { return net.JoinHostPort(host, s.port) }

// URL is the address of the server.
func (s *Server) URL() string { return s.scheme() + user + ":" + password + "@" + s.address() }

func (s *Server) scheme() string {
	if s.secret != nil {
		return "rediss://"
	}
	return "redis://"
}

// Restart starts the server after Kill, empty and at the same address.
func (s *Server) Restart() {
	s.t.Helper()
	s.process = exec.Command("redis-server", s.args...)
	require.NoError(s.t, s.process.Start())
	s.eventually("no answer", func(ctx context.Context, c *redis.Client) bool { return c.Ping(ctx).Err() == nil })
}

// do has the server run a command.
func (s *Server) do(args ...any) {
	s.t.Helper()
	c := s.client()
	require.NoError(s.t, c.Do(s.t.Context(), args...).Err(), args)
	require.NoError(s.t, c.Close())
}

// eventually waits until the server is as it is wanted.
func (s *Server) eventually(otherwise string, wanted func(ctx context.Context, c *redis.Client) bool) {
	s.t.Helper()
	c := s.client()
	require.Eventually(s.t, func() bool { return wanted(s.t.Context(), c) }, within, 5*time.Millisecond, otherwise)
	require.NoError(s.t, c.Close())
}

func (s *Server) client() *redis.Client {
	options := &redis.Options{Addr: s.address(), MaxRetries: -1, DialerRetries: 1}
	if s.secret != nil {
		authority, err := os.ReadFile(s.secret.CertFile)
		require.NoError(s.t, err)
		options.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		require.True(s.t, options.TLSConfig.RootCAs.AppendCertsFromPEM(authority))
	}
	return redis.NewClient(options)
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
