package consul_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/discovery/consul/consultest"
	"ashlar.dev/kernel/discovery/discoverytest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	discoverytest.Run(t, discoverytest.World{
		Checked: true,
		Open:    func(t *testing.T) discoverytest.Registry { return open(t, agent.Addr, nil) },
	})
}

func TestInstanceIsAsConsulKnowsIt(t *testing.T) {
	agent := consultest.Start(t)
	server := serve(t)
	registry := open(t, agent.Addr, nil)
	register(t, registry, "orders", "orders-1", server.URL)

	client := raw(t, agent.Addr)
	entries, _, err := client.Health().Service("orders", "", false, nil)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, []string{consul.Tag}, entries[0].Service.Tags)
	require.Equal(t, "1.0.0", entries[0].Service.Meta["version"])
	check := entries[0].Checks[slices.IndexFunc(entries[0].Checks, func(c *api.HealthCheck) bool { return c.ServiceID == "orders-1" })]
	require.Equal(t, "http", check.Type)
	require.Equal(t, api.HealthPassing, check.Status)
}

func TestPlatformsThatShareOneConsulDoNotSeeEachOther(t *testing.T) {
	agent := consultest.Start(t)
	platforms := map[string]*consul.Registry{}
	for _, name := range []string{"one", "other"} {
		registry, err := consul.New(consul.Config{Address: agent.Addr, Platform: name}, nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, registry.Close()) })
		register(t, registry, "orders", "orders-of-"+name, "")
		platforms[name] = registry
	}
	register(t, platforms["other"], "stock", "stock-1", "")
	for name, registry := range platforms {
		await(t, registry.Instances("orders"), ids("orders-of-"+name))
	}
	await(t, platforms["other"].Services(), func(names []string) bool { return slices.Equal(names, []string{"orders", "stock"}) })
	await(t, platforms["one"].Services(), func(names []string) bool { return slices.Equal(names, []string{"orders"}) })
}

func TestServicesOfOthersAreNotSeen(t *testing.T) {
	agent := consultest.Start(t)
	client := raw(t, agent.Addr)
	require.NoError(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{ID: "db", Name: "db", Address: "127.0.0.1", Port: 5432}))
	require.NoError(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{ID: "impostor", Name: "orders", Address: "127.0.0.1", Port: 1}))
	registry := open(t, agent.Addr, nil)
	register(t, registry, "orders", "orders-1", "")
	await(t, registry.Services(), func(names []string) bool { return slices.Equal(names, []string{"orders"}) })
	await(t, registry.Instances("orders"), ids("orders-1"))
	await(t, registry.Instances("db"), ids())
}

func TestKilledInstanceLeavesByItsCheck(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	doomed, other := serve(t), serve(t)
	registry := open(t, agent.Addr, nil)
	register(t, registry, "orders", "orders-1", doomed.URL)
	register(t, registry, "orders", "orders-2", other.URL)
	watch := registry.Instances("orders")
	await(t, watch, ids("orders-1", "orders-2"))
	doomed.Close() // its port refuses from now on
	await(t, watch, ids("orders-2"))
}

func TestLostRegistrationComesBack(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	registry := open(t, agent.Addr, nil)
	register(t, registry, "orders", "orders-1", "")
	client := raw(t, agent.Addr)

	index := modifyIndex(t, client, 0)
	require.NoError(t, client.Agent().ServiceDeregister("orders-1"))
	index = modifyIndex(t, client, index)

	require.NoError(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{ID: "orders-1", Name: "orders", Address: "127.0.0.1", Port: 9}))
	modifyIndex(t, client, index)
	await(t, registry.Instances("orders"), func(list []discovery.Instance) bool {
		return len(list) == 1 && list[0].Address == address
	})

	require.NoError(t, registry.Deregister(t.Context(), "orders-1"))
	await(t, registry.Instances("orders"), ids())
}

// modifyIndex waits until orders-1 is there as we register it, newer than index, and returns its index.
func modifyIndex(t *testing.T, client *api.Client, index uint64) uint64 {
	t.Helper()
	var found uint64
	require.Eventually(t, func() bool {
		entries, _, err := client.Health().Service("orders", consul.Tag, true, nil)
		if err != nil || len(entries) != 1 || entries[0].Service.Port != 4001 || entries[0].Service.CreateIndex <= index && entries[0].Service.ModifyIndex <= index {
			return false
		}
		found = entries[0].Service.ModifyIndex
		return true
	}, patience, 10*time.Millisecond)
	return found
}

