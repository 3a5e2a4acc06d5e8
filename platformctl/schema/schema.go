// Package schema learns what RPCs can be called through a gateway, by its gRPC reflection: their names, their messages and
// who may call them. It must not know any of them.
package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"connectrpc.com/connect/v2"
	"connectrpc.com/grpcreflect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	optionsv1 "ashlar.dev/gen/go/ashlar/options/v1"
	"ashlar.dev/kernel/access"
)

// maxFiles bounds what a gateway may send.
const maxFiles = 10_000

// Schema is what can be called, as far as it was asked for.
type Schema struct {
	// Methods are all RPCs of the services that were asked for, by name.
	Methods []protoreflect.MethodDescriptor
	// Types finds message types by name, for google.protobuf.Any in JSON.
	Types *dynamicpb.Types
}

// Load returns the RPCs of one service, or of all where service is empty. The error is connect.CodeNotFound where there is
// no such service.
func Load(ctx context.Context, client *connect.Client, service string) (*Schema, error) {
	stream := grpcreflect.NewClient(client).NewStream(ctx)
	defer func() { _ = stream.Close() }() // all that was asked for is there
	services := []protoreflect.FullName{protoreflect.FullName(service)}
	if service == "" {
		var err error
		if services, err = stream.ListServices(); err != nil {
			return nil, unwrap(err)
		}
	}
	set := &descriptorpb.FileDescriptorSet{}
	have := map[string]bool{}
	for _, name := range services {
		files, err := stream.FileContainingSymbol(name)
		if err != nil {
			return nil, unwrap(err)
		}
		for _, file := range files {
			if !have[file.GetName()] {
				have[file.GetName()] = true
				set.File = append(set.File, file)
			}
		}
		if len(set.GetFile()) > maxFiles {
			return nil, fmt.Errorf("the gateway's schema has more than %d files", maxFiles)
		}
	}
	return build(set, services)
}

// unwrap returns the answer itself, without what the reflection client says about its stream.
func unwrap(err error) error {
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return e
	}
	return err
}

func build(set *descriptorpb.FileDescriptorSet, services []protoreflect.FullName) (*Schema, error) {
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("the gateway's schema is not whole: %w", err)
	}
	s := &Schema{Types: dynamicpb.NewTypes(files)}
	for _, name := range services {
		found, err := files.FindDescriptorByName(name)
		service, ok := found.(protoreflect.ServiceDescriptor)
		if err != nil || !ok {
			return nil, connect.NewError(connect.CodeNotFound, fmt.Sprintf("no service %s", name))
		}
		for i := range service.Methods().Len() {
			s.Methods = append(s.Methods, service.Methods().Get(i))
		}
	}
	slices.SortFunc(s.Methods, func(a, b protoreflect.MethodDescriptor) int { return strings.Compare(Name(a), Name(b)) })
	return s, nil
}

// Name is how people name an RPC: package.Service/Method.
func Name(m protoreflect.MethodDescriptor) string {
	return string(m.Parent().FullName()) + "/" + string(m.Name())
}

// Spec is what a client needs for calling an RPC.
func Spec(m protoreflect.MethodDescriptor) connect.Spec {
	spec := connect.Spec{Procedure: "/" + Name(m), Schema: m}
	if m.IsStreamingClient() {
		spec.StreamType |= connect.StreamTypeClient
	}
	if m.IsStreamingServer() {
		spec.StreamType |= connect.StreamTypeServer
	}
	if options, ok := m.Options().(*descriptorpb.MethodOptions); ok {
		switch options.GetIdempotencyLevel() {
		case descriptorpb.MethodOptions_NO_SIDE_EFFECTS:
			spec.IdempotencyLevel = connect.IdempotencyNoSideEffects
		case descriptorpb.MethodOptions_IDEMPOTENT:
			spec.IdempotencyLevel = connect.IdempotencyIdempotent
		}
	}
	return spec
}

// Access is who may call an RPC.
type Access struct {
	// Rule is public, authenticated, permission or internal; empty where the schema does not say, as in those that are not
	// Ashlar's.
	Rule       string `json:"rule,omitempty"`
	Permission string `json:"permission,omitempty"`
	// OrganizationField is the field of the request with the organization in which the permission is needed.
	OrganizationField string `json:"organizationField,omitempty"`
}

// AccessOf returns who may call an RPC.
func AccessOf(m protoreflect.MethodDescriptor) Access {
	rule, err := access.RuleOf(m)
	if err != nil {
		return Access{}
	}
	option, _ := proto.GetExtension(m.Options(), optionsv1.E_Access).(*optionsv1.Access)
	return Access{Rule: rule.Kind.String(), Permission: rule.Permission, OrganizationField: option.GetOrganizationField()}
}

// String tells it to a person.
func (a Access) String() string {
	switch {
	case a.Permission == "":
		return a.Rule
	case a.OrganizationField == "":
		return a.Permission
	default:
		return a.Permission + " in " + a.OrganizationField
	}
}

// Secret reports the path of a field of a message that holds a value and must not be shown (debug_redact); empty where
// there is none.
func Secret(m protoreflect.Message) string {
	var found string
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if options, ok := field.Options().(*descriptorpb.FieldOptions); ok && options.GetDebugRedact() {
			found = string(field.Name())
			return false
		}
		if field.Message() == nil || field.IsMap() {
			return true
		}
		inner := func(v protoreflect.Value) bool {
			if path := Secret(v.Message()); path != "" {
				found = string(field.Name()) + "." + path
			}
			return found == ""
		}
		if !field.IsList() {
			return inner(value)
		}
		for i := range value.List().Len() {
			if !inner(value.List().Get(i)) {
				return false
			}
		}
		return true
	})
	return found
}
