package scaffold

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

// Commands are the commands of this package.
type Commands struct {
	New New `cmd:"" help:"Write something new into the repository."`
}

// New is the group of commands that write source code.
type New struct {
	Service ServiceCommand `cmd:"" help:"Write a service: schema, handlers, tables, migrations, tests."`
}

// ServiceCommand is `platformctl new service`.
type ServiceCommand struct {
	Name        string `arg:"" help:"Name of the service: lower-case letters and digits, such as orders."`
	Resource    string `required:"" help:"What it manages, in the singular: order, purchase_order." placeholder:"RESOURCE"`
	Plural      string `help:"The plural of the resource, where English makes it in a way of its own." placeholder:"PLURAL"`
	Domain      string `help:"What the schema's package begins with: DOMAIN.NAME.v1; acme where not set." xor:"package" placeholder:"DOMAIN"`
	Package     string `help:"The schema's package as a whole, instead of --domain." xor:"package" placeholder:"PACKAGE"`
	Description string `help:"What the service is for, in one line." placeholder:"TEXT"`
	Root        string `help:"Folder of the repository." default:"." placeholder:"DIR"`
}

// Help says more in `platformctl new service --help`.
func (*ServiceCommand) Help() string {
	return `It writes a complete service that creates, gets, lists, updates and deletes one kind of resource, each belonging to an
organization: permission-checked, validated, paged, audited, with tests. Begin there and change it into what you need.

  platformctl new service orders --resource order && ./taskw gen && ./taskw up

Either everything is written or nothing. It needs no network and runs nothing; generated code is made by ./taskw gen.`
}

// Run writes the service.
func (c *ServiceCommand) Run(ctx context.Context, streams *output.Streams) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	n := newNames(*c, time.Now().UTC().Format("20060102150405"))
	if c.Domain != "" && !domainForm.MatchString(c.Domain) {
		return exit.With(exit.Usage, fmt.Errorf("--domain=%q: write a lower-case word, such as acme%s", c.Domain, suggest(c.Domain)))
	}
	if err := n.check(); err != nil {
		return err
	}
	if err := checkRoot(c.Root); err != nil {
		return err
	}
	if err := n.checkFree(c.Root); err != nil {
		return err
	}
	fresh, err := render(n)
	if err != nil {
		return err
	}
	module, err := n.moduleFiles(c.Root, fresh)
	if err != nil {
		return err
	}
	maps.Copy(fresh, module)
	changed, err := n.lists(c.Root)
	if err != nil {
		return err
	}
	if err := write(ctx, c.Root, []string{n.ProtoFolder(), n.ServiceFolder(), n.throughGateway()}, fresh, changed); err != nil {
		if ctx.Err() != nil {
			return exit.With(exit.Interrupted, errors.New("interrupted; nothing was written"))
		}
		return err
	}
	tell(streams.Out, n, fresh, changed)
	return nil
}

func tell(out io.Writer, n names, fresh, changed files) {
	for _, name := range slices.Sorted(maps.Keys(fresh)) {
		fmt.Fprintf(out, "wrote   %s\n", name)
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		fmt.Fprintf(out, "changed %s\n", name)
	}
	fmt.Fprintf(out, `
Next:
  ./taskw gen    generates the code of its schema and its tables
  ./taskw up     runs it with the others; stop what runs first
  go test ./%[1]s/... ./dev

The gateway then serves %[2]s.%[3]sService to whoever holds the role %[4]s.editor or %[4]s.viewer
in an organization. Where to go on: docs/new-service.md.
`, n.ServiceFolder(), n.ProtoPackage, n.Pascal(), n.Service)
}
