package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/encoding/protojson"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

const (
	// silence is how long a stream may bring nothing, not even a heartbeat, before it is given up: three heartbeats.
	silence = 30 * time.Second
	// firstPause and maxPause are how long it waits before it calls again.
	firstPause, maxPause = 250 * time.Millisecond, 10 * time.Second
)

// Tail is the command that follows the record.
type Tail struct {
	client.Flags
	filter

	Output string `short:"o" enum:"table,json" default:"table" help:"How to show events: a line for a person, or a line of JSON with the token to go on with." placeholder:"FORMAT"`
	From   int64  `help:"Begin with the event at this place of the log; with the next one that is recorded where not set." default:"-1" placeholder:"PLACE"`
	Resume string `help:"Go on after the event that had this token." placeholder:"TOKEN"`
	Count  int    `help:"Stop after so many events; 0: never." default:"0" placeholder:"N"`
}

// Help implements kong.HelpProvider.
func (*Tail) Help() string {
	return `It calls again where the connection ends, and misses no event. Everything from the beginning on, as JSON:

  platformctl audit tail --everywhere --from 0 -o json`
}

// Run implements the command.
func (t *Tail) Run(ctx context.Context, streams *output.Streams) error {
	if t.From >= 0 && t.Resume != "" {
		return exit.With(exit.Usage, errors.New("--from and --resume contradict each other"))
	}
	connection, err := t.Connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	organization, err := t.Where(connection)
	if err != nil {
		return err
	}
	req := &auditv1.TailEventsRequest{
		OrganizationId: organization, ActorId: t.Actor, Action: t.Action, Resource: t.Resource, Outcome: t.outcome(),
	}
	switch {
	case t.Resume != "":
		req.Start = &auditv1.TailEventsRequest_ResumeToken{ResumeToken: t.Resume}
	case t.From >= 0:
		req.Start = &auditv1.TailEventsRequest_FromLeafIndex{FromLeafIndex: t.From}
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	f := &follower{tail: t, out: streams.Out, service: auditv1connect.NewAuditServiceClient(connection.Client()), req: req}
	err = f.follow(ctx)
	if err == nil || ctx.Err() == nil {
		return err
	}
	if token := req.GetResumeToken(); token != "" && t.Output == "table" {
		fmt.Fprintf(streams.Err, "Go on with --resume %s\n", output.Clean(token))
	}
	return exit.With(exit.Interrupted, nil)
}

// follower goes on with the stream where it ends.
type follower struct {
	tail    *Tail
	out     io.Writer
	service auditv1connect.AuditServiceClient
	req     *auditv1.TailEventsRequest
	shown   int
	// alive says that the stream that is open has brought something.
	alive bool
}

func (f *follower) follow(ctx context.Context) error {
	pause := firstPause
	for {
		done, err := f.stream(ctx)
		switch {
		case done:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !f.passes(err):
			return err
		}
		if f.alive {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// passes says whether an end of a stream is one after which it is gone on: the token has expired, the service is drained,
// the network was cut. What ends the first stream before it has brought anything is for the person to see.
func (f *follower) passes(err error) bool {
	if f.req.GetResumeToken() == "" {
		return false
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeCanceled, connect.CodeResourceExhausted, connect.CodeUnknown, connect.CodeInternal:
		return true
	case connect.CodeUnauthenticated:
		return f.alive
	default:
		return errors.Is(err, io.EOF)
	}
}

// stream shows one stream until it ends.
func (f *follower) stream(ctx context.Context) (done bool, err error) {
	f.alive = false
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silent := time.AfterFunc(silence, cancel)
	defer silent.Stop()
	stream, err := f.service.TailEvents(ctx, f.req)
	if err != nil {
		return false, err
	}
	defer func() { _ = stream.Close() }()
	for {
		message, err := stream.Receive()
		if err != nil {
			return false, err
		}
		f.alive = true
		silent.Reset(silence)
		if message.GetEvent() != nil {
			if err := f.show(message); err != nil {
				return true, err
			}
			f.shown++
		}
		f.req.Start = &auditv1.TailEventsRequest_ResumeToken{ResumeToken: message.GetResumeToken()}
		if f.tail.Count > 0 && f.shown >= f.tail.Count {
			return true, nil
		}
	}
}

func (f *follower) show(message *auditv1.TailEventsResponse) error {
	if f.tail.Output == "json" {
		text, err := protojson.Marshal(message)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(f.out, string(text))
		return err
	}
	cells := row(message.GetEvent())
	for i := range cells {
		if cells[i] = output.Clean(cells[i]); cells[i] == "" {
			cells[i] = "-"
		}
	}
	_, err := fmt.Fprintln(f.out, strings.Join(cells, "  "))
	return err
}
