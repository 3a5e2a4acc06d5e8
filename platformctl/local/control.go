package local

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	localv1 "ashlar.dev/gen/go/ashlar/local/v1"
	"ashlar.dev/gen/go/ashlar/local/v1/localv1connect"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
)

// controlName is who takes orders, in the words of workload tokens.
const controlName = "supervisor"

// Reasons of errors.
const (
	reasonNotFound = "UNIT_NOT_FOUND"
	reasonInUse    = "UNIT_IN_USE"
	reasonNotReady = "PLATFORM_NOT_READY"
	reasonFailed   = "UNIT_FAILED"
)

const (
	controlStop = 2 * time.Second
	maxEvents   = 256 // that wait for a slow caller; what is more is lost
)

// control serves SupervisorService for a platform that runs.
type control struct {
	p         *running
	telemetry *telemetry.Telemetry
	server    *rpc.Server
	served    chan error

	ctx     context.Context // of changes; ends with close
	cancel  context.CancelFunc
	changes sync.WaitGroup
	callers sync.WaitGroup // that have not been told yet how their change ended

	mu     sync.Mutex
	opened bool // changes are taken
}

var _ localv1connect.SupervisorServiceHandler = (*control)(nil)

// newControl begins to serve on the socket of the home folder. Changes are taken from open to close.
func newControl(ctx context.Context, p *running) (*control, error) {
	t, err := telemetry.New(ctx, telemetry.Config{LogLevel: slog.LevelWarn, LogFormat: "text"}, telemetry.Process{Service: controlName}, p.out)
	if err != nil {
		return nil, err
	}
	c := &control{p: p, telemetry: t, served: make(chan error, 1)}
	// The socket's permissions keep others out. That the caller has the cluster key, too, is what every internal RPC asks.
	c.server, err = rpc.NewServer(t.Log, t, rpc.Guards{Workloads: workload.NewTokens(controlName, p.key)}, nil)
	if err == nil {
		localv1connect.RegisterSupervisorServiceHandler(c.server.RPC, c)
		err = c.server.Seal()
	}
	if err != nil {
		return nil, err
	}
	listener, err := listenInHome(ctx, p.home.Path())
	if err != nil {
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.server.Use(listener)
	go func() { c.served <- errors.Join(c.server.Serve(), listener.Close()) }()
	return c, nil
}

// open takes changes from now on.
func (c *control) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened = true
}

// close ends changes that are under way, and waits for them, and until those who asked for them know how they ended: the
// server would end their calls with an error of its own.
func (c *control) close(ctx context.Context) error {
	c.mu.Lock()
	c.opened = false
	c.mu.Unlock()
	c.cancel()
	c.changes.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), controlStop)
	defer cancel()
	told := make(chan struct{})
	go func() {
		c.callers.Wait()
		close(told)
	}()
	select {
	case <-told:
	case <-ctx.Done(): // one that does not read; its call ends with the server
	}
	return errors.Join(c.server.Shutdown(ctx), <-c.served, c.telemetry.Shutdown(ctx))
}

// begin reports whether a change may begin; it ends with changes.Done, and the call with callers.Done.
func (c *control) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened {
		c.changes.Add(1)
		c.callers.Add(1)
	}
	return c.opened
}

// ListUnits implements SupervisorService.
func (c *control) ListUnits(context.Context, *localv1.ListUnitsRequest) (*localv1.ListUnitsResponse, error) {
	c.mu.Lock()
	answer := &localv1.ListUnitsResponse{ConsulAddress: c.p.consulAddress(), Ready: c.opened}
	c.mu.Unlock()
	for _, u := range c.p.services {
		answer.Units = append(answer.Units, protoUnit(u))
	}
	return answer, nil
}

var protoStates = map[state]localv1.UnitState{
	starting: localv1.UnitState_UNIT_STATE_STARTING, ready: localv1.UnitState_UNIT_STATE_READY,
	down: localv1.UnitState_UNIT_STATE_DOWN, failed: localv1.UnitState_UNIT_STATE_FAILED,
}

func protoUnit(u *unit) *localv1.Unit {
	r := u.row()
	out := &localv1.Unit{Name: u.name, State: protoStates[state(r.state)], Address: r.address, Pid: int32(r.pid), DependsOn: u.dependsOn}
	if p := u.process(); p != nil && !p.over() {
		out.StartedAt = timestamppb.New(p.begun)
	}
	return out
}

// StartUnits implements SupervisorService.
func (c *control) StartUnits(ctx context.Context, r *localv1.StartUnitsRequest, stream localv1connect.SupervisorServiceStartUnitsServerStream) error {
	return c.change(ctx,
		func(e *localv1.Event) error { return stream.Send(&localv1.StartUnitsResponse{Event: e}) },
		func(ctx context.Context) error { return c.p.startUnits(ctx, r.GetNames()) })
}

// StopUnits implements SupervisorService.
func (c *control) StopUnits(ctx context.Context, r *localv1.StopUnitsRequest, stream localv1connect.SupervisorServiceStopUnitsServerStream) error {
	return c.change(ctx,
		func(e *localv1.Event) error { return stream.Send(&localv1.StopUnitsResponse{Event: e}) },
		func(ctx context.Context) error { return c.p.stopUnits(ctx, r.GetNames(), r.GetForce()) })
}

// RestartUnits implements SupervisorService.
func (c *control) RestartUnits(ctx context.Context, r *localv1.RestartUnitsRequest, stream localv1connect.SupervisorServiceRestartUnitsServerStream) error {
	return c.change(ctx,
		func(e *localv1.Event) error { return stream.Send(&localv1.RestartUnitsResponse{Event: e}) },
		func(ctx context.Context) error { return c.p.restartUnits(ctx, r.GetNames()) })
}

// change carries a change through, whether the caller stays or not, and sends what happens meanwhile.
func (c *control) change(ctx context.Context, send func(*localv1.Event) error, carryOut func(context.Context) error) error {
	if !c.begin() {
		return rpcerror.New(connect.CodeAborted, reasonNotReady, "the platform is starting or stopping: try again when everything is ready")
	}
	defer c.callers.Done()
	events := make(chan *localv1.Event, maxEvents)
	unfollow := c.p.out.follow(func(process, text string) {
		select {
		case events <- &localv1.Event{Unit: process, Message: text}:
		default: // the caller does not keep up
		}
	})
	done := make(chan error, 1)
	go func() {
		defer c.changes.Done()
		err := carryOut(c.ctx)
		unfollow()
		close(events)
		done <- err
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event, more := <-events:
			if !more {
				return c.outcome(<-done)
			}
			if err := send(event); err != nil {
				return err
			}
		}
	}
}

// outcome turns the result of a change into what the caller sees.
func (c *control) outcome(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errUnknownUnit):
		return rpcerror.New(connect.CodeNotFound, reasonNotFound, err.Error())
	case errors.Is(err, errInUse):
		return rpcerror.New(connect.CodeFailedPrecondition, reasonInUse, err.Error())
	case c.ctx.Err() != nil:
		return rpcerror.New(connect.CodeAborted, reasonNotReady, "the platform stops")
	default:
		return rpcerror.New(connect.CodeAborted, reasonFailed, err.Error())
	}
}
