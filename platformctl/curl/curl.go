// Package curl calls any RPC by its name: `platformctl curl`. It learns the schema from the gateway, so it needs none, and
// must not know any.
package curl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/schema"
)

// schemaTimeout is how long learning the schema may take.
const schemaTimeout = 10 * time.Second

// Commands are the commands of this package.
type Commands struct {
	Curl Curl `cmd:"" group:"Call" help:"Call any RPC by its name, with JSON."`
}

// Curl is the command.
type Curl struct {
	client.Flags
	output.Flag

	RPC          string        `arg:"" optional:"" name:"rpc" predictor:"rpc" help:"What to call: package.Service/Method, or Service/Method or Method where only one has that name. With --list: show only those with this text in the name."`
	List         bool          `short:"l" help:"List what can be called, and who may."`
	Data         string        `short:"d" help:"The request as JSON, @FILE to read it from a file, @- from standard input. Several messages for a stream follow each other." placeholder:"JSON"`
	Header       []string      `short:"H" sep:"none" help:"Header to send, NAME: VALUE; can be repeated." placeholder:"HEADER"`
	Protocol     string        `enum:"connect,grpc,grpcweb" default:"connect" help:"How to speak: connect, grpc or grpcweb." placeholder:"PROTOCOL" predictor:"protocol"`
	EmitDefaults bool          `help:"Show fields that have their default values, too."`
	MaxTime      time.Duration `help:"How long the call may take as a whole, a stream too; the platform is told. No limit where not set." placeholder:"DURATION"`
	Verbose      bool          `short:"v" help:"Show the headers and trailers of the answer on standard error."`
}

// Help implements kong.HelpProvider.
func (*Curl) Help() string {
	return `The call carries the profile's token, unless anybody may make it. An answer is JSON, one of a stream is a line of JSON each.
An error is said on standard error, and the exit code tells which kind it is.

  platformctl curl --list
  platformctl curl AuthService/WhoAmI
  platformctl curl acme.notes.v1.NoteService/CreateNote -d '{"title": "x"}'
  printf '{"text": "a"}\n{"text": "b"}\n' | platformctl curl NoteService/Import -d @- --protocol grpc

A secret, such as a password, is taken from a file or standard input only: everybody on a machine can read arguments.`
}

// Run implements the command.
func (c *Curl) Run(ctx context.Context, streams *output.Streams) error {
	connection, err := c.Connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	if c.List {
		return c.list(ctx, connection, streams)
	}
	if c.RPC == "" {
		return exit.With(exit.Usage, errors.New("name an RPC, or --list them"))
	}
	known, method, err := find(ctx, connection, c.RPC)
	if err != nil {
		return err
	}
	requests, err := c.requests(streams, method.Input(), known.Types)
	if err != nil {
		return err
	}
	defer requests.close()
	if c.MaxTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.MaxTime)
		defer cancel()
	}
	ctx, info := connect.NewClientContext(ctx)
	if err := c.headers(info.RequestHeader()); err != nil {
		return err
	}
	call := &call{
		method: method, requests: requests,
		answers: &answers{out: streams.Out, types: known.Types, defaults: c.EmitDefaults, stream: method.IsStreamingServer()},
	}
	open := connection.Client
	if schema.AccessOf(method).Rule == "public" || !connection.SignedIn() && schema.AccessOf(method).Rule == "" {
		open = connection.Anonymous
	}
	err = call.run(ctx, open(c.protocol()...))
	if c.Verbose {
		show(streams.Err, "<", info.ResponseHeader())
		show(streams.Err, "< (trailer)", info.ResponseTrailer())
	}
	return err
}

// find returns the RPC of a name, and the schema that it is in. Where the name is whole, only its service is asked for.
func find(ctx context.Context, connection *client.Connection, name string) (*schema.Schema, protoreflect.MethodDescriptor, error) {
	ctx, cancel := context.WithTimeout(ctx, schemaTimeout)
	defer cancel()
	service, _ := schema.Split(name)
	known, err := schema.Load(ctx, connection.Anonymous(), service)
	if service != "" && connect.CodeOf(err) == connect.CodeNotFound {
		known, err = schema.Load(ctx, connection.Anonymous(), "") // for suggestions
	}
	if err != nil {
		return nil, nil, err
	}
	method, err := known.Find(name)
	if unknown, ok := errors.AsType[*schema.UnknownError](err); ok {
		if service != "" && !unknown.Ambiguous && len(unknown.Candidates) == 0 {
			if all, err := schema.Load(ctx, connection.Anonymous(), ""); err == nil {
				_, again := all.Find(name)
				unknown, _ = errors.AsType[*schema.UnknownError](again)
			}
		}
		code := exit.NotFound
		if unknown.Ambiguous {
			code = exit.Usage
		}
		return nil, nil, exit.With(code, unknown)
	}
	return known, method, err
}

func (c *Curl) protocol() []connecthttp.Option {
	switch c.Protocol {
	case "grpc":
		return []connecthttp.Option{connecthttp.WithGRPC()}
	case "grpcweb":
		return []connecthttp.Option{connecthttp.WithGRPCWeb()}
	default:
		return nil
	}
}

// headers sets what the person wants to send.
func (c *Curl) headers(header *connect.Header) error {
	for _, line := range c.Header {
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		switch {
		case !ok || name == "":
			return exit.With(exit.Usage, errors.New("--header: want NAME: VALUE"))
		case strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Cookie"):
			return exit.With(exit.Usage, fmt.Errorf("--header: %s is a secret, and everybody on this machine can read arguments: sign in, or set %s", name, client.TokenVariable))
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return nil
}

func show(out io.Writer, mark string, header *connect.Header) {
	for name, values := range header.All() {
		for _, value := range values {
			fmt.Fprintf(out, "%s %s: %s\n", mark, output.Clean(name), output.Clean(value))
		}
	}
}
