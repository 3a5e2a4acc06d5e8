// Package client is how platformctl's commands talk to a running platform: through its gateway, as the person who is
// signed in with a profile. It keeps that person signed in, and turns what the platform answers into messages for people
// and exit codes. It must not know any command, and of the services only auth, whose tokens it keeps fresh.
//
// A command embeds Flags, and asks it for a Connection:
//
//	type List struct {
//		client.Flags
//		output.Flag
//	}
//
//	func (l *List) Run(ctx context.Context, streams *output.Streams) error {
//		connection, err := l.Connect(ctx)
//		if err != nil {
//			return err
//		}
//		defer connection.Close()
//		users := identityv1connect.NewUserServiceClient(connection.Client())
//		…
//	}
//
// Errors are returned as they are: Explain makes them readable, once, where the command line ends.
package client
