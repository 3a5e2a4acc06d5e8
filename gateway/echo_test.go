package gateway_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"

	optionsv1 "ashlar.dev/gen/go/ashlar/options/v1"
)

// The procedures of the test service, whose schema exists only at run time: the gateway cannot know it.
const (
	echoService = "acme.echo.v1.EchoService"
	whoAmI      = "/acme.echo.v1.EchoService/WhoAmI"   // unary, authenticated
	look        = "/acme.echo.v1.EchoService/Look"     // unary, public, free of side effects
	change      = "/acme.echo.v1.EchoService/Change"   // unary, public
	manage      = "/acme.echo.v1.EchoService/Manage"   // unary, permission
	secret      = "/acme.echo.v1.EchoService/Secret"   // unary, internal
	collect     = "/acme.echo.v1.EchoService/Collect"  // client stream, public
	count       = "/acme.echo.v1.EchoService/Count"    // server stream, public
	converse    = "/acme.echo.v1.EchoService/Converse" // bidi, public
)

var (
	public        = &optionsv1.Access{Rule: &optionsv1.Access_Public{Public: true}}
	authenticated = &optionsv1.Access{Rule: &optionsv1.Access_Authenticated{Authenticated: true}}
	internal      = &optionsv1.Access{Rule: &optionsv1.Access_Internal{Internal: true}}
	permission    = &optionsv1.Access{Rule: &optionsv1.Access_Permission{Permission: "echo.thing.manage"}}
)

type method struct {
	name           string
	rule           *optionsv1.Access
	client, server bool
	pure           bool
}

var echoMethods = []method{
	{name: "WhoAmI", rule: authenticated},
	{name: "Look", rule: public, pure: true},
	{name: "Change", rule: public},
	{name: "Manage", rule: permission},
	{name: "Secret", rule: internal, pure: true},
	{name: "Collect", rule: public, client: true},
	{name: "Count", rule: public, server: true},
	{name: "Converse", rule: public, client: true, server: true},
}

// schema returns a file that defines one RPC service whose messages are google.protobuf.Struct, after its imports.
func schema(path, pkg, service string, methods ...method) *descriptorpb.FileDescriptorSet {
	file := &descriptorpb.FileDescriptorProto{
		Name: new(path), Package: new(pkg), Syntax: new("proto3"),
		Dependency: []string{"google/protobuf/struct.proto", "ashlar/options/v1/access.proto"},
		Service:    []*descriptorpb.ServiceDescriptorProto{{Name: new(service)}},
	}
	for _, m := range methods {
		options := &descriptorpb.MethodOptions{}
		if m.rule != nil {
			proto.SetExtension(options, optionsv1.E_Access, m.rule)
		}
		if m.pure {
			options.IdempotencyLevel = descriptorpb.MethodOptions_NO_SIDE_EFFECTS.Enum()
		}
		file.Service[0].Method = append(file.Service[0].Method, &descriptorpb.MethodDescriptorProto{
			Name: new(m.name), InputType: new(".google.protobuf.Struct"), OutputType: new(".google.protobuf.Struct"),
			ClientStreaming: new(m.client), ServerStreaming: new(m.server), Options: options,
		})
	}
	return &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
		protodesc.ToFileDescriptorProto(descriptorpb.File_google_protobuf_descriptor_proto),
		protodesc.ToFileDescriptorProto(structpb.File_google_protobuf_struct_proto),
		protodesc.ToFileDescriptorProto(optionsv1.File_ashlar_options_v1_access_proto),
		file,
	}}
}

func echoSchema() *descriptorpb.FileDescriptorSet {
	return schema("acme/echo/v1/echo.proto", "acme.echo.v1", "EchoService", echoMethods...)
}

// specs returns the procedures that a schema defines.
func specs(t testing.TB, set *descriptorpb.FileDescriptorSet) []connect.Spec {
	t.Helper()
	files, err := protodesc.NewFiles(set)
	require.NoError(t, err)
	return specsOf(files)
}

func specsOf(files *protoregistry.Files) []connect.Spec {
	var out []connect.Spec
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				spec := connect.Spec{Procedure: "/" + string(service.FullName()) + "/" + string(m.Name()), Schema: m}
				if m.IsStreamingClient() {
					spec.StreamType |= connect.StreamTypeClient
				}
				if m.IsStreamingServer() {
					spec.StreamType |= connect.StreamTypeServer
				}
				if m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
					spec.IdempotencyLevel = connect.IdempotencyNoSideEffects
				}
				out = append(out, spec)
			}
		}
		return true
	})
	return out
}

