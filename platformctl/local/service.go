package local

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/freeport"
	"ashlar.dev/kernel/rpc"
)

const (
	probeInterval = 25 * time.Millisecond
	probeTimeout  = 2 * time.Second
	probeBytes    = 4096
)

// service is one of the platform's programs.
type service struct {
	program  program
	binary   string
	env      *environment
	registry *consul.Registry
	client   *http.Client
}

// next makes an instance with a name of its own.
func (s *service) next(context.Context) (instance, error) {
	if err := checkProgram(s.program.name, s.binary); err != nil {
		return nil, err
	}
	return &serviceInstance{service: s, id: newInstanceID(s.program.name)}, nil
}

// alone implements kind: the gateway's address can have one owner.
func (s *service) alone() bool { return s.program.gateway }

// serviceInstance is one process of a service.
type serviceInstance struct {
	*service

	id      string
	opsAddr string // from command on
}

// command gives the process its listener for operations: a port that it had to bind itself could be gone by then.
func (s *serviceInstance) command() (*exec.Cmd, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(freeport.Host)})
	if err != nil {
		return nil, err
	}
	defer func() { _ = listener.Close() }() // the file is another descriptor
	file, err := listener.File()
	if err != nil {
		return nil, err
	}
	s.opsAddr = listener.Addr().String()
	cmd := exec.Command(s.binary)
	cmd.Env = s.env.process(s.program, s.id, rpc.Inherited(0))
	cmd.ExtraFiles = []*os.File{file}
	return cmd, nil
}

// await waits until Consul shows the instance, which it does once it can serve; for the gateway also until it answers where
// callers come in.
func (s *serviceInstance) await(ctx context.Context) (string, error) {
	var address string
	_, err := s.registry.Instances(s.program.name).Wait(ctx, func(instances []discovery.Instance) bool {
		for _, i := range instances {
			if i.ID == s.id {
				address = i.Address
				return true
			}
		}
		return false
	})
	if err != nil || !s.program.gateway {
		return address, err
	}
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		if status, _ := s.probe(ctx, address); status == http.StatusOK {
			return address, nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-tick.C:
		}
	}
}

// waitsFor asks the instance itself.
func (s *serviceInstance) waitsFor(ctx context.Context) string {
	status, body := s.probe(ctx, s.opsAddr)
	if status != http.StatusServiceUnavailable {
		return ""
	}
	return body
}

// probe asks an address whether it is ready; status 0 means that it does not answer.
func (s *service) probe(ctx context.Context, address string) (status int, body string) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return 0, ""
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = response.Body.Close() }()
	content, _ := io.ReadAll(io.LimitReader(response.Body, probeBytes))
	return response.StatusCode, strings.TrimSpace(string(content))
}

// lost takes a dead instance out of Consul, which would wait for its checks to fail. Where that does not work, they will.
func (s *serviceInstance) lost(ctx context.Context) { _ = s.registry.Deregister(ctx, s.id) }

func (s *serviceInstance) orderly(p *process) bool { return p.clean() }
