package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"ashlar.dev/allinone"
	"ashlar.dev/gateway"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/loader"
	"ashlar.dev/platform/service"
)

// testLoadCommand is the first argument by which testLoad is meant.
const testLoadCommand = "test-load"

// exitFailure is the exit code where something did not load; kong's own for wrong flags is 80.
const exitFailure = 1

// loadSettings is what test-load can be told.
type loadSettings struct {
	Names    []string      `arg:"" optional:"" help:"Services to load, with all that they depend on. Without a name: all services, and the gateway before them." placeholder:"NAME"`
	Output   string        `short:"o" help:"Form of the report: ${enum}." enum:"table,json" default:"table"`
	Timeout  time.Duration `help:"How long the start may take." default:"60s"`
	LogLevel slog.Level    `help:"Least level that is logged, to standard error: DEBUG, INFO, WARN or ERROR." default:"WARN"`
}

// testLoad loads services on databases of their own in a temporary folder, stops them, and prints what became of each. It
// returns the exit code.
func testLoad(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process
	var cfg loadSettings
	code := -1
	parser, err := kong.New(&cfg, kong.Name("ashlar-dev "+testLoadCommand), kong.Writers(stdout, stderr), kong.Exit(func(c int) { code = c }),
		kong.Description("Loads services in one process, each on a new SQLite file, says in which order and how fast they started and what failed, and ends."))
	if err != nil {
		panic(err) // the struct above is wrong
	}
	_, err = parser.Parse(args)
	if code >= 0 {
		return code // it has printed its help
	}
	if err != nil {
		parser.FatalIfErrorf(err)
		return code
	}
	report := load(ctx, cfg, stderr)
	if err := show(cfg.Output, report, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitFailure
	}
	if !report.Ready || slices.ContainsFunc(report.Parts, func(p loader.Part) bool { return len(p.StopErrors) > 0 }) {
		return exitFailure
	}
	return 0
}

func load(ctx context.Context, cfg loadSettings, logs io.Writer) loader.Report {
	folder, err := os.MkdirTemp("", "ashlar-test-load-")
	if err != nil {
		return loader.Report{Error: err.Error()}
	}
	defer func() { _ = os.RemoveAll(folder) }()
	platform, err := assembleIn(ctx, folder, cfg, logs)
	if err != nil {
		return loader.Report{Error: err.Error()}
	}
	starting, cancel := context.WithTimeoutCause(ctx, cfg.Timeout, fmt.Errorf("the services were not ready within %s", cfg.Timeout))
	defer cancel()
	// What goes wrong is in the report, service by service.
	_ = platform.Start(starting)
	_ = platform.Stop(context.WithoutCancel(ctx))
	return platform.Report()
}

func assembleIn(ctx context.Context, folder string, cfg loadSettings, logs io.Writer) (*allinone.Platform, error) {
	all := allinone.Config{
		Key: workload.NewClusterKey(), Log: logs, Fail: func(component string, err error) {
			_, _ = fmt.Fprintf(logs, "%s failed: %v\n", component, err)
		},
		Database: func(name string) config.Secret {
			return config.Secret((&url.URL{Scheme: "sqlite", Path: filepath.ToSlash(filepath.Join(folder, name+".db"))}).String())
		},
		Gateway: gateway.Config{Addr: "127.0.0.1:0", Config: service.Config{
			Config: telemetry.Config{LogLevel: cfg.LogLevel, LogFormat: "text"}, DependencyTimeout: cfg.Timeout, MigrationTimeout: cfg.Timeout,
		}},
	}
	if len(cfg.Names) == 0 {
		return allinone.New(ctx, all, modules...)
	}
	return allinone.NewServices(ctx, all, modules, cfg.Names...)
}

func show(form string, report loader.Report, out io.Writer) error {
	if form == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(report.Parts) > 0 {
		_, _ = fmt.Fprintln(table, "ORDER\tNAME\tVERSION\tRANK\tAFTER\tSTATE\tBEGUN\tREADY\tBUSY\tSTOP")
	}
	for _, p := range report.Parts {
		order := "-"
		if p.Order > 0 {
			order = fmt.Sprint(p.Order)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%.0f ms\t%.0f ms\t%.0f ms\t%.0f ms\n",
			order, p.Name, dash(p.Version), p.Rank, dash(strings.Join(p.After, ", ")), p.State, p.BegunMs, p.ReadyMs, p.BusyMs, p.StopMs)
	}
	err := table.Flush()
	line := func(format string, args ...any) {
		_, failed := fmt.Fprintf(out, format+"\n", args...)
		err = errors.Join(err, failed)
	}
	if report.Ready {
		line("\nReady after %.0f ms, stopped in %.0f ms.", report.TookMs, report.StopMs)
	} else {
		line("\nNot ready:\n%s", report.Error)
	}
	for _, p := range report.Parts {
		for _, failure := range p.StopErrors {
			line("%s", failure)
		}
	}
	return err
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
