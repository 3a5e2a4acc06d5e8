// Package upstream puts the suite's reference server where the gateway finds services: it runs as a process of its
// own, is registered in discovery, and has a manifest.
package upstream

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/descriptorpb"

	"ashlar.dev/conformance/internal/suite"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/gen/go/ashlar/kernel/v1/kernelv1connect"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/platform/service"
)

const (
	name    = "conformance"
	version = "1.0.7"
)

// Server is the reference server that is found through discovery. Services of the platform speak HTTP/1.1 and HTTP/2 on
// one port and a reference server one of them, so it is two, and connections go to the one that they speak.
type Server struct {
	env    *service.Environment
	schema *suite.Schema
	http1  *process
	http2  *process
	fork   *fork
}

// New returns the reference server that keeper, a command, calls Keep with. It will be as request says.
func New(keeper []string, schema *suite.Schema, request suite.Request, env *service.Environment) *Server {
	start := func(version suite.HTTPVersion) *process {
		return &process{keeper: keeper, schema: schema, request: request.Behind(version)}
	}
	return &Server{env: env, schema: schema, http1: start(suite.HTTP1), http2: start(suite.HTTP2)}
}

// Component starts it and makes it known, and ends it.
func (s *Server) Component() lifecycle.Component {
	return lifecycle.Component{Name: name, Start: s.start, Stop: s.stop, StopTimeout: killAfter + time.Second}
}

func (s *Server) start(ctx context.Context) error {
	http1, err := s.http1.start()
	if err != nil {
		return err
	}
	http2, err := s.http2.start()
	if err != nil {
		return err
	}
	if s.fork, err = newFork(ctx, http1, http2); err != nil {
		return err
	}
	// The gateway asks for manifests over the hub, and sends calls to the registered address: what is between it and the
	// reference server passes bytes on and knows nothing of HTTP.
	server := connect.NewServer()
	kernelv1connect.RegisterManifestServiceHandler(server, manifest{s.schema.Descriptors()})
	s.env.Hub.Add(name, server)
	return s.env.Registrar.Register(ctx, discovery.Registration{Instance: discovery.Instance{
		ID: name + "-1", Service: name, Version: version, Address: s.fork.address(),
	}})
}

func (s *Server) stop(ctx context.Context) error {
	err := s.env.Registrar.Deregister(ctx, name+"-1")
	if s.fork != nil {
		err = errors.Join(err, s.fork.close())
	}
	stop(s.http1, s.http2)
	return err
}

// manifest is what the service says about itself.
type manifest struct {
	descriptors *descriptorpb.FileDescriptorSet
}

// GetManifest implements ashlar.kernel.v1.ManifestService.
func (m manifest) GetManifest(context.Context, *kernelv1.GetManifestRequest) (*kernelv1.GetManifestResponse, error) {
	return &kernelv1.GetManifestResponse{
		Manifest: &kernelv1.Manifest{
			Name: name, Version: version, Services: []string{suite.Service}, Gateway: &kernelv1.GatewayPolicy{Expose: true},
		},
		Descriptors: m.descriptors,
	}, nil
}
