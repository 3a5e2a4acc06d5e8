// Package upstream puts the suite's reference server where the gateway finds services: it runs as a process of its own,
// is registered in discovery under its real address, and has a manifest.
package upstream

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
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
	// killAfter is how long the reference server may take to end.
	killAfter = 6 * time.Second
)

// Server is a reference server that is found through discovery.
type Server struct {
	program string
	schema  *suite.Schema
	request suite.Request
	env     *service.Environment
	command *exec.Cmd
}

// New returns the reference server that is the named program. It will be as request says.
func New(program string, schema *suite.Schema, request suite.Request, env *service.Environment) *Server {
	return &Server{program: program, schema: schema, request: request, env: env}
}

// Component starts it and makes it known, and ends it.
func (s *Server) Component() lifecycle.Component {
	return lifecycle.Component{Name: name, Start: s.start, Stop: s.stop, StopTimeout: killAfter + time.Second}
}

func (s *Server) start(ctx context.Context) error {
	address, err := s.run()
	if err != nil {
		return fmt.Errorf("the reference server %s: %w", s.program, err)
	}
	// The gateway asks for manifests over the hub, and sends calls to the registered address: nothing is between it and
	// the reference server.
	server := connect.NewServer()
	kernelv1connect.RegisterManifestServiceHandler(server, manifest{s.schema.Descriptors()})
	s.env.Hub.Add(name, server)
	return s.env.Registrar.Register(ctx, discovery.Registration{Instance: discovery.Instance{
		ID: name + "-1", Service: name, Version: version, Address: address,
	}})
}

// run starts the process and returns where it serves.
func (s *Server) run() (string, error) {
	s.command = exec.Command(s.program)
	s.command.Stderr = os.Stderr
	in, err := s.command.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := s.command.Start(); err != nil {
		return "", err
	}
	if err := s.request.Write(in); err != nil {
		return "", err
	}
	response, err := s.schema.ReadResponse(out)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(response.Host, strconv.FormatUint(uint64(response.Port), 10)), nil
}

func (s *Server) stop(ctx context.Context) error {
	if s.command == nil || s.command.Process == nil {
		return nil
	}
	err := s.env.Registrar.Deregister(ctx, name+"-1")
	_ = s.command.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(killAfter, func() { _ = s.command.Process.Kill() })
	defer timer.Stop()
	_ = s.command.Wait() // it ends by the signal, which is no success
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
