package learn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/descriptorpb"

	"ashlar.dev/gateway/internal/overload"
	"ashlar.dev/gateway/internal/routes"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
)

// module returns a module that claims RPC services without methods.
func module(t *testing.T, service string, claims ...string) *routes.Module {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{Name: new("a.proto"), Package: new("a.v1"), Syntax: new("proto3")}
	names := make([]string, len(claims))
	for i, claim := range claims {
		file.Service = append(file.Service, &descriptorpb.ServiceDescriptorProto{Name: new(claim)})
		names[i] = "a.v1." + claim
	}
	m, err := routes.NewModule(service, overload.NewService(), &kernelv1.GetManifestResponse{
		Manifest:    &kernelv1.Manifest{Name: service, Services: names, Gateway: &kernelv1.GatewayPolicy{Expose: true}},
		Descriptors: &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}},
	})
	require.NoError(t, err)
	return m
}

func TestFirstComeStays(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBook()
	b.offer(module(t, "notes", "Notes"))
	refused, changed := b.settle(now)
	assert.Empty(t, refused)
	assert.True(t, changed)

	b.offer(module(t, "alien", "Notes", "Other"))
	refused, changed = b.settle(now)
	assert.False(t, changed)
	require.Len(t, refused, 1)
	assert.Equal(t, "notes", refused[0].holder)
	assert.Equal(t, "a.v1.Notes", refused[0].claim)

	// A new version of the holder keeps what it has.
	b.offer(module(t, "notes", "Notes", "More"))
	_, changed = b.settle(now)
	assert.True(t, changed)
}

func TestBothAtOnceAreTakenByName(t *testing.T) {
	b := newBook()
	b.offer(module(t, "zebra", "Notes"))
	b.offer(module(t, "ant", "Notes"))
	refused, _ := b.settle(time.Unix(1000, 0))
	require.Len(t, refused, 1)
	assert.Equal(t, "zebra", refused[0].module.Service)
}

func TestWhatIsGivenUpCanBeTaken(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBook()
	b.offer(module(t, "identity", "Users", "Groups"))
	b.settle(now)
	b.offer(module(t, "groups", "Groups"))
	refused, _ := b.settle(now)
	assert.Len(t, refused, 1)
	b.offer(module(t, "identity", "Users"))
	refused, changed := b.settle(now)
	assert.Empty(t, refused)
	assert.True(t, changed)
	assert.Len(t, b.modules(), 2)
}

func TestRestartLosesNothingAndRemovalDoes(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBook()
	b.offer(module(t, "old", "Notes"))
	b.settle(now)
	b.offer(module(t, "new", "Notes"))
	b.present([]string{"new"}, now)
	refused, _ := b.settle(now.Add(yieldAfter - time.Second))
	assert.Len(t, refused, 1, "it may be restarting")
	b.present([]string{"new", "old"}, now.Add(yieldAfter))
	refused, _ = b.settle(now.Add(2 * yieldAfter))
	assert.Len(t, refused, 1, "it is back")
	b.present([]string{"new"}, now.Add(3*yieldAfter))
	refused, changed := b.settle(now.Add(4 * yieldAfter))
	assert.Empty(t, refused)
	assert.True(t, changed)
	require.Len(t, b.modules(), 1)
	assert.Equal(t, "new", b.modules()[0].Service)
}

// A service that comes back after another one has taken its place says what it said before. It must not be forgotten.
func TestWhoComesBackTooLateHasToWait(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBook()
	b.offer(module(t, "old", "Notes"))
	b.settle(now)
	b.offer(module(t, "new", "Notes"))
	b.present([]string{"new"}, now)
	_, changed := b.settle(now.Add(yieldAfter))
	require.True(t, changed)

	b.present([]string{"new", "old"}, now.Add(yieldAfter))
	refused, changed := b.settle(now.Add(yieldAfter))
	assert.False(t, changed)
	require.Len(t, refused, 1, "it is told why it is not routed")
	assert.Equal(t, []string{"old", "new"}, []string{refused[0].module.Service, refused[0].holder})

	b.present([]string{"old"}, now.Add(yieldAfter))
	refused, changed = b.settle(now.Add(2 * yieldAfter))
	assert.Empty(t, refused)
	assert.True(t, changed)
	require.Len(t, b.modules(), 1)
	assert.Equal(t, "old", b.modules()[0].Service)
}

// Who gives up all it has, because it is gone for good, is in no table any more, also where that helps nobody.
func TestWhoYieldsIsGone(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBook()
	b.offer(module(t, "a", "One"))
	b.offer(module(t, "b", "Two"))
	b.settle(now)
	b.offer(module(t, "c", "One", "Two"))
	b.present([]string{"b", "c"}, now)
	refused, changed := b.settle(now.Add(yieldAfter))
	require.Len(t, refused, 1)
	assert.Equal(t, "b", refused[0].holder)
	assert.True(t, changed)
	b.present([]string{"a", "b", "c"}, now.Add(yieldAfter))
	_, changed = b.settle(now.Add(yieldAfter))
	assert.True(t, changed)
	assert.Len(t, b.modules(), 2)
}