func TestAgentThatLostEverything(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	alive, dead := steady(t), serve(t)
	log := &logged{}
	services, clients := open(t, agent.Addr, log), open(t, agent.Addr, nil)
	elsewhere := open(t, agent.Addr, nil) // a process that goes while Consul is away
	register(t, services, "orders", "orders-1", alive)
	register(t, elsewhere, "orders", "orders-2", dead.URL)
	watch, names := clients.Instances("orders"), clients.Services()
	await(t, watch, ids("orders-1", "orders-2"))
	await(t, names, func(names []string) bool { return slices.Equal(names, []string{"orders"}) })
	recorded := record(t, watch)

	agent.Kill()
	dead.Close()
	require.NoError(t, elsewhere.Close())
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "cannot keep the instance registered") }, patience, 10*time.Millisecond)
	list, known, _ := watch.Get()
	require.True(t, known && len(list) == 2, "the last good view stays: %v", list)

	agent.Restart()
	await(t, watch, ids("orders-1"))
	await(t, open(t, agent.Addr, nil).Instances("orders"), ids("orders-1"))
	await(t, names, func(names []string) bool { return slices.Equal(names, []string{"orders"}) })
	for _, view := range recorded() {
		require.Contains(t, view, "orders-1", "an instance that was there all the time was not always in view")
	}

	register(t, services, "orders", "orders-3", alive)
	await(t, watch, ids("orders-1", "orders-3"))
	require.NoError(t, services.Deregister(t.Context(), "orders-1"))
	await(t, watch, ids("orders-3"))
}

func TestAgentThatKeepsItsState(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t, consultest.Persistent())
	server := steady(t)
	registry := open(t, agent.Addr, nil)
	register(t, registry, "orders", "orders-1", server)
	watch := registry.Instances("orders")
	await(t, watch, ids("orders-1"))
	recorded := record(t, watch)

	agent.Stop()
	agent.Restart()
	register(t, registry, "orders", "orders-2", server)
	await(t, watch, ids("orders-1", "orders-2"))
	await(t, open(t, agent.Addr, nil).Instances("orders"), ids("orders-1", "orders-2"))
	for _, view := range recorded() {
		require.Contains(t, view, "orders-1")
	}
}

func TestAgentThatHangs(t *testing.T) {
	agent := consultest.Start(t)
	registry := open(t, agent.Addr, nil)
	register(t, registry, "orders", "orders-1", "")
	watch := registry.Instances("orders")
	await(t, watch, ids("orders-1"))

	agent.Pause()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	require.ErrorIs(t, registry.Deregister(ctx, "orders-1"), context.Canceled, "the caller's word ends it, and not the bound on answers")
	require.Error(t, registry.Ping(ctx))
	list, _, _ := watch.Get()
	require.Len(t, list, 1, "the last good view stays")

	agent.Resume()
	register(t, registry, "orders", "orders-2", "")
	await(t, watch, func(list []discovery.Instance) bool {
		return slices.ContainsFunc(list, func(i discovery.Instance) bool { return i.ID == "orders-2" })
	})
}

func TestViewStartedBeforeConsul(t *testing.T) {
	agent := consultest.Start(t)
	agent.Kill()
	registry := open(t, agent.Addr, nil)
	watch := registry.Instances("orders")
	_, known, _ := watch.Get()
	require.False(t, known, "nobody has said yet that there is nothing")
	require.ErrorContains(t, registry.Register(t.Context(), discovery.Registration{Instance: instance("orders", "orders-1")}), "no Consul agent at "+agent.Addr)

	agent.Restart()
	register(t, registry, "orders", "orders-1", "")
	await(t, watch, ids("orders-1"))
}

// One agent answers, and its index goes back: what a restore or a lost cluster looks like from outside.
func TestIndexThatGoesBack(t *testing.T) {
	asked := make(chan string, 100)
	answers := []struct{ index, body string }{
		{"100", `[{"Node":{"Address":"10.0.0.1"},"Service":{"ID":"orders-1","Service":"orders","Port":1}}]`},
		{"5", `[]`},
		{"5", `[{"Node":{"Address":"10.0.0.1"},"Service":{"ID":"orders-2","Service":"orders","Port":1}}]`},
	}
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if len(answers) == 0 {
			return
		}
		asked <- req.URL.Query().Get("index")
		w.Header().Set("X-Consul-Index", answers[0].index)
		w.Header().Set("X-Consul-LastContact", "0")
		w.Header().Set("X-Consul-KnownLeader", "true")
		_, _ = w.Write([]byte(answers[0].body))
		answers = answers[1:]
	}))
	defer server.Close()
	registry := open(t, server.URL, nil)
	list := await(t, registry.Instances("orders"), ids("orders-1", "orders-2"))
	require.Equal(t, "10.0.0.1:1", list[0].Address, "an instance without an address has its node's")
	require.Empty(t, <-asked)
	require.Equal(t, "100", <-asked)
	require.Empty(t, <-asked, "asked from the start")
	require.NoError(t, registry.Close())
}

