// Package ashlartest runs the whole platform in a test: the core services, the gateway, and the modules under test, in one
// process, each on a database of its own, with real requests, tokens, permissions and audit events. Platforms share
// nothing, so tests that each start one may run in parallel.
package ashlartest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"ashlar.dev/allinone"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/gateway"
	"ashlar.dev/kernel/balance"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/service"
	"ashlar.dev/services/audit"
	"ashlar.dev/services/auth"
	"ashlar.dev/services/auth/authtest"
	"ashlar.dev/services/authz"
	"ashlar.dev/services/identity"
)

// patience bounds what should take milliseconds, also on a machine that has much else to do.
const patience = 2 * time.Minute

const adminEmail = "admin@ashlar.test"

// Platform is a platform that runs until the test ends. Its methods may be called from any goroutine that may fail the test
// that they are given.
type Platform struct {
	all      *allinone.Platform
	http     *http.Client
	password config.Secret

	admin struct {
		sync.Mutex
		person *Person
	}
}

// Options say how a platform runs. The zero value is what Start does.
type Options struct {
	// Postgres has the services use PostgreSQL, one database each, in place of SQLite files. Without PostgreSQL on the
	// machine the test is skipped, or fails where CI=true.
	Postgres bool
	// Verbose has the platform log what it does, and not only warnings.
	Verbose bool
}

// Start starts a platform with modules beside the core services, and returns when all are ready. Warnings go to the test's
// log. When the test ends, everything is stopped.
func Start(t testing.TB, modules ...service.Module) *Platform {
	t.Helper()
	return StartWith(t, Options{}, modules...)
}

// StartWith is Start with options.
func StartWith(t testing.TB, options Options, modules ...service.Module) *Platform {
	t.Helper()
	p := &Platform{password: config.Secret(rand.Text())}
	// It speaks HTTP/2, so that streams in both directions work, too.
	base := balance.DefaultBase()
	p.http = &http.Client{Transport: base}
	level := slog.LevelWarn
	if options.Verbose {
		level = slog.LevelInfo
	}
	var err error
	p.all, err = allinone.New(t.Context(), allinone.Config{
		Key: workload.NewClusterKey(), Database: databases(t, options, modules), Log: t.Output(),
		AdminEmail: adminEmail, AdminPassword: p.password, Auth: authtest.Module,
		Fail: func(component string, err error) { t.Errorf("%s: %v", component, err) },
		Gateway: gateway.Config{Addr: "127.0.0.1:0", Config: service.Config{
			Config:            telemetry.Config{LogLevel: level, LogFormat: "text"},
			DependencyTimeout: patience, MigrationTimeout: patience,
			DrainTime: time.Nanosecond, // nobody is left who could come too late
		}},
	}, modules...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.all.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		base.CloseIdleConnections() // a gateway that stops would give them some time
		if err := p.all.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// databases makes one for each service.
func databases(t testing.TB, options Options, modules []service.Module) func(string) config.Secret {
	t.Helper()
	made := map[string]config.Secret{}
	core := []service.Module{authz.Module(), audit.Module(audit.Config{}), identity.Module(), auth.Module(auth.Config{})}
	for _, m := range append(core, modules...) {
		if options.Postgres {
			made[m.Manifest().Name] = dbtest.PostgresURL(t)
		} else {
			made[m.Manifest().Name] = dbtest.MigratedSQLiteURL(t, m.Migrations())
		}
	}
	return func(name string) config.Secret { return made[name] }
}

// URL is where the gateway is, for requests that no generated client makes.
func (p *Platform) URL() string { return "http://" + p.all.Gateway.Address() }

// Anonymous returns a client, for generated constructors, of somebody who has not signed in. It calls through the gateway.
func (p *Platform) Anonymous() *connect.Client { return p.client() }

func (p *Platform) client(interceptors ...connect.ClientInterceptor) *connect.Client {
	return connect.NewClient(connecthttp.NewTransport(p.http, p.URL()), interceptors...)
}

// direct returns a client of one service that passes by the gateway, and with it by its rate limits: what prepares a test
// is not what it tests. A token may be empty.
func (p *Platform) direct(target, token string) *connect.Client {
	transport := p.all.Environment.Hub.Transport(target)
	if token == "" {
		return connect.NewClient(transport)
	}
	return connect.NewClient(transport, bearer(token))
}

func bearer(token string) connect.ClientInterceptor {
	return rpc.SendHeader("Authorization", "Bearer "+token)
}
