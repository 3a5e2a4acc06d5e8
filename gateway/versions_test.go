package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/grpcreflect/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/gateway"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/gen/go/ashlar/kernel/v1/kernelv1connect"
	"ashlar.dev/kernel/discovery"
)

// Of version 2 only.
const (
	added      = "/acme.echo.v1.EchoService/Added"
	addedForMe = "/acme.echo.v1.EchoService/AddedForMe"
)

// release starts an instance of a version of the test service: the second has a procedure more, and lets only who has
// signed in look.
func (w *world) release(t *testing.T, id, version string, e *echo) *backend {
	methods := []method{{name: "Look", rule: public, pure: true}, {name: "Change", rule: public}, {name: "Converse", rule: public, client: true, server: true}}
	if version == "2.0.0" {
		methods[0].rule = authenticated
		methods = append(methods, method{name: "Added", rule: public}, method{name: "AddedForMe", rule: authenticated}, method{name: "Count", rule: public, server: true})
	}
	set := schema("acme/echo/v1/echo.proto", "acme.echo.v1", "EchoService", methods...)
	return w.add(offer{
		name: "echo", id: id, version: version, services: []string{echoService}, schema: set,
		policy:   &kernelv1.GatewayPolicy{Expose: true, Timeout: durationpb.New(30 * time.Second)},
		register: func(server *connect.Server) { registerAll(server, specs(t, set), e) },
	})
}

// Two versions side by side, as in every upgrade: what only one has goes there, each time, and what they ask of callers
// is what the stricter asks.
func TestVersionsSideBySide(t *testing.T) {
	w := newWorld(t, nil)
	first, second := newEcho(), newEcho()
	old := w.release(t, "echo-1", "1.0.0", first)
	w.routable(look, true)
	status, _ := w.post(look, "{}", nil)
	require.Equal(t, http.StatusOK, status)
	w.routable(added, false)

	w.release(t, "echo-2", "2.0.0", second)
	w.routable(added, true)
	before := first.count()
	for range 20 {
		status, a := w.post(added, "{}", nil)
		require.Equal(t, http.StatusOK, status, a.raw)
		stream, err := w.client(true).CallServerStream(t.Context(), spec(t, count), message("count", 1))
		require.NoError(t, err)
		for range 3 {
			require.NoError(t, stream.Receive(&structpb.Struct{}))
		}
		require.ErrorIs(t, stream.Receive(&structpb.Struct{}), io.EOF)
	}
	assert.Equal(t, before, first.count(), "the old version does not know them")

	for range 20 {
		status, _ := w.post(look, "{}", nil)
		require.Equal(t, http.StatusUnauthorized, status)
		status, a := w.post(look, "{}", http.Header{"Authorization": {"Bearer " + w.token(nil)}})
		require.Equal(t, http.StatusOK, status, a.raw)
	}
	assert.Greater(t, first.count(), before, "both serve it to who has signed in")

	old.leave()
	require.Eventually(t, func() bool {
		calls := first.count()
		for range 5 {
			w.post(change, "{}", nil)
		}
		return first.count() == calls
	}, within, time.Millisecond)
	w.routable(added, true)
}

// Whoever has no schema sees what only an older version has, with its messages, and what only the newer one has.
func TestReflectionWhileVersionsDiffer(t *testing.T) {
	w := newWorld(t, nil)
	begin := func(version string, change func(*descriptorpb.FileDescriptorProto), methods ...method) *backend {
		set := schema("acme/echo/v1/echo.proto", "acme.echo.v1", "EchoService", methods...)
		if change != nil {
			change(set.GetFile()[len(set.GetFile())-1])
		}
		return w.add(offer{
			name: "echo", id: "echo-" + version, version: version, services: []string{echoService}, schema: set, policy: &kernelv1.GatewayPolicy{Expose: true},
			register: func(server *connect.Server) { registerAll(server, specs(t, set), newEcho()) },
		})
	}
	methods := func() []string {
		stream := grpcreflect.NewClient(w.client(true)).NewStream(t.Context())
		files, err := stream.FileContainingSymbol(echoService)
		require.NoError(t, err)
		require.NoError(t, stream.Close())
		all, err := protodesc.NewFiles(&descriptorpb.FileDescriptorSet{File: files})
		require.NoError(t, err, "a client could not read them")
		var out []string
		for _, s := range specsOf(all) {
			if input := s.Schema.(protoreflect.MethodDescriptor).Input(); strings.HasPrefix(s.Procedure, "/"+echoService) {
				out = append(out, path.Base(s.Procedure)+" "+string(input.Name()))
			}
		}
		return out
	}
	old := begin("1.0.0", func(file *descriptorpb.FileDescriptorProto) {
		file.MessageType = append(file.MessageType, &descriptorpb.DescriptorProto{Name: new("OldRequest")})
		file.GetService()[0].GetMethod()[1].InputType = new(".acme.echo.v1.OldRequest")
	}, method{name: "Look", rule: public}, method{name: "Removed", rule: public})
	w.routable("/"+echoService+"/Removed", true)
	begin("2.0.0", nil, method{name: "Look", rule: public}, method{name: "Added", rule: public})
	w.routable(added, true)
	require.Equal(t, []string{"Look Struct", "Added Struct", "Removed OldRequest"}, methods())
	old.leave()
	w.routable("/"+echoService+"/Removed", false)
	require.Equal(t, []string{"Look Struct", "Added Struct"}, methods())
}

