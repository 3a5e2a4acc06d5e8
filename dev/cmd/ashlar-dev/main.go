// Command ashlar-dev runs the whole platform in one process, without Consul. It keeps its state where `platformctl up`
// does, so that one can go on where the other stopped.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"go.uber.org/fx"

	"ashlar.dev/allinone"
	"ashlar.dev/gateway"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/lifecycle/fxadapter"
	"ashlar.dev/platform/home"
)

// settings is what the process can be told: what the gateway can, and about the home folder.
type settings struct {
	gateway.Config

	Home          string        `help:"Folder for everything that is kept." default:".ashlar" placeholder:"DIR"`
	AdminEmail    string        `help:"Address of the first administrator; it counts on the first run." placeholder:"EMAIL"`
	AdminPassword config.Secret `help:"The first administrator's password; one is made up where it is not set. It counts on the first run." placeholder:"PASSWORD"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == testLoadCommand {
		os.Exit(testLoad(os.Args[2:], os.Stdout, os.Stderr))
	}
	begun := time.Now()
	fxadapter.Main("ashlar-dev", "Runs the whole platform in one process, without Consul. "+
		"`ashlar-dev test-load` loads services on databases of their own, says how that went, and ends.", func(cfg settings) fx.Option {
		return graph(cfg, os.Stdout, begun)
	})
}

func graph(cfg settings, out io.Writer, begun time.Time) fx.Option {
	return fx.Options(fx.Supply(cfg, begun, fx.Annotate(out, fx.As(new(io.Writer)))), fx.Provide(build))
}

// build puts the platform together, between a component that holds the home folder and one that says that all is ready.
func build(cfg settings, out io.Writer, begun time.Time) (*lifecycle.Group, error) {
	h, err := home.Open(cmp.Or(cfg.Home, home.DefaultDir))
	if err != nil {
		return nil, err
	}
	group, err := assemble(cfg, h, out, begun)
	if err != nil {
		h.Close()
	}
	return group, err
}

func assemble(cfg settings, h *home.Home, out io.Writer, begun time.Time) (*lifecycle.Group, error) {
	_, key, err := h.ClusterKey()
	if err != nil {
		return nil, err
	}
	admin, err := h.Admin(cfg.AdminEmail, cfg.AdminPassword.Reveal())
	if err != nil {
		return nil, err
	}
	// At once: what is not followed may be why a start fails.
	if err := notify(out, admin); err != nil {
		return nil, err
	}
	var group *lifecycle.Group
	platform, err := allinone.New(context.Background(), allinone.Config{
		Database: h.SQLite, Key: key, Gateway: cfg.Config, Log: os.Stderr,
		AdminEmail: admin.Email, AdminPasswordFile: admin.PasswordFile,
		Fail: func(component string, err error) { group.Fail(component, err) },
	}, modules...)
	if err != nil {
		return nil, err
	}
	all := platform.Component("platform")
	all.After = []string{"home"}
	group, err = lifecycle.NewGroup(
		slog.New(slog.DiscardHandler), // the platform logs itself what it does
		lifecycle.Component{Name: "home", Stop: func(context.Context) error { h.Close(); return nil }},
		all,
		lifecycle.Component{Name: "ready", After: []string{all.Name}, Start: func(context.Context) error {
			return welcome(out, platform.Gateway.Address(), admin, time.Since(begun))
		}},
	)
	return group, err
}

// notify says which settings are not followed.
func notify(out io.Writer, admin home.Admin) error {
	for _, notice := range admin.Notices {
		if _, err := fmt.Fprintln(out, notice+"."); err != nil {
			return err
		}
	}
	return nil
}

func welcome(out io.Writer, address string, admin home.Admin, took time.Duration) error {
	if err := notify(out, admin); err != nil {
		return err
	}
	password := "in " + admin.PasswordFile
	if admin.MadeUp != "" {
		password = admin.MadeUp + " (shown this once; kept " + password + ")"
	}
	_, err := fmt.Fprintf(out, "Ready after %s, all in one process.\n\n  gateway   http://%s\n  sign in   %s\n  password  %s\n\nCtrl-C stops it.\n",
		took.Round(time.Millisecond), address, admin.Email, password)
	return err
}
