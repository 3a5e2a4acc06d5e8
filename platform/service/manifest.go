package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/manifest"
)

// manifestHandler implements ashlar.kernel.v1.ManifestService.
type manifestHandler struct {
	answer func() (*kernelv1.GetManifestResponse, error)
}

func newManifestHandler(m *manifest.Manifest, files *protoregistry.Files) *manifestHandler {
	return &manifestHandler{sync.OnceValues(func() (*kernelv1.GetManifestResponse, error) {
		descriptors, err := descriptorsOf(files, m.Services)
		if err != nil {
			return nil, err
		}
		return &kernelv1.GetManifestResponse{Manifest: m.Proto(), Descriptors: descriptors}, nil
	})}
}

// GetManifest implements ashlar.kernel.v1.ManifestService.
func (h *manifestHandler) GetManifest(context.Context, *kernelv1.GetManifestRequest) (*kernelv1.GetManifestResponse, error) {
	return h.answer()
}

// descriptorsOf returns the files that define the named RPC services, each after those that it imports.
func descriptorsOf(files *protoregistry.Files, services []string) (*descriptorpb.FileDescriptorSet, error) {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		imports := file.Imports()
		for i := range imports.Len() {
			add(imports.Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	for _, name := range services {
		descriptor, err := files.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return nil, fmt.Errorf("module.yaml names the RPC service %s: %w", name, err)
		}
		add(descriptor.ParentFile())
	}
	return set, nil
}

// served fails where the manifest names an RPC service that has no handler, or a handler serves one that the manifest
// does not name.
func served(server *connect.Server, named []string) error {
	registered := map[string]bool{}
	for spec := range server.Specs() {
		service, _, _ := strings.Cut(strings.TrimPrefix(spec.Procedure, "/"), "/")
		registered[service] = true
	}
	for _, name := range named {
		if !registered[name] {
			return fmt.Errorf("module.yaml names the RPC service %s, which has no handler", name)
		}
		delete(registered, name)
	}
	for name := range registered {
		if !slices.Contains(manifest.Infrastructure(), name) {
			return fmt.Errorf("the RPC service %s has a handler, and module.yaml does not name it", name)
		}
	}
	return nil
}
