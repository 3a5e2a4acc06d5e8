package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"syscall"

	"connectrpc.com/connect/v2"

	localv1 "ashlar.dev/gen/go/ashlar/local/v1"
	"ashlar.dev/gen/go/ashlar/local/v1/localv1connect"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/home"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/peer"
)

// ErrNotRunning says that no `up` runs on a home folder.
var ErrNotRunning = errors.New("no platform runs")

// Supervisor talks to the `up` that runs on a home folder.
type Supervisor struct {
	home      string
	transport *http.Transport
	peers     *peer.Clients
	client    localv1connect.SupervisorServiceClient
}

// Dial connects to the `up` that runs on a home folder. The error is ErrNotRunning where none does.
func Dial(ctx context.Context, folder string) (*Supervisor, error) {
	path, err := socketOf(folder)
	if err != nil {
		return nil, fmt.Errorf("find the control socket: %w", err)
	}
	if path == "" {
		return nil, absent(folder)
	}
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist): // one that was killed has left it
		return nil, absent(folder)
	case err != nil:
		return nil, fmt.Errorf("open the control socket of the platform on %s: %w", folder, err)
	}
	_ = connection.Close()
	key, err := workload.ReadClusterKey(filepath.Join(folder, "cluster.key"))
	if err != nil {
		return nil, err
	}
	s := &Supervisor{home: folder, transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", path) },
	}}
	if s.peers, err = peer.New(ctx, key, s.transport); err != nil {
		return nil, err
	}
	s.client = localv1connect.NewSupervisorServiceClient(s.peers.Client(controlName))
	return s, nil
}

// absent says that no platform runs, or that one runs which takes no orders yet.
func absent(folder string) error {
	if pid, err := home.Holder(folder); err == nil && pid != 0 {
		return exit.With(exit.Unavailable, fmt.Errorf("the platform on %s (process %d) is starting or stopping: try again", folder, pid))
	}
	return exit.With(exit.Unavailable, fmt.Errorf("%w on %s: start one with `platformctl up`, or name its home folder with --home", ErrNotRunning, folder))
}

// Close ends the connection.
func (s *Supervisor) Close() {
	s.transport.CloseIdleConnections()
	s.peers.Close()
}

// List returns all units, and where Consul is.
func (s *Supervisor) List(ctx context.Context) (*localv1.ListUnitsResponse, error) {
	answer, err := s.client.ListUnits(ctx, &localv1.ListUnitsRequest{})
	return answer, s.explain(ctx, err)
}

// Start starts units and those that they depend on. It tells what happens, and returns when all are ready.
func (s *Supervisor) Start(ctx context.Context, names []string, tell func(*localv1.Event)) error {
	stream, err := s.client.StartUnits(ctx, &localv1.StartUnitsRequest{Names: names})
	if err != nil {
		return s.explain(ctx, err)
	}
	return s.explain(ctx, follow(stream.Receive, stream.Close, tell))
}

// Stop stops units and keeps them down; with force also those that others which run depend on.
func (s *Supervisor) Stop(ctx context.Context, names []string, force bool, tell func(*localv1.Event)) error {
	stream, err := s.client.StopUnits(ctx, &localv1.StopUnitsRequest{Names: names, Force: force})
	if err != nil {
		return s.explain(ctx, err)
	}
	return s.explain(ctx, follow(stream.Receive, stream.Close, tell))
}

// Restart gives units new processes, one after the other.
func (s *Supervisor) Restart(ctx context.Context, names []string, tell func(*localv1.Event)) error {
	stream, err := s.client.RestartUnits(ctx, &localv1.RestartUnitsRequest{Names: names})
	if err != nil {
		return s.explain(ctx, err)
	}
	return s.explain(ctx, follow(stream.Receive, stream.Close, tell))
}

// follow tells what comes in a stream, to its end.
func follow[M interface{ GetEvent() *localv1.Event }](receive func() (M, error), closeStream func() error, tell func(*localv1.Event)) error {
	defer func() { _ = closeStream() }()
	for {
		message, err := receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		tell(message.GetEvent())
	}
}

// exitCodes are the exit codes for what a change ended with.
var exitCodes = map[string]int{
	reasonNotFound: exit.NotFound, reasonInUse: exit.Conflict, reasonNotReady: exit.Unavailable, reasonFailed: exit.Failure,
}

// explain turns what a call ended with into a message for people and an exit code.
func (s *Supervisor) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return exit.With(exit.Interrupted, errors.New("interrupted; what has begun goes on"))
	}
	if code, known := exitCodes[rpcerror.Reason(err)]; known {
		if e, ok := errors.AsType[*connect.Error](err); ok {
			return exit.With(code, errors.New(e.Message()))
		}
	}
	return exit.With(exit.Unavailable, fmt.Errorf("the platform on %s does not answer any more: %w", s.home, err))
}
