package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"google.golang.org/protobuf/reflect/protoregistry"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/ent/outbox"
	"ashlar.dev/gen/go/ashlar/kernel/v1/kernelv1connect"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/id"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/manifest"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/keys"
	"ashlar.dev/platform/policy"
	"ashlar.dev/platform/trail"
)

// outboxBatch is how many events are delivered at once.
const outboxBatch = 100

// Service is one service, put together and not yet started.
type Service struct {
	cfg        Config
	module     Module
	manifest   *manifest.Manifest
	env        *Environment
	instance   string
	status     *health.Status
	telemetry  *telemetry.Telemetry
	log        *slog.Logger
	db         *database.Database
	watch      *databaseWatch
	relay      *outbox.Relay
	policy     *policy.Client
	parts      *Parts
	server     *rpc.Server
	ops        *Ops
	components []lifecycle.Component
	// fail reports that the service cannot go on.
	fail func(component string, err error)
}

// New puts a service together: no I/O, no goroutines. fail is told when the running service cannot go on.
func New(ctx context.Context, cfg Config, module Module, env *Environment, t *telemetry.Telemetry, fail func(string, error)) (*Service, error) {
	s := &Service{
		cfg: cfg, module: module, env: env, fail: fail, manifest: module.Manifest(), instance: InstanceID(cfg, module.Manifest().Name),
		status: health.NewStatus(), telemetry: t, log: t.Log,
	}
	if err := s.build(ctx); err != nil {
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
		return nil, fmt.Errorf("%s: %w", s.Name(), err)
	}
	return s, nil
}

// InstanceID returns the id of this instance of a service: the configured one, or one made up.
func InstanceID(cfg Config, service string) string {
	if cfg.InstanceID != "" {
		return cfg.InstanceID
	}
	return id.New(id.Kind(service))
}

func (s *Service) build(context.Context) error {
	name := s.manifest.Name
	clients, err := s.env.Clients(name, s.telemetry)
	if err != nil {
		return err
	}
	address, err := s.cfg.Database()
	if err != nil {
		return err
	}
	s.db, err = database.New(address, database.Observe(database.Observation{
		Log: s.log, SlowQuery: s.cfg.SlowQuery, Metrics: s.telemetry.Metrics, Traces: s.telemetry.Exporting(),
	}))
	if err != nil {
		return err
	}
	s.watch = newDatabaseWatch(s.db.Up, s.status, s.log, s.telemetry.Metrics)
	box := outbox.New(s.db, s.log, s.telemetry.Metrics)
	s.relay = outbox.NewRelay(box, trail.NewSink(clients, s.log, s.telemetry.Metrics), outbox.Config{Batch: outboxBatch})
	record := trail.New(name, box, s.db, s.log, s.telemetry.Metrics)
	s.policy = policy.NewClient(clients)

	s.parts, err = s.module.Build(&Host{
		Manifest: s.manifest, Log: s.log, Metrics: s.telemetry.Metrics, Database: s.db,
		Trail: record, Clients: clients, Decider: s.policy, Key: s.env.Key,
	})
	if err != nil {
		return err
	}
	guards := rpc.Guards{
		Tokens: authn.NewVerifier(s.keys(clients)), Workloads: workload.NewTokens(name, s.env.Key),
		Decider: s.decider(), Denied: record.Denied, Unrecorded: record.Unrecorded,
		Unavailable: database.IsUnavailable, OutcomeUnknown: database.IsOutcomeUnknown,
	}
	s.server, err = rpc.NewServer(s.log, s.telemetry, guards, health.Rules())
	if err != nil {
		return err
	}
	s.parts.Register(s.server.RPC)
	kernelv1connect.RegisterManifestServiceHandler(s.server.RPC, newManifestHandler(s.manifest, protoregistry.GlobalFiles))
	s.status.Register(s.server.RPC, func(rpcService string) bool { return slices.Contains(s.manifest.Services, rpcService) })
	if err := s.server.Seal(); err != nil {
		return err
	}
	if err := served(s.server.RPC, s.manifest.Services); err != nil {
		return err
	}
	s.ops = NewOps(s.cfg, s.log, s.status, s.telemetry) //nolint:contextcheck // it goes on until Stop
	s.components = s.assemble()
	return nil
}

func (s *Service) keys(clients *rpc.Clients) authn.KeySource {
	if s.parts.Keys != nil {
		return s.parts.Keys
	}
	return keys.NewSource(clients, s.log)
}

func (s *Service) decider() access.Decider {
	if s.parts.Decider != nil {
		return s.parts.Decider
	}
	return s.policy
}

// Components returns what has to be started, in names that begin with the service's name and a slash.
func (s *Service) Components() []lifecycle.Component { return s.components }

// Close closes what a service has from the beginning, for those that build services and then do not start them. One that
// has stopped is left alone.
func (s *Service) Close() error { return s.db.Close() }

// Name returns the service's name.
func (s *Service) Name() string { return s.manifest.Name }

// Address is where the service serves RPCs; empty before it listens.
func (s *Service) Address() string { return s.server.Address() }

