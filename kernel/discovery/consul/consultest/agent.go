package consultest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// readyWithin is how long an agent may take to elect itself; a -dev agent takes less than a second.
const readyWithin = 30 * time.Second

// Agent is a Consul agent that is a server, of a cluster of its own or of one of several. Its methods must be called from the test's goroutine.
type Agent struct {
	Addr string // host:port of the HTTP API; stays the same when the agent is started again

	t       testing.TB
	binary  string
	dataDir string // empty: -dev, all state is lost with the process
	ports   ports
	members []ports // of its cluster; empty: it is alone
	log     *output

	cmd    *exec.Cmd
	exited chan struct{}
}

type ports struct{ http, server, serf int }

// Option changes how an agent is started.
type Option func(*Agent)

// Persistent gives the agent a data directory, so that its state survives Kill, Stop and Restart.
func Persistent() Option {
	return func(a *Agent) { a.dataDir = a.t.TempDir() }
}

// Start starts an agent and waits until it has a leader. It is stopped when the test ends; if the test has failed, its log is
// printed.
func Start(t testing.TB, options ...Option) *Agent {
	t.Helper()
	a := newAgent(t)
	for _, option := range options {
		option(a)
	}
	// Somebody else may take a free port before the agent does, so try more than once.
	var err error
	for range 3 {
		if a.ports, err = choosePorts(t.Context()); err != nil {
			continue
		}
		a.Addr = a.ports.address()
		if err = a.run(); err == nil {
			return a
		}
	}
	t.Fatalf("starting consul: %v\n%s", err, a.log)
	return nil
}

func newAgent(t testing.TB) *Agent {
	t.Helper()
	a := &Agent{t: t, binary: Binary(t), log: &output{}}
	t.Cleanup(func() {
		a.Kill()
		if t.Failed() {
			t.Logf("log of consul at %s:\n%s", a.Addr, a.log)
		}
	})
	return a
}

// Stop ends the agent in an orderly way and waits for it. An agent that does not run is left alone.
func (a *Agent) Stop() {
	a.t.Helper()
	a.end(os.Interrupt)
}

// Kill ends the agent at once, as a crash would, and waits for it. An agent that does not run is left alone.
func (a *Agent) Kill() {
	a.t.Helper()
	a.end(os.Kill)
}

// Restart starts the agent again on the same ports, killing it first if it runs, and waits until it has a leader.
func (a *Agent) Restart() {
	a.t.Helper()
	a.Kill()
	if err := a.run(); err != nil {
		a.t.Fatalf("starting consul again: %v\n%s", err, a.log)
	}
}

func (a *Agent) end(signal os.Signal) {
	a.t.Helper()
	if a.cmd == nil {
		return
	}
	if err := a.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		a.t.Errorf("ending consul: %v", err)
	}
	select {
	case <-a.exited:
	case <-time.After(readyWithin):
		a.t.Errorf("consul did not end within %s after %s; killing it", readyWithin, signal)
		_ = a.cmd.Process.Kill()
		<-a.exited
	}
	a.cmd = nil
}

// run starts the process and waits until it is ready.
func (a *Agent) run() error {
	if err := a.launch(); err != nil {
		return err
	}
	if err := a.ready(); err != nil {
		a.Kill()
		return err
	}
	return nil
}

// launch starts the process.
func (a *Agent) launch() error {
	args := []string{
		"agent",
		"-node=consultest-" + strconv.Itoa(a.ports.http),
		"-bind=127.0.0.1", "-client=127.0.0.1",
		"-http-port=" + strconv.Itoa(a.ports.http),
		"-server-port=" + strconv.Itoa(a.ports.server),
		"-serf-lan-port=" + strconv.Itoa(a.ports.serf),
		"-serf-wan-port=-1", "-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1",
		"-hcl=disable_update_check = true",
		"-log-level=warn",
	}
	if a.dataDir == "" {
		args = append(args, "-dev")
	} else {
		args = append(args, "-server", "-bootstrap-expect="+strconv.Itoa(max(1, len(a.members))), "-data-dir="+a.dataDir, "-hcl=performance { raft_multiplier = 1 }")
	}
	for _, member := range a.members {
		args = append(args, "-retry-interval=500ms", "-retry-join=127.0.0.1:"+strconv.Itoa(member.serf))
	}
	cmd := exec.Command(a.binary, args...)
	cmd.Stdout, cmd.Stderr = a.log, a.log
	cmd.Env = withoutConsul(os.Environ())
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}()
	a.cmd, a.exited = cmd, exited
	return nil
}

// ready waits until the agent has a leader and knows its own node.
func (a *Agent) ready() error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	deadline := time.After(readyWithin)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if last = a.answers(client); last == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-a.exited:
			return errors.New("consul ended before it was ready")
		case <-deadline:
			return fmt.Errorf("consul was not ready within %s: %w", readyWithin, last)
		}
	}
}

func (a *Agent) answers(client *http.Client) error {
	var leader string
	if err := get(client, "http://"+a.Addr+"/v1/status/leader", &leader); err != nil {
		return err
	}
	if leader == "" {
		return errors.New("no leader")
	}
	var nodes []struct{}
	if err := get(client, "http://"+a.Addr+"/v1/catalog/nodes", &nodes); err != nil {
		return err
	}
	if len(nodes) == 0 {
		return errors.New("no node")
	}
	return nil
}

func get(client *http.Client, url string, into any) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// output collects what the agent prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
