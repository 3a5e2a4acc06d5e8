package upstream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"

	"ashlar.dev/conformance/internal/suite"
)

// process is one reference server, which Keep keeps.
type process struct {
	keeper  []string // a command that calls Keep
	schema  *suite.Schema
	request suite.Request
	command *exec.Cmd
	in      io.Closer
}

// start starts the process and returns where it serves.
func (p *process) start() (string, error) {
	address, err := p.run()
	if err != nil {
		return "", fmt.Errorf("the reference server, %q: %w", p.keeper, err)
	}
	return address, nil
}

func (p *process) run() (string, error) {
	command := exec.Command(p.keeper[0], p.keeper[1:]...)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return "", errors.Join(err, in.Close())
	}
	if err := command.Start(); err != nil {
		return "", err
	}
	p.command, p.in = command, in
	if err := p.request.Write(in); err != nil {
		return "", err
	}
	response, err := p.schema.ReadResponse(out)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(response.Host, strconv.FormatUint(uint64(response.Port), 10)), nil
}

// stop ends processes, those that were started, at once.
func stop(processes ...*process) {
	for _, p := range processes {
		if p.in != nil {
			_ = p.in.Close()
		}
	}
	for _, p := range processes {
		if p.command != nil {
			_ = p.command.Wait()
		}
	}
}
