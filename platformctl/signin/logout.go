package signin

import (
	"context"
	"fmt"

	"connectrpc.com/connect/v2"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/profile"
)

// Logout is the command that ends the session.
type Logout struct{ client.Flags }

// Help implements kong.HelpProvider.
func (*Logout) Help() string {
	return `The profile keeps the gateway and the email address. Where the platform cannot be reached, the tokens are forgotten all
the same, and the exit code says that the session goes on there until it expires.

  platformctl logout`
}

// Run implements the command. That nobody is signed in is no error.
func (l *Logout) Run(ctx context.Context, streams *output.Streams) error {
	connection, err := l.ConnectProfile(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	name := connection.Profile().Name
	if !connection.SignedIn() {
		fmt.Fprintf(streams.Err, "Profile %s is not signed in at %s.\n", name, connection.Gateway())
		return nil
	}
	_, failure := authv1connect.NewAuthServiceClient(connection.Client()).Logout(ctx, &authv1.LogoutRequest{})
	store, err := l.Store()
	if err != nil {
		return err
	}
	err = store.Update(ctx, name, func(p *profile.Profile) error {
		if p.Gateway == connection.Gateway() {
			p.Tokens = profile.Tokens{}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// A session that is over already is one that needs no ending.
	if failure != nil && connect.CodeOf(failure) != connect.CodeUnauthenticated && exit.Code(failure) != exit.NotSignedIn {
		failure = client.Explain(failure)
		return exit.With(exit.Code(failure), fmt.Errorf("the tokens are forgotten here, but the session could not be ended: %w", failure))
	}
	fmt.Fprintf(streams.Err, "Signed out at %s, profile %s.\n", connection.Gateway(), name)
	return nil
}
