package services

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/local"
	"ashlar.dev/platformctl/output"
)

// loaderName is the program that has all services in it.
const loaderName = "ashlar-dev"

// TestLoad is the command that loads services in one process.
type TestLoad struct {
	output.Flag

	Names   []string      `arg:"" optional:"" predictor:"service" help:"Services to load, with all that they depend on; all services where none is named." placeholder:"NAME"`
	Bin     string        `help:"Folder of the platform's programs; where not set, the one of platformctl (${env})." env:"ASHLAR_BIN" placeholder:"DIR"`
	Timeout time.Duration `help:"How long the start may take." default:"60s"`
}

// Help implements kong.HelpProvider.
func (*TestLoad) Help() string {
	return `The services are loaded as they were built last (./taskw build), each on a new database of its own, without Consul, and are
stopped again. BEGUN and READY are when a service began and was ready, BUSY what its own parts took; the rest of the time
it waited for others. Services of the same rank have no order between them.

  platformctl services test-load notes`
}

// Load is what became of services that were loaded in one process. Times are in milliseconds. Names in JSON stay.
type Load struct {
	Ready    bool     `json:"ready"`
	TookMs   float64  `json:"tookMs"`
	StopMs   float64  `json:"stopMs"`
	Error    string   `json:"error,omitempty"`
	Services []Loaded `json:"services"`
}

// Loaded is what became of one of them.
type Loaded struct {
	Name       string   `json:"name"`
	Version    string   `json:"version,omitempty"`
	Rank       int      `json:"rank"`
	After      []string `json:"after"`
	State      string   `json:"state"`
	Order      int      `json:"order"`
	BegunMs    float64  `json:"begunMs"`
	ReadyMs    float64  `json:"readyMs"`
	BusyMs     float64  `json:"busyMs"`
	Component  string   `json:"component,omitempty"`
	Error      string   `json:"error,omitempty"`
	StopMs     float64  `json:"stopMs"`
	StopErrors []string `json:"stopErrors,omitempty"`
}

// Run implements the command.
func (t *TestLoad) Run(ctx context.Context, streams *output.Streams) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	program, err := t.program()
	if err != nil {
		return err
	}
	args := append([]string{"test-load", "-o", "json", "--timeout", t.Timeout.String()}, t.Names...)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stderr = streams.Err
	var report bytes.Buffer
	cmd.Stdout = &report
	ended := cmd.Run()
	if ctx.Err() != nil {
		return exit.With(exit.Interrupted, errors.New("interrupted before everything was loaded"))
	}
	var load Load
	if err := json.Unmarshal(report.Bytes(), &load); err != nil {
		return fmt.Errorf("%s test-load did not report: %w", program, errors.Join(ended, err))
	}
	if err := t.Show(streams.Out, load); err != nil {
		return err
	}
	return load.outcome(ended)
}

// program returns the path of the program.
func (t *TestLoad) program() (string, error) {
	bin, err := local.ProgramsFolder(t.Bin)
	if err != nil {
		return "", err
	}
	path := filepath.Join(bin, loaderName)
	if _, err := exec.LookPath(path); err != nil {
		return "", fmt.Errorf("%s is missing: %w; `./taskw build` builds it, --bin names another folder", loaderName, err)
	}
	return path, nil
}

// outcome returns what went wrong.
func (l Load) outcome(ended error) error {
	var wrong []string
	if !l.Ready {
		wrong = append(wrong, "not everything was ready: "+l.Error)
	}
	for _, s := range l.Services {
		wrong = append(wrong, s.StopErrors...)
	}
	switch {
	case len(wrong) > 0:
		return errors.New(strings.Join(wrong, "\n"))
	case ended != nil:
		return fmt.Errorf("%s: %w", loaderName, ended)
	default:
		return nil
	}
}

// Table implements output.Tabular.
func (l Load) Table() output.Table {
	t := output.Table{Header: []string{"ORDER", "SERVICE", "VERSION", "RANK", "AFTER", "STATE", "BEGUN", "READY", "BUSY", "STOP"}, Empty: "Nothing was loaded."}
	for _, s := range l.Services {
		order := ""
		if s.Order > 0 {
			order = strconv.Itoa(s.Order)
		}
		t.Rows = append(t.Rows, []string{
			order, s.Name, s.Version, strconv.Itoa(s.Rank), strings.Join(s.After, ", "), s.State,
			milliseconds(s.BegunMs), milliseconds(s.ReadyMs), milliseconds(s.BusyMs), milliseconds(s.StopMs),
		})
	}
	return t
}

func milliseconds(ms float64) string { return fmt.Sprintf("%.0f ms", ms) }
