package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"ashlar.dev/platform/home"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/workspace"
)

// Up is the command that runs a platform.
type Up struct {
	Settings

	Detach bool `short:"d" help:"Go to the background when everything is ready; platformctl down ends it."`

	Only       []string `hidden:"" help:"Start these services only, and what they need."`
	Background bool     `hidden:"" help:"This is the process that goes on in the background."`
}

// Settings are what a platform is started with.
type Settings struct {
	HomeFlag
	workspace.Flag

	NoRestart    bool          `help:"Leave a process that has died down, instead of starting it again after 1s, 2s, 4s … 30s."`
	Bin          string        `help:"Folder of the platform's programs; where not set, the one of platformctl (${env})." env:"ASHLAR_BIN" placeholder:"DIR"`
	ConsulAddr   string        `help:"Address of a Consul agent to use; where not set, one is started (${env})." env:"ASHLAR_CONSUL_ADDR,CONSUL_HTTP_ADDR" placeholder:"HOST:PORT"`
	GatewayAddr  string        `help:"Address of the gateway; 127.0.0.1:8080 where not set, port 0 takes a free one (${env})." env:"ASHLAR_GATEWAY_ADDR" default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Databases    string        `help:"Folder with a file DIR/<service>.dsn for each service, with the address of its database; platformctl db provision writes it. Where not set, SQLite in the home folder (${env})." env:"ASHLAR_DATABASES" placeholder:"DIR"`
	AdminEmail   string        `help:"The first administrator, decided by the first run (${env}); admin@ashlar.dev where not set." env:"ASHLAR_ADMIN_EMAIL" placeholder:"EMAIL"`
	ReadyTimeout time.Duration `help:"How long everything may take to be ready." default:"2m"`
	StopTimeout  time.Duration `help:"How long each process may take to stop before it is killed." default:"30s"`
}

// Help implements kong.HelpProvider.
func (*Up) Help() string {
	return `Everything that is kept is in the home folder: SQLite databases, the cluster key, the first administrator's
password, and the log of each process in logs/. A second run goes on where the first one ended.

ASHLAR_ADMIN_PASSWORD sets the first administrator's password on the first run; otherwise one is made up and shown once.
--databases runs all services on PostgreSQL: platformctl db provision makes what they need there. ASHLAR_<SERVICE>_DATABASE_URL
(ASHLAR_AUTH_DATABASE_URL, …) names another database for one service, such as postgres://user:password@host/name. Other variables are passed on to all processes, such as ASHLAR_LOG_LEVEL,
ASHLAR_DEPENDENCY_TIMEOUT and OTEL_EXPORTER_OTLP_ENDPOINT.

Ctrl-C stops everything in order; a second Ctrl-C kills it.`
}

// Run implements the command. It returns when everything has stopped, or, in the background, is ready.
func (u *Up) Run(ctx context.Context, streams *output.Streams) error {
	inherited := parseEnviron(os.Environ())
	w, err := u.Open()
	if err != nil {
		return err
	}
	list, err := programs(w)
	if err != nil {
		return err
	}
	if err := checkEnviron(inherited, list); err != nil {
		return err
	}
	databases, err := databasesFolder(u.Databases, inherited, list)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	wanted, err := needed(list, u.Only)
	if err != nil {
		return exit.With(exit.NotFound, err)
	}
	if u.Detach {
		return u.detach(ctx, streams)
	}
	ctx, hurry, stop := interruptible(ctx)
	defer stop()

	h, err := home.Open(u.Home)
	if _, inUse := errors.AsType[home.InUseError](err); inUse {
		return exit.With(exit.InUse, err)
	}
	if err != nil {
		return err
	}
	defer h.Close()
	out := newConsole(streams.Out, inherited)
	announce := func() error { return nil }
	if u.Background {
		background, err := newBackground(h, out)
		if err != nil {
			return err
		}
		defer background.close()
		announce = background.ready
	}
	r := &session{
		Up: u, home: h, out: out, inherited: inherited, announce: announce, programs: list, wanted: wanted, databases: databases,
		supervisor: &supervisor{
			out: out, spawner: newSpawner(), restart: !u.NoRestart, patience: u.StopTimeout, hurry: hurry,
		},
	}
	defer r.supervisor.spawner.close()
	err = r.run(ctx)
	if err != nil && u.Background {
		out.onlyToLog() // the caller prints it for the person
		out.printf("%v", err)
	}
	return err
}

// session is one run of `up`.
type session struct {
	*Up

	home       *home.Home
	out        *console
	inherited  map[string]string
	programs   []program
	wanted     []string // names of those that are started
	databases  string   // absolute path of the folder with addresses of databases; empty: SQLite
	supervisor *supervisor
	announce   func() error // that everything is ready
	begun      time.Time
}

// run runs the platform until ctx ends.
func (r *session) run(ctx context.Context) error {
	r.begun = time.Now()
	bin, err := r.findPrograms()
	if err != nil {
		return err
	}
	if err := checkAddress(ctx, r.GatewayAddr); err != nil {
		return err
	}
	p, err := r.prepare(ctx, bin)
	if err == nil {
		err = p.run(ctx)
	}
	select {
	case <-r.supervisor.hurry:
		return exit.With(exit.Interrupted, errors.New("killed everything, as a second signal asked for"))
	default:
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return exit.With(exit.Interrupted, errors.New("interrupted before everything was ready"))
	}
	return err
}

// findPrograms returns the folder of the platform's programs. Those that are to be started must be there.
func (r *session) findPrograms() (string, error) {
	bin, err := ProgramsFolder(r.Bin)
	if err != nil {
		return "", err
	}
	for _, name := range r.wanted {
		if err := checkProgram(name, filepath.Join(bin, name)); err != nil {
			return "", err
		}
	}
	return bin, nil
}

// checkProgram makes sure that the program of a service is there.
func checkProgram(service, path string) error {
	if _, err := exec.LookPath(path); err != nil {
		return fmt.Errorf("the program of the service %s is missing: %w; `./taskw build` builds it, --bin names another folder", service, err)
	}
	return nil
}

// ProgramsFolder is the folder of the platform's programs: the named one, or that of platformctl.
func ProgramsFolder(named string) (string, error) {
	if named != "" {
		return filepath.Abs(named)
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the platform's programs: %w; name their folder with --bin", err)
	}
	return filepath.Dir(self), nil
}

// checkAddress finds out whether the gateway will be able to listen on an address.
func checkAddress(ctx context.Context, address string) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("the gateway cannot use its address: %w; name another one with ASHLAR_GATEWAY_ADDR, such as 127.0.0.1:8081", err)
	}
	return listener.Close()
}
