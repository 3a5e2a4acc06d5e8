package cli_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing/fstest"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	optionsv1 "ashlar.dev/gen/go/ashlar/options/v1"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/platform/service"
)

// echoManifest is that of a team's own service, with RPCs of every kind. Its schema exists only here: platformctl has to
// learn it from the gateway.
const echoManifest = `
name: echo
version: 1.0.0
description: Says what it hears
services: [acme.echo.v1.EchoService]
dependsOn: [authz, audit, auth]
database: {schema: echo}
permissions:
  - {id: echo.sound.make, description: Make a sound}
gateway: {expose: true}
`

// echoMigrations are those of the outbox, which every service has.
var echoMigrations = fstest.MapFS{"sqlite/20260101000000_init.sql": {Data: []byte(`-- +goose Up
CREATE TABLE outbox_events (id integer PRIMARY KEY AUTOINCREMENT, event_id text NOT NULL UNIQUE, payload blob NOT NULL, created_at integer NOT NULL);
CREATE TABLE outbox_leases (id text NOT NULL PRIMARY KEY, holder text NOT NULL, expires_at integer NOT NULL);
`)}}

func echoMethod(name string, client, server bool, access *optionsv1.Access) *descriptorpb.MethodDescriptorProto {
	options := &descriptorpb.MethodOptions{}
	proto.SetExtension(options, optionsv1.E_Access, access)
	return &descriptorpb.MethodDescriptorProto{
		Name: new(name), InputType: new(".acme.echo.v1.Sound"), OutputType: new(".acme.echo.v1.Sound"),
		ClientStreaming: new(client), ServerStreaming: new(server), Options: options,
	}
}

func echoFile() protoreflect.FileDescriptor {
	authenticated := &optionsv1.Access{Rule: &optionsv1.Access_Authenticated{Authenticated: true}}
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: new(name), Number: new(number), Type: kind.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("acme/echo/v1/echo.proto"), Package: new("acme.echo.v1"), Syntax: new("proto3"),
		Dependency: []string{"ashlar/options/v1/access.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{Name: new("Sound"), Field: []*descriptorpb.FieldDescriptorProto{
			field("text", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING),
			field("times_heard", 2, descriptorpb.FieldDescriptorProto_TYPE_INT32),
		}}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("EchoService"), Method: []*descriptorpb.MethodDescriptorProto{
			echoMethod("Say", false, false, authenticated),
			echoMethod("Count", false, true, authenticated),
			echoMethod("Collect", true, false, authenticated),
			echoMethod("Converse", true, true, authenticated),
			echoMethod("Whisper", false, false, &optionsv1.Access{Rule: &optionsv1.Access_Public{Public: true}}),
			echoMethod("Shout", false, false, &optionsv1.Access{Rule: &optionsv1.Access_Permission{Permission: "echo.sound.make"}}),
		}}},
	}, protoregistry.GlobalFiles)
	if err == nil {
		err = protoregistry.GlobalFiles.RegisterFile(file)
	}
	if err != nil {
		panic(err)
	}
	return file
}

// echo is the service.
type echo struct{}

func (echo) Manifest() *manifest.Manifest { return manifest.MustParse([]byte(echoManifest)) }

func (echo) Migrations() fs.FS { return echoMigrations }

func (echo) Build(*service.Host) (*service.Parts, error) {
	return &service.Parts{Register: func(server *connect.Server) {
		methods := echoFile().Services().Get(0).Methods()
		for i := range methods.Len() {
			server.Register(echoHandler(methods.Get(i)))
		}
	}}, nil
}

func echoHandler(method protoreflect.MethodDescriptor) connect.Method {
	spec := connect.Spec{Procedure: "/acme.echo.v1.EchoService/" + string(method.Name()), Schema: method}
	if method.IsStreamingClient() {
		spec.StreamType |= connect.StreamTypeClient
	}
	if method.IsStreamingServer() {
		spec.StreamType |= connect.StreamTypeServer
	}
	fields := method.Input().Fields()
	text, times := fields.ByName("text"), fields.ByName("times_heard")
	sound := func(said string, n int32) proto.Message {
		m := dynamicpb.NewMessage(method.Output())
		m.Set(text, protoreflect.ValueOfString(said))
		m.Set(times, protoreflect.ValueOfInt32(n))
		return m
	}
	return connect.Method{Spec: spec, Handler: func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		var heard []string
		for {
			m := dynamicpb.NewMessage(method.Input())
			err := stream.Receive(m)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			said := m.Get(text).String()
			heard = append(heard, said)
			switch {
			case said == "fail":
				return connect.NewError(connect.CodeFailedPrecondition, "as you wish")
			case said == "wait":
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Minute):
				}
			case spec.StreamType == connect.StreamTypeBidi:
				if err := stream.Send(sound(said, int32(len(heard)))); err != nil {
					return err
				}
			}
			if spec.StreamType&connect.StreamTypeClient == 0 {
				break
			}
		}
		switch {
		case spec.StreamType == connect.StreamTypeBidi:
			return nil
		case spec.StreamType == connect.StreamTypeServer:
			for n := range 3 {
				if err := stream.Send(sound(heard[0], int32(n))); err != nil {
					return err
				}
			}
			return nil
		default:
			return stream.Send(sound(strings.Join(heard, ","), 0))
		}
	}}
}
