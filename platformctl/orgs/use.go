package orgs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/profile"
)

// Use is a command.
type Use struct {
	client.Flags

	Org  string `arg:"" optional:"" predictor:"org" help:"Id of the organization, or its name where you are a member and it is the only one of that name."`
	None bool   `help:"Forget the one that is remembered."`
}

// Help implements kong.HelpProvider.
func (*Use) Help() string {
	return `The profile remembers it, until the next login as somebody else.

  platformctl orgs use Acme`
}

// Run implements the command.
func (u *Use) Run(ctx context.Context, streams *output.Streams) error {
	if (u.Org == "") != u.None {
		return exit.With(exit.Usage, errors.New("name an organization, or say --none"))
	}
	return u.With(ctx, func(c *client.Connection) error {
		chosen := &identityv1.Organization{}
		if !u.None {
			var err error
			if chosen, err = u.find(ctx, c, streams); err != nil {
				return err
			}
		}
		store, err := u.Store()
		if err != nil {
			return err
		}
		err = store.Update(ctx, c.Profile().Name, func(p *profile.Profile) error {
			if p.Gateway != c.Gateway() {
				return exit.With(exit.Usage, fmt.Errorf("profile %s belongs to another gateway (%s): sign in at this one, or take another --profile", p.Name, p.Gateway))
			}
			p.Organization = chosen.GetId()
			return nil
		})
		if err != nil {
			return err
		}
		if u.None {
			fmt.Fprintf(streams.Err, "Profile %s remembers no organization.\n", c.Profile().Name)
		} else {
			fmt.Fprintf(streams.Err, "Commands are about %s (%s) now, profile %s.\n", output.Clean(chosen.GetDisplayName()), output.Clean(chosen.GetId()), c.Profile().Name)
		}
		return nil
	})
}

// find looks among those that the person is a member of, and then asks for it by id.
func (u *Use) find(ctx context.Context, c *client.Connection, streams *output.Streams) (*identityv1.Organization, error) {
	mine, err := Mine(ctx, c, client.PageFlags{All: true}, streams)
	if err != nil {
		return nil, err
	}
	var named []*identityv1.Organization
	for _, o := range mine {
		if o.GetId() == u.Org {
			return o, nil
		}
		if strings.EqualFold(o.GetDisplayName(), u.Org) {
			named = append(named, o)
		}
	}
	switch {
	case len(named) == 1:
		return named[0], nil
	case len(named) > 1:
		return nil, exit.With(exit.Usage, fmt.Errorf("you are a member of %d organizations of the name %q: give its id (platformctl orgs list)", len(named), u.Org))
	case !strings.HasPrefix(u.Org, "org_"):
		return nil, exit.With(exit.NotFound, fmt.Errorf("you are a member of no organization of the name %q: platformctl orgs list", u.Org))
	}
	answer, err := service(c).GetOrganization(ctx, &identityv1.GetOrganizationRequest{OrganizationId: u.Org})
	return answer.GetOrganization(), err
}