// echo answers the procedures of the test service, and remembers what it saw.
type echo struct {
	mu      sync.Mutex
	calls   int
	header  map[string][]string
	left    time.Duration
	flooded atomic.Int64  // messages of endless streams
	workers chan struct{} // as many as can work at a time
	work    time.Duration // how long each of them does
	waiting chan struct{} // one for each call that waits
	ended   chan error    // how the context of a call that waited ended
}

// workers is how many calls a service can work on at a time.
const workers = 1

func newEcho() *echo {
	return &echo{workers: make(chan struct{}, workers), waiting: make(chan struct{}, 100), ended: make(chan error, 100)}
}

// seen returns the headers of the last call.
func (e *echo) seen() map[string][]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.header
}

func (e *echo) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls
}

func (e *echo) note(ctx context.Context) {
	info, _ := connect.CallInfoForServerContext(ctx)
	header := maps.Collect(info.RequestHeader().All())
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls++
	e.header = header
	if deadline, ok := ctx.Deadline(); ok {
		e.left = time.Until(deadline)
	}
}

// serve is the handler of all procedures.
func (e *echo) serve(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
	e.note(ctx)
	info, _ := connect.CallInfoForServerContext(ctx)
	info.ResponseHeader().Set("Echo-Header", "h")
	info.ResponseTrailer().Set("Echo-Trailer", "t")
	if spec.StreamType == connect.StreamTypeBidi {
		return e.converse(ctx, stream)
	}
	var texts []any
	for {
		var m structpb.Struct
		err := stream.Receive(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := e.obey(ctx, stream, &m); err != nil {
			return err
		}
		texts = append(texts, m.GetFields()["text"].AsInterface())
		if spec.StreamType&connect.StreamTypeClient == 0 {
			break
		}
	}
	if spec.StreamType&connect.StreamTypeServer != 0 {
		for i := range 3 {
			if err := stream.Send(message("n", i)); err != nil {
				return err
			}
		}
		return nil
	}
	return stream.Send(message("texts", texts))
}

func (e *echo) converse(ctx context.Context, stream connect.ServerStream) error {
	for {
		var m structpb.Struct
		err := stream.Receive(&m)
		if errors.Is(err, io.EOF) {
			return stream.Send(message("text", "bye")) // the caller has closed its half only
		}
		if err != nil {
			return err
		}
		if err := e.obey(ctx, stream, &m); err != nil {
			return err
		}
		if err := stream.Send(&m); err != nil {
			return err
		}
	}
}

// obey does what a message asks for: fail, with a code if it names one, or wait until the caller is gone.
func (e *echo) obey(ctx context.Context, stream connect.ServerStream, m *structpb.Struct) error {
	do := m.GetFields()["do"].GetStringValue()
	var code connect.Code
	if code.UnmarshalText([]byte(do)) == nil {
		return connect.NewError(code, "as you wish")
	}
	switch do {
	case "fail":
		return connect.NewError(connect.CodeFailedPrecondition, "as you wish")
	case "flood":
		m := message("text", strings.Repeat("x", 64<<10))
		for {
			if err := stream.Send(m); err != nil {
				return err
			}
			e.flooded.Add(1)
		}
	case "work":
		// A service that can do so much and no more, and does not notice that nobody waits any longer.
		e.workers <- struct{}{}
		time.Sleep(e.work)
		<-e.workers
	case "drip":
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		if err := stream.Send(message("text", "first")); err != nil {
			return err
		}
		e.waiting <- struct{}{}
		for {
			select {
			case <-ctx.Done():
				e.ended <- ctx.Err()
				return ctx.Err()
			case <-tick.C:
				_ = stream.Send(message("text", "another")) // the context tells when nobody wants more
			}
		}
	case "send-and-wait":
		if err := stream.Send(message("text", "first")); err != nil {
			return err
		}
		fallthrough
	case "wait":
		e.waiting <- struct{}{}
		<-ctx.Done()
		e.ended <- ctx.Err()
		return ctx.Err()
	}
	return nil
}

func message(key string, value any) *structpb.Struct {
	v, err := structpb.NewValue(value)
	if err != nil {
		panic(err)
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{key: v}}
}
