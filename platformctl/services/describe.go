package services

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/gen/go/ashlar/kernel/v1/kernelv1connect"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/balance"
	"ashlar.dev/kernel/nearest"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/peer"
)

// Describe is the command that shows one service.
type Describe struct {
	Where
	output.Flag

	Name string `arg:"" predictor:"service" help:"Name of the service." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (*Describe) Help() string {
	return `The service itself is asked, by an RPC that only services of the platform may call. So this takes the cluster key: that of
the home folder, or the one that --cluster-key-file names.

  platformctl services describe identity`
}

// Description is what a service says of itself, and where it runs. Names in JSON stay.
type Description struct {
	Service

	Text        string       `json:"description"`
	RPCs        []RPC        `json:"rpcs"`
	Permissions []Permission `json:"permissions"`
	Roles       []Role       `json:"roles"`
	Gateway     Gateway      `json:"gateway"`
}

// RPC is one RPC of a service.
type RPC struct {
	// Procedure is package.Service/Method.
	Procedure string `json:"procedure"`
	// Access is public, authenticated, permission or internal.
	Access string `json:"access"`
	// Permission is what the caller must hold, with access permission.
	Permission string `json:"permission,omitempty"`
	// Streaming is unary, client, server or bidirectional.
	Streaming string `json:"streaming"`
	// Idempotency is "", no side effects, or idempotent.
	Idempotency string `json:"idempotency,omitempty"`
}

// Permission is something that a caller may be allowed to do.
type Permission struct {
	ID          string `json:"id"`
	Description string `json:"description"`
}

// Role is a set of permissions that the service brings.
type Role struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Permissions []string `json:"permissions"`
}

// Gateway is how the gateway treats requests for the service.
type Gateway struct {
	Expose  bool              `json:"expose"`
	Timeout string            `json:"timeout,omitempty"`
	Limit   string            `json:"limit,omitempty"`
	Aliases map[string]string `json:"aliases,omitempty"`
	// Procedures has what is particular to single procedures (/package.Service/Method).
	Procedures map[string]ProcedureGateway `json:"procedures,omitempty"`
}

// ProcedureGateway is how the gateway treats requests for one procedure.
type ProcedureGateway struct {
	Timeout string `json:"timeout,omitempty"`
	Limit   string `json:"limit,omitempty"`
	// Priority is low, normal or high; "" where the manifest says nothing.
	Priority string `json:"priority,omitempty"`
	// HedgeAfter is after how long a silence a second instance is asked, too.
	HedgeAfter string `json:"hedgeAfter,omitempty"`
	// StreamLimit is what each side of a stream may send; "" where the manifest says nothing.
	StreamLimit string `json:"streamLimit,omitempty"`
}

// Run implements the command.
func (d *Describe) Run(ctx context.Context, streams *output.Streams) error {
	p, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	seen, err := p.overview(ctx)
	if err != nil {
		return err
	}
	var names []string
	description := Description{RPCs: []RPC{}, Permissions: []Permission{}, Roles: []Role{}}
	for _, s := range collect(seen, p.units, time.Now()) {
		names = append(names, s.Name)
		if s.Name == d.Name {
			description.Service = s
		}
	}
	switch {
	case description.Name == "":
		return exit.With(exit.NotFound, unknown(d.Name, names))
	case description.Healthy == 0:
		return exit.With(exit.Unavailable, fmt.Errorf("%s is %s: no instance of it can answer", d.Name, description.State))
	case p.key == nil:
		return exit.With(exit.Denied, fmt.Errorf("%s tells only other services what it serves: name the platform's cluster key with --cluster-key-file or ASHLAR_CLUSTER_KEY_FILE", d.Name))
	}
	answer, err := p.manifest(ctx, d.Name)
	switch {
	case connect.CodeOf(err) == connect.CodeUnimplemented:
		description.Text = "It has no manifest."
	case err != nil:
		return exit.With(exit.Unavailable, fmt.Errorf("ask %s what it serves: %w", d.Name, err))
	default:
		if err := description.read(answer); err != nil {
			return fmt.Errorf("what %s says of itself: %w", d.Name, err)
		}
	}
	if d.Output == "table" || d.Output == "" {
		return description.write(streams.Out)
	}
	return d.Show(streams.Out, &description)
}

// unknown says that there is no service of a name.
func unknown(name string, names []string) error {
	if near := nearest.To(name, names...); near != "" {
		return fmt.Errorf("there is no service %s; did you mean %s?", name, near)
	}
	return fmt.Errorf("there is no service %s; there are: %s", name, strings.Join(names, ", "))
}

// manifest asks a service for its manifest.
func (p *platform) manifest(ctx context.Context, service string) (*kernelv1.GetManifestResponse, error) {
	base := balance.DefaultBase()
	defer base.CloseIdleConnections()
	peers, err := peer.New(ctx, *p.key, balance.New(p.registry, base))
	if err != nil {
		return nil, err
	}
	defer peers.Close(ctx)
	return kernelv1connect.NewManifestServiceClient(peers.Client(service)).GetManifest(ctx, &kernelv1.GetManifestRequest{})
}

func (d *Description) read(answer *kernelv1.GetManifestResponse) error {
	m := answer.GetManifest()
	d.Text = m.GetDescription()
	d.DependsOn = append([]string{}, m.GetDependsOn()...)
	for _, p := range m.GetPermissions() {
		d.Permissions = append(d.Permissions, Permission{p.GetId(), p.GetDescription()})
	}
	for _, r := range m.GetRoles() {
		d.Roles = append(d.Roles, Role{r.GetName(), r.GetDescription(), r.GetPermissions()})
	}
	d.Gateway = gatewayOf(m.GetGateway())
	if answer.GetDescriptors() == nil {
		return errors.New("it has no schemas")
	}
	files, err := protodesc.NewFiles(answer.GetDescriptors())
	if err != nil {
		return err
	}
	for _, name := range m.GetServices() {
		found, err := files.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return fmt.Errorf("the schema of %s: %w", name, err)
		}
		service, ok := found.(protoreflect.ServiceDescriptor)
		if !ok {
			return fmt.Errorf("%s is no RPC service", name)
		}
		for i := range service.Methods().Len() {
			rpc, err := describe(service.Methods().Get(i))
			if err != nil {
				return err
			}
			d.RPCs = append(d.RPCs, rpc)
		}
	}
	return nil
}

func gatewayOf(policy *kernelv1.GatewayPolicy) Gateway {
	g := Gateway{
		Expose: policy.GetExpose(), Timeout: timeoutOf(policy.GetTimeout()), Limit: limitOf(policy.GetRateLimit()), Aliases: policy.GetAliases(),
	}
	for name, p := range policy.GetProcedures() {
		if g.Procedures == nil {
			g.Procedures = map[string]ProcedureGateway{}
		}
		of := ProcedureGateway{Timeout: timeoutOf(p.GetTimeout()), Limit: limitOf(p.GetRateLimit()), HedgeAfter: timeoutOf(p.GetHedgeAfter()), StreamLimit: streamLimitOf(p.GetStreamLimit())}
		if p.GetPriority() != kernelv1.Priority_PRIORITY_UNSPECIFIED {
			of.Priority = strings.ToLower(strings.TrimPrefix(p.GetPriority().String(), "PRIORITY_"))
		}
		g.Procedures[name] = of
	}
	return g
}

func timeoutOf(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return d.AsDuration().String()
}

func limitOf(l *kernelv1.RateLimit) string {
	if l == nil {
		return ""
	}
	return fmt.Sprintf("%d requests per %s and caller, %d at once", l.GetRequests(), l.GetPer().AsDuration(), l.GetBurst())
}

func streamLimitOf(l *kernelv1.StreamLimit) string {
	if l == nil {
		return ""
	}
	var parts []string
	for _, of := range []struct {
		most *uint64
		what string
	}{{l.Messages, "messages"}, {l.Bytes, "bytes"}} { //nolint:protogetter // not set is not 0
		switch {
		case of.most == nil:
		case *of.most == 0:
			parts = append(parts, "any number of "+of.what)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", *of.most, of.what))
		}
	}
	return strings.Join(parts, ", ") + " from each side"
}

func describe(method protoreflect.MethodDescriptor) (RPC, error) {
	rule, err := access.RuleOf(method)
	if err != nil {
		return RPC{}, err
	}
	rpc := RPC{
		Procedure: string(method.Parent().FullName()) + "/" + string(method.Name()),
		Access:    rule.Kind.String(), Permission: rule.Permission,
	}
	switch {
	case method.IsStreamingClient() && method.IsStreamingServer():
		rpc.Streaming = "bidirectional"
	case method.IsStreamingClient():
		rpc.Streaming = "client"
	case method.IsStreamingServer():
		rpc.Streaming = "server"
	default:
		rpc.Streaming = "unary"
	}
	options, ok := method.Options().(*descriptorpb.MethodOptions)
	if !ok {
		return RPC{}, errors.New("no method options")
	}
	switch options.GetIdempotencyLevel() {
	case descriptorpb.MethodOptions_NO_SIDE_EFFECTS:
		rpc.Idempotency = "no side effects"
	case descriptorpb.MethodOptions_IDEMPOTENT:
		rpc.Idempotency = "idempotent"
	case descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN:
	}
	return rpc, nil
}

// Table implements output.Tabular; people get more than one table.
func (d *Description) Table() output.Table { return d.rpcs() }

// section is a part of what people see.
type section struct {
	title string
	table output.Table
}

// write shows the service to a person.
func (d *Description) write(out io.Writer) error {
	facts := output.Table{Header: []string{"SERVICE", d.Name}, Rows: [][]string{
		{"Description", d.Text}, {"Version", strings.Join(d.Versions, ", ")}, {"State", fmt.Sprintf("%s, %d of %d instances are healthy", d.State, d.Healthy, len(d.Instances))},
		{"Depends on", strings.Join(d.DependsOn, ", ")}, {"Through the gateway", d.exposure()},
	}}
	sections := []section{
		{"", facts}, {"RPCs", d.rpcs()}, {"RPCs of which the gateway is told more", d.policies()}, {"Permissions", d.permissions()}, {"Roles", d.roles()},
		{"Instances", instanceList{[]Service{d.Service}, ""}.Table()},
	}
	for _, s := range sections {
		if len(s.table.Rows) == 0 {
			continue
		}
		if s.title != "" {
			fmt.Fprintf(out, "\n%s\n", s.title)
		}
		if err := (output.Flag{}).Show(out, table(s.table)); err != nil {
			return err
		}
	}
	return nil
}

// table is a table and nothing else.
type table output.Table

// Table implements output.Tabular.
func (t table) Table() output.Table { return output.Table(t) }

func (d *Description) exposure() string {
	if !d.Gateway.Expose {
		return "no"
	}
	return strings.Join(append([]string{"yes"}, bounds(d.Gateway.Timeout, d.Gateway.Limit)...), "; ")
}

// bounds says how long a call may take and how many a caller may make.
func bounds(timeout string, limits ...string) []string {
	var said []string
	if timeout != "" {
		said = append(said, "at most "+timeout)
	}
	for _, limit := range limits {
		if limit != "" {
			said = append(said, limit)
		}
	}
	return said
}

// policies shows what is particular to single procedures at the gateway.
func (d *Description) policies() output.Table {
	t := output.Table{Header: []string{"RPC", "PRIORITY", "BOUNDS"}}
	for _, name := range slices.Sorted(maps.Keys(d.Gateway.Procedures)) {
		p := d.Gateway.Procedures[name]
		t.Rows = append(t.Rows, []string{strings.TrimPrefix(name, "/"), cmp.Or(p.Priority, "normal"), strings.Join(bounds(p.Timeout, p.Limit, p.StreamLimit), "; ")})
	}
	return t
}

func (d *Description) rpcs() output.Table {
	t := output.Table{Header: []string{"RPC", "ACCESS", "STREAMING", "IDEMPOTENCY"}}
	for _, r := range d.RPCs {
		rule := r.Access
		if r.Permission != "" {
			rule = r.Permission
		}
		t.Rows = append(t.Rows, []string{r.Procedure, rule, r.Streaming, r.Idempotency})
	}
	return t
}

func (d *Description) permissions() output.Table {
	t := output.Table{Header: []string{"ID", "DESCRIPTION"}}
	for _, p := range d.Permissions {
		t.Rows = append(t.Rows, []string{p.ID, p.Description})
	}
	return t
}

func (d *Description) roles() output.Table {
	t := output.Table{Header: []string{"NAME", "DESCRIPTION", "PERMISSIONS"}}
	for _, r := range d.Roles {
		t.Rows = append(t.Rows, []string{r.Name, r.Description, strings.Join(r.Permissions, ", ")})
	}
	return t
}
