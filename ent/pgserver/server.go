package pgserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// superuser is the role that the server is made with.
const superuser = "ashlar"

// startTimeout bounds how long the server may take to become ready.
const startTimeout = 60 * time.Second

// watch runs the server until our end of the pipe to its standard input is
// closed, by Stop or because our process is gone, and leaves nothing behind. A
// line with the name of a signal ends the server, the line start starts it again.
// A server that ends by itself leaves its exit code in the file exit.
const watch = `
postgres=$1 home=$2 sync=$3
begin() {
	rm -f "$home/exit"
	("$postgres" -D "$home/data" -k "$home" -c listen_addresses= -c fsync="$sync" -c full_page_writes="$sync" \
		-c max_connections=200 -c shared_buffers=16MB -c log_min_messages=fatal >>"$home/log" 2>&1
		echo "$?" >"$home/exit") &
}
end() {
	read -r pid <"$home/data/postmaster.pid" && kill -"$1" "$pid"
	wait
}
begin
while read -r command; do
	case $command in
	start) begin ;;
	*) end "$command" ;;
	esac
done
end INT
# What is on other disks first.
rm -rf "$home"/data/pg_wal/* "$home"/data/* "$home"
`

// Server is a running PostgreSQL. Its methods may be called from any goroutine.
type Server struct {
	home     string
	password string
	options  Options
	alive    io.WriteCloser
	watch    *exec.Cmd
}

// Options say how a server runs. The zero value is what Start does.
type Options struct {
	// Durable has it wait for the disk with every commit, as in production: for
	// measuring.
	Durable bool
	// Data and Log are empty folders for the server's files and for its write-ahead log, such as disks of their own. The
	// user that the server runs as must be able to reach them. Empty: in the temporary folder, and with the other files.
	Data, Log string
}

// Start makes a database cluster in a new temporary folder and starts a server
// on it. The error is [ErrNotFound] where PostgreSQL is not installed.
func Start(ctx context.Context) (*Server, error) { return StartWith(ctx, Options{}) }

// StartWith is Start with options.
func StartWith(ctx context.Context, options Options) (*Server, error) {
	postgres, initdb, err := binaries()
	if err != nil {
		return nil, err
	}
	runAs, err := unprivileged()
	if err != nil {
		return nil, err
	}
	// Short, because the path of a unix socket has at most 107 bytes.
	home, err := os.MkdirTemp("", "ashlar-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{home: home, password: rand.Text(), options: options}
	if err := s.create(ctx, initdb, runAs); err != nil {
		return nil, errors.Join(err, os.RemoveAll(home))
	}
	if err := s.start(postgres, runAs); err != nil {
		return nil, errors.Join(err, os.RemoveAll(home))
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// URL is the address of a database of this server, for its superuser.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Path:     "/" + database,
		RawQuery: url.Values{"host": {s.home}}.Encode(),
	}
	return u.String()
}

// Stop ends the server and removes its files. A second call does nothing.
func (s *Server) Stop() error {
	if s.watch == nil {
		return nil
	}
	err := errors.Join(s.alive.Close(), s.watch.Wait(), os.RemoveAll(s.home))
	s.watch = nil
	return err
}

// create makes the cluster.
func (s *Server) create(ctx context.Context, initdb string, runAs *account) error {
	secret := filepath.Join(s.home, "password")
	if err := os.WriteFile(secret, []byte(s.password), 0o600); err != nil {
		return err
	}
	if err := errors.Join(runAs.own(secret), runAs.own(s.home)); err != nil {
		return err
	}
	data := filepath.Join(s.home, "data")
	args := []string{"-D", data, "-U", superuser, "--auth=scram-sha-256", "--pwfile=" + secret, "--encoding=UTF8", "--no-locale", "--no-sync"}
	if s.options.Data != "" {
		if err := errors.Join(os.Symlink(s.options.Data, data), runAs.own(s.options.Data)); err != nil {
			return err
		}
	}
	if s.options.Log != "" {
		if err := runAs.own(s.options.Log); err != nil {
			return err
		}
		args = append(args, "--waldir="+s.options.Log)
	}
	cmd := exec.CommandContext(ctx, initdb, args...)
	cmd.Dir = s.home
	runAs.run(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a PostgreSQL cluster in %s: %w\n%s", s.home, err, bytes.TrimSpace(out))
	}
	return nil
}

// start runs the server under its watch.
func (s *Server) start(postgres string, runAs *account) error {
	sync := "off"
	if s.options.Durable {
		sync = "on"
	}
	cmd := exec.Command("/bin/sh", "-c", watch, "sh", postgres, s.home, sync)
	cmd.Dir = "/"
	runAs.run(cmd)
	alive, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	s.alive, s.watch = alive, cmd
	return nil
}

// ready waits until the server takes connections: the eighth line of its
// postmaster.pid says so.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		state, _ := os.ReadFile(filepath.Join(s.home, "data", "postmaster.pid"))
		if lines := strings.Split(string(state), "\n"); len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready" {
			return nil
		}
		if code, err := os.ReadFile(filepath.Join(s.home, "exit")); err == nil {
			return s.failure(fmt.Errorf("it ended with code %s", bytes.TrimSpace(code)))
		}
		select {
		case <-ctx.Done():
			return s.failure(ctx.Err())
		case <-tick.C:
		}
	}
}

// failure adds what the server wrote.
func (s *Server) failure(err error) error {
	log, _ := os.ReadFile(filepath.Join(s.home, "log"))
	return fmt.Errorf("PostgreSQL did not start: %w\n%s", err, bytes.TrimSpace(log))
}
