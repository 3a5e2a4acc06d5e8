package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/golang-jwt/jwt/v5"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/gen/go/ashlar/kernel/v1/kernelv1connect"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/workload"
)

// streamMessages is how many messages a server stream has.
const streamMessages = 1000

// backendFile is what the backend leaves in the work folder once it serves.
const backendFile = "backend.json"

// backendState is where the backend is, and a token that the gateway takes.
type backendState struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

// backendCommand is the service behind the proxies: handlers that do as little as can be, and what the gateway asks of a
// service (a place in Consul, a manifest, keys).
type backendCommand struct {
	Folder string `arg:"" help:"Work folder, with the cluster key."`
	Consul string `arg:"" help:"Address of the Consul agent."`
	Routes int    `help:"Further procedures, which nobody calls."`
}

// Run serves until ctx ends.
func (c backendCommand) Run(ctx context.Context) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	token, err := newToken(private)
	if err != nil {
		return err
	}
	key, err := workload.ReadClusterKey(filepath.Join(c.Folder, clusterKeyFile))
	if err != nil {
		return err
	}
	registry, err := consul.New(consul.Config{Address: c.Consul, Platform: key.Fingerprint()}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = registry.Close() }()
	var serving []*http.Server
	var addresses []string
	for _, s := range offers(public, c.Routes) {
		server := connect.NewServer()
		kernelv1connect.RegisterManifestServiceHandler(server, s.manifest)
		mux := http.NewServeMux()
		s.handle(mux, server)
		connecthttp.Mount(mux, server)
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		h := rpc.NewHTTPServer(slog.New(slog.DiscardHandler), mux)
		go func() { _ = h.Serve(rpc.NewListener(listener)) }()
		serving = append(serving, h)
		addresses = append(addresses, listener.Addr().String())
		if err := registry.Register(ctx, discovery.Registration{Instance: discovery.Instance{
			ID: s.manifest.name + "-" + key.Fingerprint(), Service: s.manifest.name, Address: listener.Addr().String(), Version: "1.0.0",
		}}); err != nil {
			return err
		}
	}
	state, err := json.Marshal(backendState{Address: addresses[0], Token: token})
	if err != nil {
		return err
	}
	path := filepath.Join(c.Folder, backendFile)
	if err := os.WriteFile(path+".part", state, 0o600); err != nil {
		return err
	}
	if err := os.Rename(path+".part", path); err != nil {
		return err
	}
	<-ctx.Done()
	for _, h := range serving {
		_ = h.Close()
	}
	return nil
}

// offer is a service of the benchmark.
type offer struct {
	manifest manifest
	handle   func(*http.ServeMux, *connect.Server)
}

// offers returns what is measured, auth, and as many more as it takes for so many routes.
func offers(public ed25519.PublicKey, routes int) []offer {
	out := []offer{
		{manifest{name: "bench", services: []string{benchService}, schema: benchSchema()}, func(mux *http.ServeMux, _ *connect.Server) {
			mux.HandleFunc(echoProcedure, echo)
			mux.HandleFunc(streamProcedure, stream)
			mux.HandleFunc(idleProcedure, idle)
		}},
		{manifest{name: "auth", services: []string{authv1connect.KeyServiceName}, schema: authSchema()}, func(_ *http.ServeMux, server *connect.Server) {
			authv1connect.RegisterKeyServiceHandler(server, keys{public: public})
		}},
	}
	for i := range routes / routesEach {
		name := fmt.Sprintf("routes%d", i)
		out = append(out, offer{routesManifest(name), func(*http.ServeMux, *connect.Server) {}})
	}
	return out
}

// newToken returns an access token that lasts as long as one may.
func newToken(private ed25519.PrivateKey) (string, error) {
	now := time.Now()
	return authn.Sign(authn.Claims{SessionID: "ses_bench", RegisteredClaims: jwt.RegisteredClaims{
		Issuer: authn.Issuer, Audience: jwt.ClaimStrings{authn.Audience}, Subject: "usr_bench",
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(authn.MaxLifetime)),
	}}, "bench", private)
}

// keys is the part of auth that the gateway asks.
type keys struct {
	authv1connect.KeyServiceHandler

	public ed25519.PublicKey
}

// GetJwks implements ashlar.auth.v1.KeyService.
func (k keys) GetJwks(context.Context, *authv1.GetJwksRequest) (*authv1.GetJwksResponse, error) {
	return &authv1.GetJwksResponse{Keys: []*authv1.Jwk{{
		Kty: "OKP", Crv: "Ed25519", Kid: "bench", X: base64.RawURLEncoding.EncodeToString(k.public),
	}}}, nil
}

// GetManifest implements ashlar.kernel.v1.ManifestService.
func (m manifest) GetManifest(context.Context, *kernelv1.GetManifestRequest) (*kernelv1.GetManifestResponse, error) {
	return &kernelv1.GetManifestResponse{
		Manifest: &kernelv1.Manifest{
			Name: m.name, Version: "1.0.0", Services: m.services, Gateway: &kernelv1.GatewayPolicy{Expose: true},
		},
		Descriptors: m.schema,
	}, nil
}

// echo answers a unary call, in Connect or gRPC, with what it was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	header := w.Header()
	header.Set("Content-Type", r.Header.Get("Content-Type"))
	if r.Header.Get("Content-Type") == grpcType {
		header.Set("Trailer", "Grpc-Status")
		_, _ = w.Write(body)
		header.Set("Grpc-Status", "0")
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// stream answers with many messages, each flushed, and the end of a Connect stream.
func stream(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	kind := r.Header.Get("Content-Type")
	w.Header().Set("Content-Type", kind)
	control := http.NewResponseController(w)
	message := envelope(0, payload)
	for range streamMessages {
		if _, err := w.Write(message); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
	}
	if kind == grpcType {
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		return
	}
	_, _ = w.Write(envelope(2, []byte("{}")))
}

// envelope returns a message as streams carry it: a byte of flags, four of length, the content.
func envelope(flags byte, content []byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(content)))
	return append(out, content...)
}

// readBackend waits until the backend serves.
func readBackend(ctx context.Context, folder string) (backendState, error) {
	var state backendState
	err := eventually(ctx, "the backend serves", func() error {
		data, err := os.ReadFile(filepath.Join(folder, backendFile))
		if errors.Is(err, os.ErrNotExist) {
			return errors.New("it does not yet")
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(data, &state)
	})
	if err != nil {
		return state, fmt.Errorf("backend: %w", err)
	}
	return state, nil
}
