package local

import (
	"context"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
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
	opsAddr  string
	registry *consul.Registry
	client   *http.Client

	instance string // the latest
}

func (s *service) command() *exec.Cmd {
	s.instance = newInstanceID(s.program.name)
	cmd := exec.Command(s.binary)
	cmd.Env = s.env.process(s.program, s.instance, s.opsAddr)
	return cmd
}

// await waits until Consul shows the instance, which it does once it can serve; for the gateway also until it answers where
// callers come in.
func (s *service) await(ctx context.Context) (string, error) {
	var address string
	_, err := s.registry.Instances(s.program.name).Wait(ctx, func(instances []discovery.Instance) bool {
		for _, i := range instances {
			if i.ID == s.instance {
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
func (s *service) waitsFor(ctx context.Context) string {
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
func (s *service) lost(ctx context.Context) { _ = s.registry.Deregister(ctx, s.instance) }

func (s *service) orderly(p *process) bool { return p.clean() }
