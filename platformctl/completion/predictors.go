package completion

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/posener/complete"

	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	"ashlar.dev/gen/go/ashlar/authz/v1/authzv1connect"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/local"
	"ashlar.dev/platformctl/schema"
	"ashlar.dev/platformctl/workspace"
)

const (
	// patience is how long a person who pressed Tab is kept waiting.
	patience = time.Second
	// page is how many candidates are asked for.
	page = 200
)

// Predictors are what the tag predictor of an argument or flag can name.
func Predictors() map[string]complete.Predictor {
	return map[string]complete.Predictor{
		"rpc":     complete.PredictFunc(func(args complete.Args) []string { return named(remote(args, "rpcs", rpcs), args.Last) }),
		"org":     complete.PredictFunc(func(args complete.Args) []string { return remote(args, "orgs", orgs) }),
		"role":    complete.PredictFunc(func(args complete.Args) []string { return remote(args, "roles", roles) }),
		"profile": complete.PredictFunc(profiles),
		"service": complete.PredictFunc(services),
		"unit":    complete.PredictFunc(units),
	}
}

// services are those of the repository around.
func services(complete.Args) []string {
	w, err := workspace.Flag{}.Open()
	if err != nil {
		return nil
	}
	return w.Names()
}

// units are what can be started and stopped: the services, and the gateway.
func units(args complete.Args) []string {
	names := services(args)
	if names == nil {
		return nil
	}
	return append(names, local.GatewayName)
}

// flagsOf returns the flags that say whom to ask, as far as they stand on the line or in the environment.
func flagsOf(args complete.Args) (*client.Flags, error) {
	var line []string
	for i, word := range args.All {
		name, _, whole := strings.Cut(word, "=")
		if !slices.Contains([]string{"--profile", "--config-dir", "--gateway", "--insecure"}, name) {
			continue
		}
		line = append(line, word)
		if !whole && name != "--insecure" && i+1 < len(args.All) {
			line = append(line, args.All[i+1])
		}
	}
	flags := &client.Flags{}
	parser, err := kong.New(flags, kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}))
	if err != nil {
		return nil, err
	}
	_, err = parser.Parse(line)
	return flags, err
}

func profiles(args complete.Args) []string {
	flags, err := flagsOf(args)
	if err != nil {
		return nil
	}
	store, err := flags.Store()
	if err != nil {
		return nil
	}
	names, err := store.Names()
	if err != nil {
		return nil
	}
	return names
}

// remote asks the platform, unless the answer from a moment ago is there.
func remote(args complete.Args, kind string, ask func(context.Context, *client.Connection) ([]string, error)) []string {
	flags, err := flagsOf(args)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	connection, err := flags.ConnectProfile(ctx)
	if err != nil {
		return nil
	}
	defer connection.Close()
	memory := remembered(connection, kind)
	if names, ok := memory.read(); ok {
		return names
	}
	names, err := ask(ctx, connection)
	if err != nil {
		return nil
	}
	memory.write(names)
	return names
}

func rpcs(ctx context.Context, c *client.Connection) ([]string, error) {
	known, err := schema.Load(ctx, c.Anonymous(), "")
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(known.Methods))
	for _, m := range known.Methods {
		names = append(names, schema.Name(m))
	}
	return names, nil
}

// named returns the names of RPCs as a person has begun to write one: whole, or without the package.
func named(names []string, begun string) []string {
	var short []string
	for _, name := range names {
		if strings.HasPrefix(name, begun) {
			return names
		}
		short = append(short, name[strings.LastIndex(name, ".")+1:], name[strings.LastIndex(name, "/")+1:])
	}
	return short
}

// fresh tells whether a call can be made without a refresh, which nobody should have to wait for here.
func fresh(c *client.Connection) bool {
	return time.Now().Add(time.Minute).Before(c.Profile().Tokens.ExpiresAt)
}

func orgs(ctx context.Context, c *client.Connection) ([]string, error) {
	if !fresh(c) {
		return nil, nil
	}
	answer, err := identityv1connect.NewOrganizationServiceClient(c.Client()).ListOrganizations(ctx, &identityv1.ListOrganizationsRequest{PageSize: page})
	var ids []string
	for _, o := range answer.GetOrganizations() {
		ids = append(ids, o.GetId())
	}
	return ids, err
}

func roles(ctx context.Context, c *client.Connection) ([]string, error) {
	if !fresh(c) {
		return nil, nil
	}
	answer, err := authzv1connect.NewRoleServiceClient(c.Client()).ListRoles(ctx, &authzv1.ListRolesRequest{OrganizationId: c.Organization(""), PageSize: page})
	var names []string
	for _, r := range answer.GetRoles() {
		names = append(names, r.GetName())
	}
	return names, err
}
