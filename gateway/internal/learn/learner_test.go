package learn

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/memory"
)

// withImports returns a file after all that it imports.
func withImports(file protoreflect.FileDescriptor, seen map[string]bool) (out []*descriptorpb.FileDescriptorProto) {
	if seen[file.Path()] {
		return nil
	}
	seen[file.Path()] = true
	for i := range file.Imports().Len() {
		out = append(out, withImports(file.Imports().Get(i).FileDescriptor, seen)...)
	}
	return append(out, protodesc.ToFileDescriptorProto(file))
}

// An upgrade of a service that is overloaded must not let all calls through again.
func TestLoadIsKnownAcrossVersions(t *testing.T) {
	const service, procedure = "notes", "/acme.notes.v1.NoteService/GetNote"
	registry := memory.New()
	register := func(id, version string) {
		require.NoError(t, registry.Register(t.Context(), discovery.Registration{
			Instance: discovery.Instance{ID: id, Service: service, Version: version, Address: "127.0.0.1:1"},
		}))
	}
	files := &descriptorpb.FileDescriptorSet{File: withImports(notesv1.File_acme_notes_v1_note_proto, map[string]bool{})}
	ask := func(_ context.Context, _, version string) (*kernelv1.GetManifestResponse, error) {
		return &kernelv1.GetManifestResponse{
			Manifest: &kernelv1.Manifest{
				Name: service, Version: version, Services: []string{"acme.notes.v1.NoteService"}, Gateway: &kernelv1.GatewayPolicy{Expose: true},
			},
			Descriptors: files,
		}, nil
	}
	l := New("gateway", registry, ask, nil, slog.New(slog.DiscardHandler))
	register("notes-1", "1.0.0")
	require.NoError(t, l.Start(t.Context()))
	defer func() { assert.NoError(t, l.Stop(context.Background())) }()
	before := l.Table().Route(procedure)
	require.NotNil(t, before)
	register("notes-2", "2.0.0")
	require.Eventually(t, func() bool { return l.Table().Modules()[0].Version == "2.0.0" }, 30*time.Second, time.Millisecond)
	after := l.Table().Route(procedure)
	assert.NotSame(t, before, after)
	assert.Same(t, before.Load, after.Load)
}
