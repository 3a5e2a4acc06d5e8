package gateway_test

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ashlar.dev/gateway"
	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/gen/go/ashlar/kernel/v1/kernelv1connect"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/balance"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/memory"
	"ashlar.dev/kernel/leaktest"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/gatewayops"
	"ashlar.dev/platform/service"
)

// within bounds what should take milliseconds, and takes seconds on a machine that has much else to do or stands still.
const within = 30 * time.Second

func TestMain(m *testing.M) { leaktest.Main(m) }

// world is a gateway with services behind it, over real connections.
type world struct {
	t        testing.TB
	registry registry
	env      *service.Environment
	key      ed25519.PrivateKey
	gateway  *gateway.Gateway
	group    *lifecycle.Group
	out      *output
	telem    *telemetry.Telemetry
	// exchanged counts how often auth was asked for a token for an API key.
	exchanged atomic.Int64
	// options are the gateway's.
	options []gateway.Option
	// nobody tells that there is no instance that could serve calls, so that they may fail; nil: there always is one.
	nobody func() bool
}

// registry is discovery as a world needs it.
type registry interface {
	discovery.Registrar
	discovery.Directory
}

// newWorld returns a world with auth, which has the keys, and a gateway that has started. change may be nil.
func newWorld(t testing.TB, change func(*gateway.Config)) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.addAuth()
	w.start(change)
	return w
}

func newEmptyWorld(t testing.TB) *world {
	t.Helper()
	return newEmptyWorldIn(t, memory.New(), workload.NewClusterKey())
}

func newEmptyWorldIn(t testing.TB, registry registry, cluster workload.ClusterKey) *world {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	base := balance.DefaultBase()
	t.Cleanup(base.CloseIdleConnections)
	return &world{
		t: t, registry: registry, key: key, out: &output{},
		env: &service.Environment{
			Registrar: registry, Directory: registry, Key: cluster, RoundTripper: balance.New(registry, base),
		},
	}
}

func (w *world) start(change func(*gateway.Config)) {
	w.t.Helper()
	w.startWithoutCleanup(change)
	w.t.Cleanup(func() { require.NoError(w.t, w.group.Stop(context.Background())) })
}

func (w *world) startWithoutCleanup(change func(*gateway.Config)) {
	w.t.Helper()
	w.make(change)
	var err error
	w.group, err = lifecycle.NewGroup(w.telem.Log, w.gateway.Components()...)
	require.NoError(w.t, err)
	require.NoError(w.t, w.group.Start(context.Background()))
}

// make puts the gateway together.
func (w *world) make(change func(*gateway.Config)) {
	w.t.Helper()
	cfg := gateway.Config{Addr: "127.0.0.1:0", RateLimit: 1e6, RateBurst: 1e6}
	cfg.OpsAddr = "127.0.0.1:0"
	cfg.InstanceID = "gateway-1"
	cfg.LogLevel = -4
	if change != nil {
		change(&cfg)
	}
	t, err := telemetry.New(context.Background(), cfg.Config.Config, telemetry.Process{Service: gateway.Name}, w.out)
	require.NoError(w.t, err)
	w.telem = t
	w.gateway, err = gateway.New(cfg, w.env, t, func(component string, err error) { w.t.Errorf("%s: %v", component, err) }, w.options...)
	require.NoError(w.t, err)
}

// url is the address of a path at the gateway.
func (w *world) url(path string) string { return "http://" + w.gateway.Address() + path }

// token returns an access token of a user who may do everything, with changed claims.
func (w *world) token(change func(*authn.Claims)) string {
	now := time.Now()
	claims := authn.Claims{SessionID: "ses_1", RegisteredClaims: jwt.RegisteredClaims{
		Issuer: authn.Issuer, Audience: jwt.ClaimStrings{authn.Audience}, Subject: "usr_1",
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(authn.MaxLifetime)),
	}}
	if change != nil {
		change(&claims)
	}
	token, err := authn.Sign(claims, "k1", w.key)
	require.NoError(w.t, err)
	return token
}

// offer is what a service of the test says about itself.
type offer struct {
	name     string
	id       string
	version  string
	services []string
	schema   *descriptorpb.FileDescriptorSet
	policy   *kernelv1.GatewayPolicy
	// claimed is the name in the manifest, where it is not name.
	claimed  string
	register func(*connect.Server)
	// wrap is put around what serves it; nil for nothing.
	wrap         func(http.Handler) http.Handler
	interceptors []connect.ServerInterceptor
	// listen is where it is served; empty: on loopback.
	listen string
}

// GetManifest implements ashlar.kernel.v1.ManifestService.
func (o offer) GetManifest(context.Context, *kernelv1.GetManifestRequest) (*kernelv1.GetManifestResponse, error) {
	name := o.name
	if o.claimed != "" {
		name = o.claimed
	}
	return &kernelv1.GetManifestResponse{
		Manifest:    &kernelv1.Manifest{Name: name, Version: o.version, Services: o.services, Gateway: o.policy},
		Descriptors: o.schema,
	}, nil
}

