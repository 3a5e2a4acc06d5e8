package signin

import (
	"context"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/output"
)

// WhoAmI is the command that says who is signed in.
type WhoAmI struct {
	client.Flags
	output.Flag
}

// Help implements kong.HelpProvider.
func (*WhoAmI) Help() string {
	return `It asks the platform, so it also tells whether the session is still good.

  platformctl whoami -o json`
}

// Run implements the command.
func (w *WhoAmI) Run(ctx context.Context, streams *output.Streams) error {
	connection, err := w.Connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	me, err := authv1connect.NewAuthServiceClient(connection.Client()).WhoAmI(ctx, &authv1.WhoAmIRequest{})
	if err != nil {
		return err
	}
	return w.Show(streams.Out, person{
		Profile: connection.Profile().Name, Gateway: connection.Gateway(), Organization: connection.Organization(""),
		Session: output.Message{Message: me}, me: me,
	})
}

// person is what the command shows.
type person struct {
	Profile string `json:"profile"`
	Gateway string `json:"gateway"`
	// Organization is the one that commands are about; the session's own is in Session.
	Organization string         `json:"organization,omitempty"`
	Session      output.Message `json:"session"`

	me *authv1.WhoAmIResponse
}

// Table implements output.Tabular.
func (p person) Table() output.Table {
	return output.Table{
		Header: []string{"EMAIL", "NAME", "USER", "ORGANIZATION", "SESSION UNTIL", "PROFILE", "GATEWAY"},
		Rows: [][]string{{
			p.me.GetEmail(), p.me.GetDisplayName(), p.me.GetUserId(), p.Organization,
			output.Time(p.me.GetSessionExpiresAt()), p.Profile, p.Gateway,
		}},
	}
}
