package signin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/kernel/config"
	"ashlar.dev/platform/home"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/local"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/profile"
)

// passwordVariable is the environment variable with the password, for programs.
const passwordVariable = "ASHLAR_PASSWORD"

// Login is the command that signs in.
type Login struct {
	client.Flags
	local.HomeFlag

	Email         string `help:"Email address to sign in with; asked for where not set." env:"ASHLAR_EMAIL" placeholder:"EMAIL"`
	PasswordStdin bool   `help:"Read the password from standard input, instead of asking for it or taking it from ASHLAR_PASSWORD."`
	Local         bool   `help:"Sign in as the first administrator of the platform whose home folder is on this machine."`
	Org           string `help:"Id of the organization that the session works in; commands are about it where they do not name another." placeholder:"ORG"`
}

// Help implements kong.HelpProvider.
func (*Login) Help() string {
	return `The profile remembers the gateway, the person and the tokens, in a file that only its owner can read. The password is
kept nowhere, and is never an argument.

  platformctl login --local
  platformctl login --gateway https://api.example.com --email bob@example.com`
}

// Run implements the command.
func (l *Login) Run(ctx context.Context, streams *output.Streams) error {
	var known string
	if l.Local {
		known = local.GatewayURL(ctx, l.Home)
		l.Gateway = cmp.Or(l.Gateway, known)
	}
	connection, err := l.ConnectProfile(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	email, password, err := l.credentials(streams, connection.Gateway())
	if err != nil {
		return err
	}
	if l.Local {
		if err := l.checkLocal(connection, known); err != nil {
			return err
		}
	}
	auth := authv1connect.NewAuthServiceClient(connection.Anonymous())
	answer, err := auth.Login(ctx, &authv1.LoginRequest{Email: email, Password: password.Reveal(), OrganizationId: l.Org})
	if err != nil {
		return err
	}
	if answer.GetTokens() == nil {
		return errors.New("the platform wants more than a password, and this platformctl knows nothing else: take a newer one")
	}
	store, err := l.Store()
	if err != nil {
		return err
	}
	name := connection.Profile().Name
	err = store.Update(ctx, name, func(p *profile.Profile) error {
		if p.Gateway != connection.Gateway() || p.Email != email {
			p.UserID, p.Organization = "", ""
		}
		p.Gateway, p.Email, p.Tokens = connection.Gateway(), email, client.Tokens(answer.GetTokens())
		p.Organization = cmp.Or(l.Org, p.Organization)
		return nil
	})
	if err != nil {
		return err
	}
	return l.welcome(ctx, streams, store, name)
}

// checkLocal makes sure that the password in the home folder goes to the gateway that it is for, and not to one that
// happens to be the profile's or the environment's.
func (l *Login) checkLocal(connection *client.Connection, known string) error {
	exported := os.Getenv(client.GatewayVariable)
	switch {
	case l.Gateway == "":
		return exit.With(exit.Usage, fmt.Errorf("where the gateway of %s is, is not known: say it with --gateway", l.Home))
	case l.Gateway == exported && !strings.EqualFold(connection.Gateway(), known) && !connection.OnThisMachine():
		return exit.With(exit.Usage, fmt.Errorf("%s is set to %s, and nothing says that this is the gateway of %s: unset it, and say where that is with --gateway",
			client.GatewayVariable, connection.Gateway(), l.Home))
	}
	return nil
}

// welcome finds out who it is that has signed in, and says so.
func (l *Login) welcome(ctx context.Context, streams *output.Streams, store *profile.Store, name string) error {
	connection, err := l.ConnectProfile(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	me, err := authv1connect.NewAuthServiceClient(connection.Client()).WhoAmI(ctx, &authv1.WhoAmIRequest{})
	if err != nil {
		return err
	}
	err = store.Update(ctx, name, func(p *profile.Profile) error {
		if p.Gateway == connection.Gateway() {
			p.UserID, p.Email = me.GetUserId(), me.GetEmail()
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(streams.Err, "Signed in at %s as %s (%s), profile %s.\n",
		connection.Gateway(), output.Clean(me.GetEmail()), output.Clean(me.GetUserId()), name)
	if os.Getenv(client.TokenVariable) != "" {
		fmt.Fprintf(streams.Err, "%s is set: commands use that token and not this profile until it is not.\n", client.TokenVariable)
	}
	return nil
}

// credentials returns what to sign in with.
func (l *Login) credentials(streams *output.Streams, gateway string) (string, config.Secret, error) {
	if l.Local {
		return l.administrator()
	}
	var err error
	terminal := terminalOf(streams)
	password := config.Secret(os.Getenv(passwordVariable))
	if l.PasswordStdin {
		if password, err = readPassword(streams.In); err != nil {
			return "", "", err
		}
		terminal = nil
	}
	email := l.Email
	if terminal == nil && (email == "" || password == "") {
		return "", "", exit.With(exit.Usage, fmt.Errorf("there is no terminal to ask on: give --email (or ASHLAR_EMAIL), and --password-stdin or %s", passwordVariable))
	}
	if email == "" {
		fmt.Fprintf(streams.Err, "Signing in at %s.\n", gateway)
		if _, err := os.Stat(filepath.Join(l.Home, "admin-password")); err == nil {
			fmt.Fprintf(streams.Err, "A platform's home folder is here: platformctl login --local signs in as its administrator.\n")
		}
		if email, err = terminal.ask("Email: "); err != nil {
			return "", "", err
		}
	}
	if password == "" {
		password, err = terminal.askSecret(fmt.Sprintf("Password of %s: ", output.Clean(email)))
	}
	return strings.TrimSpace(email), password, err
}

// administrator returns what the home folder knows.
func (l *Login) administrator() (string, config.Secret, error) {
	email, password, err := home.SignIn(l.Home)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", "", exit.With(exit.NotFound, fmt.Errorf("%s: %w; --home or ASHLAR_HOME names another folder", l.Home, err))
	case err != nil:
		return "", "", err
	case l.Email != "" && l.Email != email:
		return "", "", exit.With(exit.Usage, fmt.Errorf("--local signs in as %s, and --email says %s: leave one of them", email, l.Email))
	}
	return email, password, nil
}
