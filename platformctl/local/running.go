package local

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/freeport"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/home"
)

const (
	quietFor      = time.Second // before a process that is not ready yet is worth a line
	waitsInterval = 250 * time.Millisecond
)

// running is a platform that runs: its processes, and what they share.
type running struct {
	*session

	agent    *unit // nil: the agent is not ours
	services []*unit
	registry *consul.Registry
	admin    home.Admin
	key      workload.ClusterKey
}

// prepare makes what all processes need: keys, the administrator, Consul. It starts Consul, which run stops.
func (r *session) prepare(ctx context.Context, bin string) (*running, error) {
	keyFile, key, err := r.home.ClusterKey()
	if err != nil {
		return nil, err
	}
	p := &running{session: r, key: key}
	p.admin, err = r.home.Admin(r.AdminEmail, r.inherited["ASHLAR_ADMIN_PASSWORD"])
	if err != nil {
		return nil, err
	}
	p.notices() // at once: what is not followed may be why a start fails
	names := []string{consulName}
	for _, program := range r.programs {
		names = append(names, program.name)
	}
	for _, name := range names {
		if err := rotate(logFile(r.home, name)); err != nil {
			return nil, err
		}
	}

	address := r.ConsulAddr
	if address != "" {
		p.registry, err = findAgent(ctx, address)
	} else {
		var binary string
		if binary, err = findConsul(bin); err != nil {
			return nil, err
		}
		p.agent, p.registry, err = startAgent(ctx, r.supervisor, binary, os.Environ(), logFile(r.home, consulName))
	}
	if err != nil {
		return nil, err
	}
	if p.agent != nil {
		address = p.agent.row().address
	}

	env := &environment{
		inherited: r.inherited, consulAddr: address, gatewayAddr: r.GatewayAddr, clusterKey: keyFile, admin: p.admin, home: r.home,
		databases: r.databases,
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, program := range r.programs {
		p.services = append(p.services, newUnit(program.name, logFile(r.home, program.name), &service{
			program: program, binary: filepath.Join(bin, program.name), env: env, registry: p.registry, client: client,
		}, program.dependsOn...))
		if err := home.WriteFile(r.home.Path("env", program.name), env.script(program)); err != nil {
			return nil, errors.Join(err, p.stop(ctx))
		}
	}
	return p, nil
}

// run starts the services that are wanted, and stops everything when ctx has ended or one of them has not started.
func (p *running) run(ctx context.Context) error {
	control, err := newControl(ctx, p)
	if err != nil {
		return errors.Join(err, p.stop(ctx))
	}
	err = p.start(ctx)
	if err == nil {
		control.open()
		p.welcome()
		err = p.announce()
	}
	if err == nil {
		p.keep(ctx)
		p.out.printf("")
		p.out.printf("Stopping.")
	}
	return errors.Join(err, control.close(ctx), p.stop(ctx))
}

// start starts the services that are wanted and waits until they are ready.
func (p *running) start(ctx context.Context) error {
	if p.agent == nil {
		p.out.eventf(consulName, "used at %s", p.consulAddress())
	} else {
		p.out.eventf(consulName, "%s in %s", p.out.paint(green, "ready"), seconds(p.agent.row().took))
	}
	_, err := p.raise(ctx, p.units(p.wanted))
	return err
}

// units returns those units that are among names, in the order of their start.
func (p *running) units(names []string) []*unit {
	return slices.DeleteFunc(slices.Clone(p.services), func(u *unit) bool { return !slices.Contains(names, u.name) })
}

// gateway is the unit where callers come in.
func (p *running) gateway() *unit { return p.services[len(p.services)-1] }

// keep keeps everything running until ctx ends.
func (p *running) keep(ctx context.Context) {
	units := p.services
	if p.agent != nil {
		units = append([]*unit{p.agent}, units...)
	}
	var keepers sync.WaitGroup
	for _, u := range units {
		keepers.Go(func() { p.supervisor.keep(ctx, u) })
	}
	<-ctx.Done()
	keepers.Wait()
}

// stop stops everything, Consul last, however ctx stands.
func (p *running) stop(ctx context.Context) error {
	err := p.supervisor.stopAll(ctx, p.services)
	if p.agent != nil {
		return errors.Join(err, p.registry.Close(), p.supervisor.stop(ctx, p.agent, p.agent.process()))
	}
	// A process that died while it was registering may have got into Consul after it was taken out.
	for _, u := range p.services {
		if process := u.process(); process != nil && !process.instance.orderly(process) {
			p.supervisor.clearUp(ctx, process)
		}
	}
	return errors.Join(err, p.registry.Close())
}

// welcome says what runs, and how to use it.
func (p *running) welcome() {
	consul := row{process: consulName, state: "ready", address: p.consulAddress()}
	if p.agent != nil {
		consul = p.agent.row()
	}
	rows := []row{consul}
	for _, u := range p.units(p.wanted) {
		rows = append(rows, u.row())
	}
	p.out.printf("")
	p.out.table(rows)
	p.out.printf("\nReady in %s. Everything that is kept is in %s, logs are in %s.", seconds(time.Since(p.begun)), p.home.Show(), p.home.Show("logs"))
	if consul.address != freeport.Address(consulPort) {
		p.out.printf("Consul is not at its usual address: consul catalog services -http-addr=%s", consul.address)
	}
	p.notices()

	gateway := "http://" + rows[len(rows)-1].address
	passwordFile := p.home.Show("admin-password")
	p.out.printf("\n  Gateway   %s", gateway)
	p.out.printf("  Log in    %s, with the password in %s", p.admin.Email, passwordFile)
	if p.admin.MadeUp != "" {
		p.out.secretf("  Password  %s (shown this once)", p.admin.MadeUp)
	}
	p.out.printf("\n  printf '{\"email\":\"%s\",\"password\":\"%%s\"}' \"$(cat %s)\" |\n    curl -s %s/ashlar.auth.v1.AuthService/Login -H 'Content-Type: application/json' -d @-\n",
		strings.ReplaceAll(p.admin.Email, "'", `'\''`), quote(passwordFile), gateway)
	if p.Background {
		p.out.printf("It goes on in the background; `platformctl down` stops it.")
	} else {
		p.out.printf("Ctrl-C stops everything.")
	}
}

// notices says which settings are not followed.
func (p *running) notices() {
	for _, notice := range p.admin.Notices {
		p.out.printf("%s", p.out.paint(yellow, notice+"."))
	}
}

// consulAddress is where Consul's HTTP API is.
func (p *running) consulAddress() string {
	if p.agent != nil {
		return p.agent.row().address
	}
	return p.ConsulAddr
}
