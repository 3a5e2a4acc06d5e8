package services

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	localv1 "ashlar.dev/gen/go/ashlar/local/v1"
)

// answer is what a service says that serves the supervisor's RPCs.
func answer() *kernelv1.GetManifestResponse {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	add(localv1.File_ashlar_local_v1_supervisor_proto)
	return &kernelv1.GetManifestResponse{Descriptors: set, Manifest: &kernelv1.Manifest{
		Name: "notes", Version: "1.0.0", Description: "Notes", Services: []string{"ashlar.local.v1.SupervisorService"}, DependsOn: []string{"identity >= 1.2"},
		Permissions: []*kernelv1.Permission{{Id: "notes.note.read", Description: "Read notes"}},
		Roles:       []*kernelv1.Role{{Name: "notes.editor", Description: "Works", Permissions: []string{"notes.note.*"}}},
		Gateway: &kernelv1.GatewayPolicy{
			Expose: true, Timeout: durationpb.New(5 * time.Second), RateLimit: &kernelv1.RateLimit{Requests: 50, Per: durationpb.New(time.Second), Burst: 100},
			Procedures: map[string]*kernelv1.ProcedurePolicy{
				"/ashlar.local.v1.SupervisorService/ListUnits":  {Priority: kernelv1.Priority_PRIORITY_HIGH, Timeout: durationpb.New(time.Second)},
				"/ashlar.local.v1.SupervisorService/StartUnits": {StreamLimit: &kernelv1.StreamLimit{Messages: new(uint64(0)), Bytes: new(uint64(1 << 20))}},
				"/ashlar.local.v1.SupervisorService/StopUnits":  {RateLimit: &kernelv1.RateLimit{Requests: 5, Per: durationpb.New(time.Minute), Burst: 6}},
			},
		},
	}}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	d := Description{Service: Service{Name: "notes", State: healthy, Healthy: 1, Versions: []string{"1.0.0"}, Instances: []Instance{{ID: "notes-1", Healthy: true}}}}
	require.NoError(t, d.read(answer()))
	require.Equal(t, RPC{Procedure: "ashlar.local.v1.SupervisorService/ListUnits", Access: "internal", Streaming: "unary", Idempotency: "no side effects"}, d.RPCs[0])
	require.Equal(t, RPC{Procedure: "ashlar.local.v1.SupervisorService/StartUnits", Access: "internal", Streaming: "server", Idempotency: "idempotent"}, d.RPCs[1])
	var out strings.Builder
	require.NoError(t, d.write(&out))
	require.Equal(t, `SERVICE              notes
Description          Notes
Version              1.0.0
State                healthy, 1 of 1 instances are healthy
Depends on           identity >= 1.2
Through the gateway  yes; at most 5s; 50 requests per 1s and caller, 100 at once

RPCs
RPC                                             ACCESS    STREAMING  IDEMPOTENCY
ashlar.local.v1.SupervisorService/ListUnits     internal  unary      no side effects
ashlar.local.v1.SupervisorService/StartUnits    internal  server     idempotent
ashlar.local.v1.SupervisorService/StopUnits     internal  server     idempotent
ashlar.local.v1.SupervisorService/RestartUnits  internal  server     -

RPCs of which the gateway is told more
RPC                                           PRIORITY  BOUNDS
ashlar.local.v1.SupervisorService/ListUnits   high      at most 1s
ashlar.local.v1.SupervisorService/StartUnits  normal    any number of messages, 1048576 bytes from each side
ashlar.local.v1.SupervisorService/StopUnits   normal    5 requests per 1m0s and caller, 6 at once

Permissions
ID               DESCRIPTION
notes.note.read  Read notes

Roles
NAME          DESCRIPTION  PERMISSIONS
notes.editor  Works        notes.note.*

Instances
SERVICE  INSTANCE  VERSION  STATE    ADDRESS  UPTIME  WHY
notes    notes-1   -        healthy  -        -       -
`, out.String())
}

// What a service says is not taken on trust: a broken answer is an error and no panic.
func TestDescribeOfABrokenAnswer(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*kernelv1.GetManifestResponse){
		"no schemas":            func(r *kernelv1.GetManifestResponse) { r.Descriptors = nil },
		"a service that is not": func(r *kernelv1.GetManifestResponse) { r.Manifest.Services = []string{"ashlar.local.v1.Unit"} },
		"half the schemas":      func(r *kernelv1.GetManifestResponse) { r.Descriptors.File = r.GetDescriptors().GetFile()[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := answer()
			spoil(r)
			require.Error(t, (&Description{}).read(r))
		})
	}
}

func TestUnknownServiceIsGuessed(t *testing.T) {
	t.Parallel()
	require.EqualError(t, unknown("note", []string{"notes", "orders"}), "there is no service note; did you mean notes?")
	require.EqualError(t, unknown("xyzzy", []string{"notes", "orders"}), "there is no service xyzzy; there are: notes, orders")
}
