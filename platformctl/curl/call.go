package curl

import (
	"context"
	"errors"
	"fmt"
	"io"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/schema"
)

// call is one call of an RPC.
type call struct {
	method   protoreflect.MethodDescriptor
	requests *requests
	answers  *answers
}

// run sends all requests and writes all answers. Where both sides stream they do so at the same time.
func (c *call) run(ctx context.Context, client *connect.Client) error {
	spec := schema.Spec(c.method)
	if !c.method.IsStreamingClient() {
		return c.one(ctx, client, spec)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.CallClientStream(ctx, spec)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	sent := make(chan error, 1)
	go func() {
		err := c.send(stream)
		sent <- err
		if err != nil {
			cancel()
		}
	}()
	received := c.receive(stream)
	select {
	case err := <-sent:
		if err != nil { // it is why nothing more was received
			return err
		}
	default: // the platform has ended the call before all was sent; what is read from a terminal is not waited for
	}
	return received
}

// one sends one request.
func (c *call) one(ctx context.Context, client *connect.Client, spec connect.Spec) error {
	request, err := c.requests.next()
	switch {
	case errors.Is(err, io.EOF):
		request = dynamicpb.NewMessage(c.method.Input())
	case err != nil:
		return err
	default:
		if _, err := c.requests.next(); !errors.Is(err, io.EOF) {
			return exit.With(exit.Usage, fmt.Errorf("%s takes one message: there is something after the first one", schema.Name(c.method)))
		}
	}
	if !c.method.IsStreamingServer() {
		answer := dynamicpb.NewMessage(c.method.Output())
		if err := client.CallUnary(ctx, spec, request, answer); err != nil {
			return err
		}
		return c.answers.write(answer)
	}
	stream, err := client.CallServerStream(ctx, spec, request)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	return c.receive(stream)
}

// send sends each request as it is read, and then ends this side of the stream.
func (c *call) send(stream connect.ClientStream) error {
	for {
		request, err := c.requests.next()
		if errors.Is(err, io.EOF) {
			return stream.CloseSend()
		}
		if err != nil {
			return err
		}
		if err := stream.Send(request); errors.Is(err, io.EOF) {
			return nil // the platform has ended the call; why is received
		} else if err != nil {
			return err
		}
	}
}

func (c *call) receive(stream connect.ClientStream) error {
	for {
		answer := dynamicpb.NewMessage(c.method.Output())
		err := stream.Receive(answer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.answers.write(answer); err != nil {
			return err
		}
	}
}

// answers writes answers as JSON.
type answers struct {
	out      io.Writer
	types    *dynamicpb.Types
	defaults bool
	stream   bool // one line each
}

func (a *answers) write(answer proto.Message) error {
	text, err := output.JSON(protojson.MarshalOptions{EmitDefaultValues: a.defaults, Resolver: a.types}, answer, !a.stream)
	if err != nil {
		return err
	}
	_, err = a.out.Write(append(text, '\n'))
	return err
}
