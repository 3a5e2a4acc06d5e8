package discoverytest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
)

// within bounds every wait of the suite. It is generous: a wait that ends sooner costs nothing.
const within = 60 * time.Second

// Registry is what an implementation offers.
type Registry interface {
	discovery.Registrar
	discovery.Directory
}

// World is a place where services find each other.
type World struct {
	// Open returns a registry that looks at this world. Each call may return the same one, or another that sees the
	// same. Whoever implements Open closes it when the test ends.
	Open func(t *testing.T) Registry

	// Checked says that the registry looks at CheckURL.
	Checked bool
}

// Run runs the suite. The world may be shared with others: the suite uses service names of its own.
func Run(t *testing.T, world World) {
	for name, test := range map[string]func(*testing.T, World, string){
		"registered is seen":               registeredIsSeen,
		"unknown service is empty":         unknownServiceIsEmpty,
		"instances are sorted":             instancesAreSorted,
		"registering again replaces":       registeringAgainReplaces,
		"an id can change its service":     idCanChangeService,
		"deregistered is gone":             deregisteredIsGone,
		"services are listed":              servicesAreListed,
		"views are shared":                 viewsAreShared,
		"registration is copied":           registrationIsCopied,
		"invalid is refused":               invalidIsRefused,
		"ended context is an error":        endedContextIsAnError,
		"many at once":                     manyAtOnce,
		"wait ends with its context":       waitEndsWithContext,
		"failing check leaves and returns": failingCheck,
	} {
		t.Run(name, func(t *testing.T) { test(t, world, serviceName()) })
	}
}

var count atomic.Int64

func serviceName() string {
	return fmt.Sprintf("suite-%d-%d", time.Now().UnixMilli()%1e6, count.Add(1))
}

func registeredIsSeen(t *testing.T, world World, service string) {
	here, there := world.Open(t), world.Open(t)
	watch := there.Instances(service) // asked for before there is anything to see
	want := instance(service, "a", 4001)
	want.Version = "1.2.3"
	want.Metadata = map[string]string{"zone": "north", "weight": "10"}
	register(t, here, want)
	list := await(t, watch, ids(want.ID))
	require.True(t, want.Equal(list[0]), "registered %+v, seen %+v", want, list[0])
	await(t, here.Instances(service), ids(want.ID))
	await(t, world.Open(t).Instances(service), ids(want.ID)) // asked for afterwards
}

func unknownServiceIsEmpty(t *testing.T, world World, service string) {
	await(t, world.Open(t).Instances(service), ids())
}

func instancesAreSorted(t *testing.T, world World, service string) {
	registry := world.Open(t)
	for _, name := range []string{"c", "a", "b"} {
		register(t, registry, instance(service, name, 4001))
	}
	await(t, registry.Instances(service), ids(service+"-a", service+"-b", service+"-c"))
}

func registeringAgainReplaces(t *testing.T, world World, service string) {
	registry := world.Open(t)
	first := instance(service, "a", 4001)
	register(t, registry, first)
	register(t, registry, first)
	await(t, registry.Instances(service), ids(first.ID))
	second := first
	second.Address, second.Version = "127.0.0.1:4002", "2.0.0"
	register(t, registry, second)
	await(t, registry.Instances(service), func(list []discovery.Instance) bool {
		return len(list) == 1 && list[0].Equal(second)
	})
}

func idCanChangeService(t *testing.T, world World, service string) {
	registry := world.Open(t)
	one := instance(service, "a", 4001)
	register(t, registry, one)
	await(t, registry.Instances(service), ids(one.ID))
	one.Service = service + "-other"
	register(t, registry, one)
	await(t, registry.Instances(one.Service), ids(one.ID))
	await(t, registry.Instances(service), ids())
}

func deregisteredIsGone(t *testing.T, world World, service string) {
	registry, other := world.Open(t), world.Open(t)
	a, b := instance(service, "a", 4001), instance(service, "b", 4002)
	register(t, registry, a)
	register(t, registry, b)
	await(t, other.Instances(service), ids(a.ID, b.ID))
	require.NoError(t, registry.Deregister(t.Context(), a.ID))
	await(t, other.Instances(service), ids(b.ID))
	require.NoError(t, registry.Deregister(t.Context(), a.ID), "a second time")
	require.NoError(t, registry.Deregister(t.Context(), service+"-never"), "an ID that never was")
	require.NoError(t, registry.Deregister(t.Context(), b.ID))
	await(t, other.Instances(service), ids())
}

func servicesAreListed(t *testing.T, world World, service string) {
	registry, other := world.Open(t), world.Open(t)
	before, after := service+"-x", service+"-y"
	register(t, registry, instance(after, "a", 4001))
	register(t, registry, instance(after, "b", 4002))
	register(t, registry, instance(before, "a", 4003))
	names := await(t, other.Services(), func(names []string) bool {
		return slices.Contains(names, before) && slices.Contains(names, after)
	})
	require.True(t, slices.IsSorted(names), "%v", names)
	require.Equal(t, slices.Compact(slices.Clone(names)), names)
	require.NoError(t, registry.Deregister(t.Context(), before+"-a"))
	require.NoError(t, registry.Deregister(t.Context(), after+"-a"))
	await(t, other.Services(), func(names []string) bool {
		return !slices.Contains(names, before) && slices.Contains(names, after)
	})
}