// echoOffer returns the test service.
func echoOffer(t testing.TB, e *echo) offer {
	set := echoSchema()
	return offer{
		name: "echo", id: "echo-1", version: "1.0.0", services: []string{echoService}, schema: set,
		policy:   &kernelv1.GatewayPolicy{Expose: true, Timeout: durationpb.New(30 * time.Second)},
		register: func(server *connect.Server) { registerAll(server, specs(t, set), e) },
	}
}

func registerAll(server *connect.Server, specs []connect.Spec, e *echo) {
	for _, spec := range specs {
		server.Register(connect.Method{Spec: spec, Handler: e.serve})
	}
}

// backend is one instance of a service. Its calls pass the same checks of credentials as those of real services.
type backend struct {
	w        *world
	id       string
	http     *http.Server
	listener *listener
}

// add starts an instance and registers it.
func (w *world) add(o offer) *backend {
	w.t.Helper()
	return w.addTo(w.registry, o)
}

// addTo is add where a process has a registrar of its own. Its /readyz is there for those who check it.
func (w *world) addTo(registrar discovery.Registrar, o offer) *backend {
	w.t.Helper()
	rules := access.NewRules(nil)
	server := connect.NewServer(append(o.interceptors, access.Authenticate(rules, verifier{w}, workload.NewTokens(o.name, w.env.Key)))...)
	kernelv1connect.RegisterManifestServiceHandler(server, o)
	if o.register != nil {
		o.register(server)
	}
	require.NoError(w.t, rules.Seal(server))
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server)
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	inner, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", cmp.Or(o.listen, "127.0.0.1:0"))
	require.NoError(w.t, err)
	b := &backend{w: w, id: o.id, listener: &listener{Listener: inner, connections: map[net.Conn]bool{}}}
	var handler http.Handler = mux
	if o.wrap != nil {
		handler = o.wrap(mux)
	}
	b.http = rpc.NewHTTPServer(discard, handler)
	go func() { _ = b.http.Serve(b.listener) }()
	w.t.Cleanup(b.kill)
	registration := discovery.Registration{
		Instance: discovery.Instance{ID: o.id, Service: o.name, Address: inner.Addr().String(), Version: o.version},
		CheckURL: "http://" + inner.Addr().String() + "/readyz",
	}
	// A process would be started again where Consul has not been there.
	require.Eventually(w.t, func() bool {
		if err = registrar.Register(context.Background(), registration); err != nil {
			w.t.Log(err)
		}
		return err == nil
	}, within, 100*time.Millisecond, "it is not registered")
	return b
}

// leave takes the instance out of the registry.
func (b *backend) leave() {
	require.NoError(b.w.t, b.w.registry.Deregister(context.Background(), b.id))
}

// kill ends the instance as kill -9 would: its connections break.
func (b *backend) kill() {
	b.listener.sever()
	_ = b.http.Close()
}

// listener can break its connections.
type listener struct {
	net.Listener

	mu          sync.Mutex
	connections map[net.Conn]bool
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.connections[c] = true
		l.mu.Unlock()
	}
	return c, err
}

func (l *listener) sever() {
	_ = l.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.connections {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

// verifier is what a service verifies tokens with.
type verifier struct{ w *world }

// Verify implements access.TokenVerifier.
func (v verifier) Verify(ctx context.Context, token string) (authn.Principal, error) {
	return authn.NewVerifier(v).Verify(ctx, token)
}

// Key implements authn.KeySource.
func (v verifier) Key(context.Context, string) (ed25519.PublicKey, error) {
	return v.w.key.Public().(ed25519.PublicKey), nil
}

func (w *world) addAuth() *backend {
	set := &descriptorpb.FileDescriptorSet{File: authFiles()}
	return w.add(offer{
		name: "auth", id: "auth-1", version: "1.0.0", services: []string{authv1connect.KeyServiceName}, schema: set,
		policy: &kernelv1.GatewayPolicy{Expose: true, Aliases: map[string]string{
			"/.well-known/jwks.json": authv1connect.KeyServiceGetJwksProcedure,
		}},
		register: func(s *connect.Server) {
			authv1connect.RegisterKeyServiceHandler(s, keyService{w: w})
			authv1connect.RegisterApiKeyServiceHandler(s, apiKeys{w: w})
		},
	})
}

type keyService struct {
	authv1connect.KeyServiceHandler

	w *world
}

// GetJwks implements ashlar.auth.v1.KeyService.
func (k keyService) GetJwks(context.Context, *authv1.GetJwksRequest) (*authv1.GetJwksResponse, error) {
	return &authv1.GetJwksResponse{Keys: []*authv1.Jwk{{
		Kty: "OKP", Crv: "Ed25519", Kid: "k1", X: base64.RawURLEncoding.EncodeToString(k.w.key.Public().(ed25519.PublicKey)),
	}}}, nil
}

type apiKeys struct {
	authv1connect.ApiKeyServiceHandler

	w *world
}

// ExchangeApiKey implements ashlar.auth.v1.ApiKeyService: there is one key.
func (k apiKeys) ExchangeApiKey(_ context.Context, req *authv1.ExchangeApiKeyRequest) (*authv1.ExchangeApiKeyResponse, error) {
	k.w.exchanged.Add(1)
	if req.GetSecret() != goodKey {
		return nil, rpcerror.New(connect.CodeUnauthenticated, "API_KEY_INVALID", "no")
	}
	return &authv1.ExchangeApiKeyResponse{
		AccessToken: k.w.token(func(c *authn.Claims) { c.SessionID = "key_1" }), ExpiresAt: timestamppb.New(time.Now().Add(authn.MaxLifetime)),
	}, nil
}

// routable waits until the gateway knows a procedure, or, if not, does not know it any more. Asking its operations listener
// takes nothing from a limit.
func (w *world) routable(procedure string, want bool) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		var e gatewayops.Explanation
		w.ops(explainPath(http.MethodPost, procedure), &e)
		return e.Taken == want
	}, within, 5*time.Millisecond, "%s routable: %v", procedure, want)
}