// assemble lists the components in a chain: each comes after the one before it, because each needs what the one before
// it made, and a drain is the same in reverse.
func (s *Service) assemble() []lifecycle.Component {
	chain := []lifecycle.Component{
		{Name: "telemetry", Stop: s.telemetry.Shutdown},
		// The pool is there from the beginning, so it has to be closed even if the database is never reached.
		{Name: "connections", Stop: func(context.Context) error { return s.db.Close() }},
		{Name: "ops", Start: s.ops.Start, Stop: s.ops.Stop},
		{Name: databaseOf, Start: s.startDatabase, Stop: s.watch.stop, StartTimeout: s.cfg.DependencyTimeout + s.cfg.MigrationTimeout},
		{Name: relay, Start: s.relay.Start, Stop: s.relay.Stop},
		{Name: dependenciesOf, Start: s.awaitDependencies, StartTimeout: s.cfg.DependencyTimeout + time.Second},
		s.registerModule(),
	}
	for _, c := range s.parts.Components {
		c.Name = "module/" + c.Name
		chain = append(chain, c)
	}
	chain = append(chain,
		lifecycle.Component{Name: "server", Start: s.serve, Stop: s.shutdown, StopTimeout: 10 * time.Second},
		s.membership().Component(),
	)
	return lifecycle.Chain(s.Name(), s.env.Components, chain)
}

func (s *Service) membership() *Membership {
	m := s.manifest
	return &Membership{
		Registrar: s.env.Registrar, Status: s.status, Log: s.log, Ops: s.ops,
		Instance: discovery.Instance{ID: s.instance, Service: m.Name, Version: m.Version}, Bound: s.server.Address,
		Zone: s.cfg.Zone, Weight: s.cfg.Weight, AdvertiseAddr: s.cfg.AdvertiseAddr, DependsOn: dependencies(m), DrainTime: s.cfg.DrainTime,
	}
}

// startDatabase opens the database, and watches it from then on.
func (s *Service) startDatabase(ctx context.Context) error {
	if err := s.openDatabase(ctx); err != nil {
		return err
	}
	s.watch.start() //nolint:contextcheck // it goes on after the start
	return nil
}

func (s *Service) openDatabase(ctx context.Context) error {
	s.status.Wait(databaseOf, "opening "+s.db.String())
	defer s.status.Wait(databaseOf, "")
	// A database that does not answer is not waited for as long as a migration may take.
	checking, cancel := context.WithTimeout(ctx, s.cfg.DependencyTimeout)
	defer cancel()
	if err := s.db.Check(checking); err != nil {
		return err
	}
	if s.cfg.Migrate == migrateVerify {
		return s.verifyDatabase(checking)
	}
	s.status.Wait(databaseOf, "migrating "+s.db.String())
	err := s.db.Explain(migrate.Apply(ctx, s.db, s.module.Migrations(), s.log))
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("migrations were not applied within %s: look at what holds up the database, or raise ASHLAR_MIGRATION_TIMEOUT: %w", s.cfg.MigrationTimeout, err)
	}
	return err
}

// verifyDatabase refuses a database that lacks migrations.
func (s *Service) verifyDatabase(ctx context.Context) error {
	err := migrate.Verify(ctx, s.db, s.module.Migrations())
	if errors.Is(err, migrate.ErrPending) {
		return fmt.Errorf("%w: run `%s db migrate` with the same ASHLAR_DATABASE_URL, or start with --migrate=apply", err, s.Name())
	}
	return err
}

func (s *Service) registerModule() lifecycle.Component {
	c := s.parts.RegisterModule
	if c.Start == nil {
		c.Start = func(ctx context.Context) error {
			s.status.Wait("permissions", "registering with "+policy.Service)
			defer s.status.Wait("permissions", "")
			return s.policy.Register(ctx, s.manifest, s.log)
		}
	}
	c.Name = "permissions"
	return c
}

func (s *Service) serve(ctx context.Context) error {
	if err := s.server.Listen(ctx, s.cfg.ListenAddr); err != nil {
		return err
	}
	go func() {
		if err := s.server.Serve(); err != nil {
			s.fail(s.Name()+"/server", err)
		}
	}()
	if s.env.Hub != nil {
		s.env.Hub.Add(s.Name(), s.server.RPC)
	}
	return nil
}

func (s *Service) shutdown(ctx context.Context) error {
	if s.env.Hub != nil {
		s.env.Hub.Remove(s.Name())
	}
	return s.server.Shutdown(ctx)
}

// Advertised is the address under which others reach what is bound to an address: at a host, if one is given, else at the
// same one, or at this machine's name where it is bound to all interfaces.
func Advertised(bound, host string) (string, error) {
	boundHost, port, err := net.SplitHostPort(bound)
	if err != nil {
		return "", fmt.Errorf("listen address: %w", err)
	}
	if host != "" {
		return net.JoinHostPort(host, port), nil
	}
	if ip := net.ParseIP(boundHost); ip != nil && ip.IsUnspecified() {
		name, err := os.Hostname()
		if err != nil {
			return "", fmt.Errorf("set ASHLAR_ADVERTISE_ADDR: this machine's name is unknown: %w", err)
		}
		return net.JoinHostPort(name, port), nil
	}
	return bound, nil
}