// Which version of a service is called is nothing to those who are asked who calls.
func TestWhoCallsAVersion(t *testing.T) {
	for name, credential := range map[string]func(*world) string{
		"token":   func(w *world) string { return w.token(nil) },
		"API key": func(*world) string { return goodKey },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.release(t, "echo-1", "1.0.0", newEcho())
			w.release(t, "echo-2", "2.0.0", newEcho())
			w.routable(added, true)
			client := newHTTPClient(t, true)
			client.Transport = withToken{client.Transport, "Bearer " + credential(w)}
			grpc := connect.NewClient(connecthttp.NewTransport(client, "http://"+w.gateway.Address(), connecthttp.WithGRPC()))
			procedure := spec(t, whoAmI)
			procedure.Procedure = addedForMe
			require.NoError(t, grpc.CallUnary(t.Context(), procedure, message("text", "x"), &structpb.Struct{}))
		})
	}
}

// What a version offers is not known before it has said so: until then those get the calls that are known to take them,
// and it does where there are none.
func TestAVersionThatHasNotAnsweredYet(t *testing.T) {
	w := newWorld(t, nil)
	first, second := newEcho(), newEcho()
	old := w.release(t, "echo-1", "1.0.0", first)
	w.routable(look, true)
	set := schema("acme/echo/v1/echo.proto", "acme.echo.v1", "EchoService", method{name: "Look", rule: public}, method{name: "Change", rule: public})
	asked := make(chan struct{}, 1)
	w.add(offer{
		name: "echo", id: "echo-2", version: "2.0.0", services: []string{echoService}, schema: set,
		register: func(server *connect.Server) { registerAll(server, specs(t, set), second) },
		wrap: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == kernelv1connect.ManifestServiceGetManifestProcedure {
					select {
					case asked <- struct{}{}:
					default:
					}
					rw.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				next.ServeHTTP(rw, r)
			})
		},
	})
	<-asked
	calls := first.count()
	for range 50 {
		request, err := http.NewRequest(http.MethodGet, w.url(look+"?connect=v1&encoding=json&message=%7B%7D"), nil)
		require.NoError(t, err)
		status, a := w.do(request)
		require.Equal(t, http.StatusOK, status, "the new version takes no GET: %s", a.raw)
		grpc := w.client(true, connecthttp.WithGRPC())
		require.NoError(t, grpc.CallUnary(t.Context(), spec(t, change), message("text", "x"), &structpb.Struct{}))
	}
	assert.Equal(t, calls+100, first.count())

	old.leave()
	require.Eventually(t, func() bool {
		status, _ := w.post(change, "{}", nil)
		return status == http.StatusOK && second.count() > 0
	}, within, time.Millisecond)
}

// Back to the version before: what only the newer one had is gone, and there are no scraps of it.
func TestAVersionIsTakenBack(t *testing.T) {
	w := newWorld(t, nil)
	w.release(t, "echo-1", "1.0.0", newEcho())
	canary := w.release(t, "echo-2", "2.0.0", newEcho())
	w.routable(added, true)
	canary.leave()
	w.routable(added, false)
	status, a := w.post(look, "{}", nil)
	require.Equal(t, http.StatusOK, status, a.raw)
}

func TestSharesOfVersions(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) {
		withoutShedding(c)
		c.VersionShares = map[string]int{"echo@2.0.0": 10}
	})
	first, second := newEcho(), newEcho()
	w.release(t, "echo-1", "1.0.0", first)
	for i := range 3 {
		w.release(t, fmt.Sprintf("canary-%d", i), "2.0.0", second)
	}
	w.routable(added, true)
	one, two := first.count(), second.count()
	load := w.call(t, change)
	load.more(3000)
	load.stop()
	require.Zero(t, load.failed.Load())
	one, two = first.count()-one, second.count()-two
	assert.InDelta(t, 0.1, float64(two)/float64(one+two), 0.03, "%d and %d", one, two)
}

// Where no other version is there, one with a share of nothing gets nothing.
func TestAVersionWithoutAShare(t *testing.T) {
	w := newEmptyWorld(t)
	w.addAuth()
	canary := newEcho()
	old := w.release(t, "echo-1", "1.0.0", newEcho())
	w.release(t, "echo-2", "2.0.0", canary)
	w.start(func(c *gateway.Config) { c.VersionShares = map[string]int{"echo@2.0.0": 0} })
	status, a := w.post(look, "{}", nil)
	require.Equal(t, http.StatusOK, status, a.raw)
	status, _ = w.post(added, "{}", nil)
	require.Equal(t, http.StatusNotImplemented, status)
	old.leave()
	require.Eventually(t, func() bool {
		status, _ := w.post(look, "{}", nil)
		return status == http.StatusServiceUnavailable
	}, within, time.Millisecond)
	status, _ = w.post(added, "{}", nil)
	require.Equal(t, http.StatusNotImplemented, status)
	require.Zero(t, canary.count())
}

// An instance without weight gets only what nobody else can serve.
func TestWeightOfInstances(t *testing.T) {
	w := newWorld(t, nil)
	first, second := newEcho(), newEcho()
	w.release(t, "echo-1", "1.0.0", first)
	canary := w.release(t, "echo-2", "2.0.0", second)
	require.NoError(t, w.registry.Register(t.Context(), discovery.Registration{Instance: discovery.Instance{
		ID: "echo-2", Service: "echo", Address: canary.listener.Addr().String(), Version: "2.0.0",
		Metadata: map[string]string{discovery.MetadataWeight: "0"},
	}}))
	w.routable(added, true)
	calls := second.count()
	for range 100 {
		status, a := w.post(change, "{}", nil)
		require.Equal(t, http.StatusOK, status, a.raw)
	}
	assert.Equal(t, calls, second.count())
	status, _ := w.post(added, "{}", nil)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, calls+1, second.count())
}