func viewsAreShared(t *testing.T, world World, service string) {
	registry := world.Open(t)
	require.Same(t, registry.Instances(service), registry.Instances(service))
	require.Same(t, registry.Services(), registry.Services())
}

func registrationIsCopied(t *testing.T, world World, service string) {
	registry := world.Open(t)
	metadata := map[string]string{"zone": "north"}
	one := instance(service, "a", 4001)
	one.Metadata = metadata
	register(t, registry, one)
	metadata["zone"] = "south"
	list := await(t, registry.Instances(service), ids(one.ID))
	require.Equal(t, "north", list[0].Metadata["zone"])
}

func invalidIsRefused(t *testing.T, world World, service string) {
	registry := world.Open(t)
	for name, spoil := range map[string]func(*discovery.Registration){
		"no id":         func(r *discovery.Registration) { r.ID = "" },
		"path in id":    func(r *discovery.Registration) { r.ID = "a/../b" },
		"no service":    func(r *discovery.Registration) { r.Service = "" },
		"upper case":    func(r *discovery.Registration) { r.Service = "Orders" },
		"no address":    func(r *discovery.Registration) { r.Address = "" },
		"no host":       func(r *discovery.Registration) { r.Address = ":4001" },
		"port zero":     func(r *discovery.Registration) { r.Address = "127.0.0.1:0" },
		"taken key":     func(r *discovery.Registration) { r.Metadata = map[string]string{"version": "1"} },
		"no host check": func(r *discovery.Registration) { r.CheckURL = "/healthz" },
	} {
		registration := discovery.Registration{Instance: instance(service, "a", 4001)}
		spoil(&registration)
		require.ErrorIs(t, registry.Register(t.Context(), registration), discovery.ErrInvalid, name)
	}
	await(t, registry.Instances(service), ids())
}

func endedContextIsAnError(t *testing.T, world World, service string) {
	registry := world.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	one := instance(service, "a", 4001)
	require.ErrorIs(t, registry.Register(ctx, discovery.Registration{Instance: one}), context.Canceled)
	require.ErrorIs(t, registry.Deregister(ctx, one.ID), context.Canceled)
}

func manyAtOnce(t *testing.T, world World, service string) {
	registry, other := world.Open(t), world.Open(t)
	watch := other.Instances(service)
	const instances = 8
	var want []string
	var all sync.WaitGroup
	for i := range instances {
		one := instance(service, string(rune('a'+i)), 4001+i)
		stays := i%2 == 0
		if stays {
			want = append(want, one.ID)
		}
		all.Go(func() {
			for range 3 {
				registry.Instances(service).Get()
				if err := registry.Register(t.Context(), discovery.Registration{Instance: one}); err != nil {
					t.Errorf("register %s: %v", one.ID, err)
				}
				if !stays {
					if err := registry.Deregister(t.Context(), one.ID); err != nil {
						t.Errorf("deregister %s: %v", one.ID, err)
					}
				}
			}
		})
	}
	all.Wait()
	t.Cleanup(func() {
		for _, id := range want {
			_ = registry.Deregister(context.Background(), id)
		}
	})
	await(t, watch, ids(want...))
	await(t, registry.Instances(service), ids(want...))
}

func waitEndsWithContext(t *testing.T, world World, service string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := world.Open(t).Instances(service).Wait(ctx, func(list []discovery.Instance) bool { return len(list) > 0 })
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func failingCheck(t *testing.T, world World, service string) {
	if !world.Checked {
		t.Skip("this registry does not look at CheckURL")
	}
	var failing atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if failing.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	registry := world.Open(t)
	one := instance(service, "a", 4001)
	registerChecked(t, registry, one, server.URL)
	await(t, registry.Instances(service), ids(one.ID))
	failing.Store(true)
	await(t, registry.Instances(service), ids())
	await(t, registry.Services(), func(names []string) bool { return slices.Contains(names, service) }) // unhealthy, yet registered
	failing.Store(false)
	await(t, registry.Instances(service), ids(one.ID))
}

func instance(service, name string, port int) discovery.Instance {
	return discovery.Instance{ID: service + "-" + name, Service: service, Address: fmt.Sprintf("127.0.0.1:%d", port)}
}

func register(t *testing.T, registry Registry, one discovery.Instance) {
	t.Helper()
	registerChecked(t, registry, one, "")
}

func registerChecked(t *testing.T, registry Registry, one discovery.Instance, checkURL string) {
	t.Helper()
	require.NoError(t, registry.Register(t.Context(), discovery.Registration{Instance: one, CheckURL: checkURL}))
	t.Cleanup(func() { _ = registry.Deregister(context.Background(), one.ID) })
}

// ids is satisfied by a view of exactly these instances, in this order.
func ids(want ...string) func([]discovery.Instance) bool {
	return func(list []discovery.Instance) bool {
		return slices.EqualFunc(list, want, func(i discovery.Instance, id string) bool { return i.ID == id })
	}
}

func await[T any](t *testing.T, watch *discovery.Watch[T], ok func(T) bool) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	value, err := watch.Wait(ctx, ok)
	require.NoError(t, err, "the view stays at %+v", value)
	return value
}
