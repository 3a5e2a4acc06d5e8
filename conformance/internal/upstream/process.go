package upstream

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"ashlar.dev/conformance/internal/suite"
)

// killAfter is how long a reference server may take to end.
const killAfter = 6 * time.Second

// process is one reference server.
type process struct {
	program string
	schema  *suite.Schema
	request suite.Request
	command *exec.Cmd
}

// start starts the process and returns where it serves.
func (p *process) start() (string, error) {
	address, err := p.run()
	if err != nil {
		return "", fmt.Errorf("the reference server %s: %w", p.program, err)
	}
	return address, nil
}

func (p *process) run() (string, error) {
	p.command = exec.Command(p.program)
	p.command.Stderr = os.Stderr
	in, err := p.command.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := p.command.Start(); err != nil {
		return "", err
	}
	if err := p.request.Write(in); err != nil {
		return "", err
	}
	response, err := p.schema.ReadResponse(out)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(response.Host, strconv.FormatUint(uint64(response.Port), 10)), nil
}

// stop ends the process, if it was started.
func (p *process) stop() {
	if p.command == nil || p.command.Process == nil {
		return
	}
	_ = p.command.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(killAfter, func() { _ = p.command.Process.Kill() })
	defer timer.Stop()
	_ = p.command.Wait() // it ends by the signal, which is no success
}