func TestAnswerWithoutLeaderIsNotBelieved(t *testing.T) {
	leader, more := make(chan struct{}), make(chan struct{})
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Consul-Index", "7")
		w.Header().Set("X-Consul-LastContact", "0")
		select {
		case <-leader:
			w.Header().Set("X-Consul-KnownLeader", "true")
			if req.URL.Query().Get("index") != "" {
				<-req.Context().Done()
				return
			}
			_, _ = w.Write([]byte(`{"orders":["ashlar"],"consul":[]}`))
		default:
			once.Do(func() { close(more) })
			_, _ = w.Write([]byte(`{}`))
		}
	}))
	defer server.Close()
	registry := open(t, server.URL, nil)
	watch := registry.Services()
	<-more
	_, known, _ := watch.Get()
	require.False(t, known)
	close(leader)
	await(t, watch, func(names []string) bool { return slices.Equal(names, []string{"orders"}) })
	require.NoError(t, registry.Close())
}

func TestViewsShareOneQuery(t *testing.T) {
	var mu sync.Mutex
	var queries []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		queries = append(queries, req.URL.Path+" "+req.URL.Query().Get("index"))
		mu.Unlock()
		w.Header().Set("X-Consul-Index", "7")
		w.Header().Set("X-Consul-LastContact", "0")
		w.Header().Set("X-Consul-KnownLeader", "true")
		if req.URL.Query().Get("index") != "" {
			<-req.Context().Done()
			return
		}
		_, _ = w.Write([]byte(`[]`))
	}))
	defer server.Close()
	registry := open(t, server.URL, nil)
	for range 10 {
		await(t, registry.Instances("orders"), ids())
	}
	require.NoError(t, registry.Close())
	mu.Lock()
	defer mu.Unlock()
	require.LessOrEqual(t, len(queries), 2, "%v", queries)
}

func TestPing(t *testing.T) {
	agent := consultest.Start(t)
	require.NoError(t, open(t, agent.Addr, nil).Ping(t.Context()))
	agent.Kill()
	err := open(t, agent.Addr, nil).Ping(t.Context())
	require.ErrorContains(t, err, "no Consul agent at "+agent.Addr+": ")
	require.ErrorContains(t, err, "connection refused; start one with `consul agent -dev` or set ASHLAR_CONSUL_ADDR")
}

func TestPingSaysWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name, body, want string
		status           int
	}{
		{"no leader", `""`, "knows no leader", 200},
		{"a web page", "<html>", "is no Consul agent", 200},
		{"something else", "not found", "is no Consul agent", 404},
		{"no servers", "No known Consul servers", "cannot answer: Unexpected response code: 500 (No known Consul servers)", 500},
		{"wrong token", "Permission denied", "refused the token", 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			log := &logged{}
			registry, err := consul.New(consul.Config{Address: server.URL, Token: "hush-hush"}, slog.New(slog.NewTextHandler(log, nil)))
			require.NoError(t, err)
			defer registry.Close()
			err = registry.Ping(t.Context())
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "hush-hush")
		})
	}
}

func TestTokenIsSentAndNotLogged(t *testing.T) {
	sent := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		select {
		case sent <- req.Header.Get("X-Consul-Token"):
		default:
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	log := &logged{}
	registry, err := consul.New(consul.Config{Address: server.URL, Token: config.Secret("hush-hush")}, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	defer registry.Close()
	registry.Instances("orders")
	require.Equal(t, "hush-hush", <-sent)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "refused the token") }, patience, 10*time.Millisecond)
	require.NotContains(t, log.String(), "hush-hush")
}

func TestNewRefusesAnAddressItCannotUse(t *testing.T) {
	_, err := consul.New(consul.Config{Address: "ftp://127.0.0.1"}, nil)
	require.ErrorContains(t, err, `address "ftp://127.0.0.1"`)
}

