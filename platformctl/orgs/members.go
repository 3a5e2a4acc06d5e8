package orgs

import (
	"context"
	"fmt"

	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/users"
)

// Members is the level of commands about members.
type Members struct {
	List   MembersList   `cmd:"" help:"List the members, in the order of joining."`
	Add    MembersAdd    `cmd:"" help:"Add a person. Membership alone permits nothing: see grants."`
	Remove MembersRemove `cmd:"" help:"Remove a person, with all roles that the person holds there."`
}

var memberColumns = output.Columns[*identityv1.Member]{
	Header: []string{"USER", "ORGANIZATION", "JOINED"},
	Row: func(m *identityv1.Member) []string {
		return []string{m.GetUserId(), m.GetOrganizationId(), output.Time(m.GetJoinedAt())}
	},
}

// MembersList is a command.
type MembersList struct {
	client.Flags
	client.OrgFlag
	output.Flag
	client.PageFlags
}

// Help implements kong.HelpProvider.
func (*MembersList) Help() string { return "Example:\n\n  platformctl orgs members list --all" }

// Run implements the command.
func (l *MembersList) Run(ctx context.Context, streams *output.Streams) error {
	return l.With(ctx, func(c *client.Connection) error {
		id, err := l.Organization(c)
		if err != nil {
			return err
		}
		members, err := client.Pages(l.PageFlags, streams.Err, func(size int32, token string) ([]*identityv1.Member, string, error) {
			page, err := service(c).ListMembers(ctx, &identityv1.ListMembersRequest{OrganizationId: id, PageSize: size, PageToken: token})
			return page.GetMembers(), page.GetNextPageToken(), err
		})
		if err != nil {
			return err
		}
		return l.Show(streams.Out, memberColumns.List(members, "It has no members."))
	})
}

// MembersAdd is a command.
type MembersAdd struct {
	client.Flags
	client.OrgFlag
	output.Flag

	User string `arg:"" help:"Id or email address of the person."`
}

// Help implements kong.HelpProvider.
func (*MembersAdd) Help() string {
	return "Example:\n\n  platformctl orgs members add usr_06h0vkxwt1spx9cg67rqk14bcr"
}

// Run implements the command.
func (a *MembersAdd) Run(ctx context.Context, streams *output.Streams) error {
	return a.With(ctx, func(c *client.Connection) error {
		id, person, err := who(ctx, c, a.OrgFlag, a.User)
		if err != nil {
			return err
		}
		answer, err := service(c).AddMember(ctx, &identityv1.AddMemberRequest{OrganizationId: id, UserId: person})
		if err != nil {
			return err
		}
		return a.Show(streams.Out, memberColumns.One(answer.GetMember()))
	})
}

// MembersRemove is a command.
type MembersRemove struct {
	client.Flags
	client.OrgFlag

	User string `arg:"" help:"Id or email address of the person."`
}

// Help implements kong.HelpProvider.
func (*MembersRemove) Help() string {
	return "Example:\n\n  platformctl orgs members remove usr_06h0vkxwt1spx9cg67rqk14bcr --org org_06h0v1ay63k8e8qsk2ec1jgs24"
}

// Run implements the command.
func (r *MembersRemove) Run(ctx context.Context, streams *output.Streams) error {
	return r.With(ctx, func(c *client.Connection) error {
		id, person, err := who(ctx, c, r.OrgFlag, r.User)
		if err != nil {
			return err
		}
		if _, err := service(c).RemoveMember(ctx, &identityv1.RemoveMemberRequest{OrganizationId: id, UserId: person}); err != nil {
			return err
		}
		fmt.Fprintf(streams.Err, "%s is no member of %s.\n", output.Clean(person), output.Clean(id))
		return nil
	})
}

// who returns the ids of an organization and of a person.
func who(ctx context.Context, c *client.Connection, org client.OrgFlag, user string) (organization, person string, err error) {
	if organization, err = org.Organization(c); err != nil {
		return "", "", err
	}
	person, err = users.ID(ctx, c, user)
	return organization, person, err
}
