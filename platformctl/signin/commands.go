// Package signin signs a person in and out, and says who is signed in: `platformctl login`, `logout` and `whoami`.
package signin

// Commands are the commands of this package.
type Commands struct {
	Login  Login  `cmd:"" group:"Sign in" help:"Sign in, and keep a profile for the commands that follow."`
	Logout Logout `cmd:"" group:"Sign in" help:"End the session, and forget its tokens."`
	WhoAmI WhoAmI `cmd:"" name:"whoami" group:"Sign in" help:"Show who is signed in where."`
}