func TestCloseEndsEverything(t *testing.T) {
	agent := consultest.Start(t)
	before := goleak.IgnoreCurrent()
	registry, err := consul.New(consul.Config{Address: agent.Addr}, nil)
	require.NoError(t, err)
	require.NoError(t, registry.Register(t.Context(), discovery.Registration{Instance: instance("orders", "orders-1")}))
	watch := registry.Instances("orders")
	await(t, watch, ids("orders-1"))
	await(t, registry.Services(), func(names []string) bool { return len(names) == 1 })
	require.NoError(t, registry.Close())
	require.NoError(t, registry.Close())
	goleak.VerifyNone(t, before)

	list, known, _ := watch.Get()
	require.True(t, known && len(list) == 1, "the last view stays")
	_, known, _ = registry.Instances("other").Get()
	require.False(t, known)
	require.ErrorIs(t, registry.Register(t.Context(), discovery.Registration{Instance: instance("orders", "orders-2")}), consul.ErrClosed)
	require.ErrorIs(t, registry.Deregister(t.Context(), "orders-1"), consul.ErrClosed)
	goleak.VerifyNone(t, before)
}

const (
	patience = 60 * time.Second
	address  = "127.0.0.1:4001"
)

func open(t *testing.T, addr string, log *logged) *consul.Registry {
	t.Helper()
	var logger *slog.Logger
	if log != nil {
		logger = slog.New(slog.NewTextHandler(log, nil))
	}
	registry, err := consul.New(consul.Config{Address: addr}, logger)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, registry.Close()) })
	return registry
}

// raw returns a client of Consul that is not ours, to look and to meddle.
func raw(t *testing.T, addr string) *api.Client {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: addr, Transport: &http.Transport{DisableKeepAlives: true}})
	require.NoError(t, err)
	return client
}

// serve answers every check with 200.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	return server
}

// steady returns a URL that answers every check with 200. It is in a process of its own: a view that is recorded must not
// lose an instance because this process, with all its other tests, was too busy to answer in time.
func steady(t *testing.T) string {
	t.Helper()
	return "http://" + consultest.Start(t).Addr + "/v1/status/leader"
}

func instance(service, id string) discovery.Instance {
	return discovery.Instance{ID: id, Service: service, Address: address, Version: "1.0.0"}
}

func register(t *testing.T, registry *consul.Registry, service, id, checkURL string) {
	t.Helper()
	require.NoError(t, registry.Register(t.Context(), discovery.Registration{Instance: instance(service, id), CheckURL: checkURL}))
}

func ids(want ...string) func([]discovery.Instance) bool {
	return func(list []discovery.Instance) bool { return slices.Equal(names(list), want) }
}

func names(list []discovery.Instance) []string {
	var all []string
	for _, i := range list {
		all = append(all, i.ID)
	}
	return all
}

func await[T any](t *testing.T, watch *discovery.Watch[T], ok func(T) bool) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	value, err := watch.Wait(ctx, ok)
	require.NoError(t, err, "the view stays at %+v", value)
	return value
}

// record notes every view from now on, until the function it returns is called.
func record(t *testing.T, watch *discovery.Watch[[]discovery.Instance]) func() [][]string {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan [][]string, 1)
	go func() {
		var views [][]string
		_, _ = watch.Wait(ctx, func(list []discovery.Instance) bool {
			views = append(views, names(list))
			return false
		})
		done <- views
	}()
	return func() [][]string {
		cancel()
		return <-done
	}
}

// logged keeps what is logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A process that is told to end while it registers: the agent carries out what it was sent, so that must not be later than
// what takes it back.
func TestARegistrationOnItsWayIsNotCalledBack(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t)
	target, err := url.Parse("http://" + agent.Addr)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/v1/agent/service/register" {
			close(arrived)
			<-goOn
			req = req.WithContext(context.WithoutCancel(req.Context())) // the agent does not notice who hangs up
		}
		proxy.ServeHTTP(w, req)
	}))
	defer server.Close()
	registry := open(t, server.URL, nil)

	ctx, cancel := context.WithCancel(t.Context())
	registered := make(chan error, 1)
	go func() {
		registered <- registry.Register(ctx, discovery.Registration{Instance: instance("orders", "orders-1")})
	}()
	<-arrived
	cancel()
	close(goOn)
	require.NoError(t, <-registered, "it is there")
	require.NoError(t, registry.Deregister(t.Context(), "orders-1"))
	await(t, open(t, agent.Addr, nil).Instances("orders"), ids())
}

// An agent that does not answer is not waited for once nobody wants the registration any more.
func TestARegistrationThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body) // only then the server sees that the other side has gone
		close(arrived)
		<-req.Context().Done()
	}))
	defer server.Close()
	registry := open(t, server.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	err := registry.Register(ctx, discovery.Registration{Instance: instance("orders", "orders-1")})
	require.ErrorIs(t, err, context.Canceled, "and not that the time for an answer is over, which is longer")
}