// post sends JSON as curl would and returns the status and the decoded answer.
func (w *world) post(path, body string, header http.Header) (int, answer) {
	w.t.Helper()
	request, err := http.NewRequest(http.MethodPost, w.url(path), strings.NewReader(body))
	require.NoError(w.t, err)
	request.Header.Set("Content-Type", "application/json")
	maps.Copy(request.Header, header)
	return w.do(request)
}

func (w *world) do(request *http.Request) (int, answer) {
	w.t.Helper()
	client := newHTTPClient(w.t, false)
	response, err := client.Do(request)
	require.NoError(w.t, err)
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	a := answer{header: response.Header, raw: string(data)}
	_ = json.Unmarshal(data, &a)
	_ = json.Unmarshal(data, &a.fields)
	return response.StatusCode, a
}

// answer is a Connect unary answer in JSON.
type answer struct {
	header http.Header
	raw    string
	fields map[string]any

	Code    string `json:"code"`
	Message string `json:"message"`
	Details []struct {
		Type  string         `json:"type"`
		Debug map[string]any `json:"debug"`
	} `json:"details"`
}

func (a answer) reason() string {
	for _, d := range a.Details {
		if reason, ok := d.Debug["reason"].(string); ok {
			return reason
		}
	}
	return ""
}

// newHTTPClient returns a client for HTTP/1.1 or h2c.
func newHTTPClient(t testing.TB, h2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetUnencryptedHTTP2(h2)
	transport := &http.Transport{Protocols: protocols, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// client returns a client of the gateway.
func (w *world) client(h2 bool, options ...connecthttp.Option) *connect.Client {
	return connect.NewClient(connecthttp.NewTransport(newHTTPClient(w.t, h2), "http://"+w.gateway.Address(), options...))
}

// spec returns a procedure of the test service.
func spec(t testing.TB, procedure string) connect.Spec {
	all := specs(t, echoSchema())
	i := slices.IndexFunc(all, func(s connect.Spec) bool { return s.Procedure == procedure })
	require.GreaterOrEqual(t, i, 0, procedure)
	return all[i]
}

// dialects are the protocols as clients are told to speak them.
var dialects = map[string][]connecthttp.Option{
	"connect proto": nil,
	"connect json":  {connecthttp.WithProtoJSON()},
	"connect gzip":  {connecthttp.WithSendGzip()},
	"connect get":   {connecthttp.WithHTTPGet()},
	"grpc":          {connecthttp.WithGRPC()},
	"grpc gzip":     {connecthttp.WithGRPC(), connecthttp.WithSendGzip()},
	"grpc-web":      {connecthttp.WithGRPCWeb()},
	"grpc-web json": {connecthttp.WithGRPCWeb(), connecthttp.WithProtoJSON()},
}

// everywhere runs a test for each protocol over each version of HTTP.
func everywhere(t *testing.T, test func(t *testing.T, h2 bool, options []connecthttp.Option)) {
	for name, options := range dialects {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s h2=%v", name, h2), func(t *testing.T) { test(t, h2, options) })
		}
	}
}

// output collects what is logged.
type output struct {
	mu   sync.Mutex
	text strings.Builder
	off  bool
}

// forget keeps nothing from now on: tests that measure memory would measure their own log.
func (o *output) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Reset()
	o.off = true
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if os.Getenv("GATEWAY_TEST_LOG") != "" {
		_, _ = os.Stderr.Write(p)
	}
	if o.off {
		return len(p), nil
	}
	return o.text.Write(p)
}

// String implements fmt.Stringer.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
