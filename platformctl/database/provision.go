package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ashlar.dev/kernel/config"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/local"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/provision"
	"ashlar.dev/platformctl/workspace"
)

const (
	adminVariable = "ASHLAR_ADMIN_DSN"
	// maxAddressBytes bounds an address on standard input.
	maxAddressBytes = 4096
)

// Provision is a command.
type Provision struct {
	output.Flag

	Workspace workspace.Flag `embed:""`

	DSN        config.Secret `name:"dsn" xor:"dsn" help:"Address of the administrator: postgres://user@host/database. A password belongs into ${env}, --dsn-file, or one of libpq's places (PGPASSFILE): others can see arguments." env:"ASHLAR_ADMIN_DSN" placeholder:"URL"`
	DSNFile    string        `name:"dsn-file" help:"File with that address, mode 0600; - is standard input." placeholder:"FILE"`
	Out        string        `help:"Folder for the services' addresses, made where it is missing (0700); platformctl up takes it as --databases (${env})." env:"ASHLAR_DATABASES" placeholder:"DIR"`
	RolePrefix string        `help:"What the names of roles begin with. Platforms that share a server need different ones." default:"ashlar" placeholder:"NAME"`
	DryRun     bool          `help:"Connect to nothing; print the SQL for an administrator to run. No password is in it."`
	Timeout    time.Duration `help:"How long it may take." default:"1m"`
}

// Help implements kong.HelpProvider.
func (*Provision) Help() string {
	return `Each service with a database.schema in its module.yaml gets a role and a schema in the database, and a file DIR/<service>.dsn
(0600) with its address. The server keeps them apart: no role can read or write what another one has. It can be run again: after a
crash, for a service that is new, or where a file was lost, which gives that service a new password.

The database must be there, and the platform's alone. The administrator owns it and has CREATEROLE, or is a superuser.

  platformctl db provision --dsn-file admin.dsn --out databases
  platformctl up --databases databases
  platformctl db provision --dsn postgres:///ashlar --dry-run | less`
}

// Run implements the command.
func (p *Provision) Run(ctx context.Context, streams *output.Streams) error {
	plan, err := p.plan()
	if err != nil {
		return err
	}
	address, err := p.address(streams)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	admin, err := provision.ParseAdmin(address)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	if p.DryRun {
		return p.print(streams.Out, admin, plan)
	}
	if p.Out == "" {
		return exit.With(exit.Usage, errors.New("--out is missing: it names the folder for the services' addresses"))
	}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	done, err := provision.Run(ctx, admin, plan)
	if err != nil {
		err = coded(err)
		if len(done) == 0 {
			return err
		}
	}
	return errors.Join(p.Show(streams.Out, outcomes(done)), err)
}

// plan is what the manifests of the workspace ask for.
func (p *Provision) plan() (provision.Plan, error) {
	w, err := p.Workspace.Open()
	if err != nil {
		return provision.Plan{}, err
	}
	folder := ""
	if p.Out != "" {
		if folder, err = filepath.Abs(p.Out); err != nil {
			return provision.Plan{}, err
		}
	}
	plan := provision.Plan{RolePrefix: p.RolePrefix}
	for _, s := range w.Services {
		if s.Manifest.Database.Schema != "" {
			plan.Services = append(plan.Services, provision.Service{
				Name: s.Name, Schema: s.Manifest.Database.Schema, File: local.DatabaseFile(folder, s.Name),
			})
		}
	}
	return plan, nil
}

// address is the administrator's.
func (p *Provision) address(streams *output.Streams) (config.Secret, error) {
	switch {
	case p.DSNFile == "-":
		text, err := io.ReadAll(io.LimitReader(streams.In, maxAddressBytes))
		return config.Secret(strings.TrimSpace(string(text))), err
	case p.DSNFile != "":
		address, err := config.ReadSecretFile(p.DSNFile)
		if err != nil {
			return "", fmt.Errorf("the administrator's address: %w", err)
		}
		return address, nil
	case p.DSN == "":
		return "", errors.New("the administrator's address is missing: " + adminVariable + ", --dsn-file, or --dsn without a password")
	case p.DSN.Reveal() != os.Getenv(adminVariable) && provision.HasPassword(p.DSN):
		fmt.Fprintln(streams.Err, "platformctl: everybody on this machine can read the password in --dsn: change it, and use "+adminVariable+" or --dsn-file")
	}
	return p.DSN, nil
}

// print prints what an administrator has to do.
func (p *Provision) print(out io.Writer, admin *provision.Admin, plan provision.Plan) error {
	script, err := plan.SQL(admin.Database())
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	var text strings.Builder
	text.WriteString(script)
	text.WriteString("\n-- Then each role gets a password. psql's \\password sends no more of it than the server has to keep. And each service\n" +
		"-- gets a file with its address, mode 0600, in the folder that platformctl up --databases names.\n")
	for _, s := range plan.Services {
		fmt.Fprintf(&text, "--   \\password %s\n--   %s: %s\n", plan.Role(s.Name), filepath.Base(s.File), admin.Example(plan.Role(s.Name)))
	}
	_, err = io.WriteString(out, text.String())
	return err
}

// coded gives an error its exit code.
func coded(err error) error {
	if _, conflict := errors.AsType[provision.ConflictError](err); conflict {
		return exit.With(exit.Conflict, err)
	}
	if _, away := errors.AsType[provision.UnreachableError](err); away || errors.Is(err, context.DeadlineExceeded) {
		return exit.With(exit.Unavailable, err)
	}
	return err
}

// outcomes are what there is for several services.
type outcomes []provision.Outcome

// Table implements output.Tabular.
func (o outcomes) Table() output.Table {
	t := output.Table{Header: []string{"SERVICE", "ROLE", "SCHEMA", "MADE", "KEPT", "FILE"}}
	for _, each := range o {
		t.Rows = append(t.Rows, []string{
			each.Service, each.Role, each.Schema, strings.Join(each.Made, ", "), strings.Join(each.Kept, ", "), each.File,
		})
	}
	return t
}
