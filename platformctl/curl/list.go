package curl

import (
	"context"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/schema"
)

// rpc is one line of a list.
type rpc struct {
	Name     string        `json:"name"`
	Kind     string        `json:"kind"`
	Request  string        `json:"request"`
	Response string        `json:"response"`
	Access   schema.Access `json:"access"`
}

type rpcs []rpc

// Table implements output.Tabular.
func (l rpcs) Table() output.Table {
	t := output.Table{Header: []string{"RPC", "KIND", "WHO MAY CALL"}, Empty: "Nothing of that name can be called."}
	for _, r := range l {
		t.Rows = append(t.Rows, []string{r.Name, r.Kind, r.Access.String()})
	}
	return t
}

func (c *Curl) list(ctx context.Context, connection *client.Connection, streams *output.Streams) error {
	ctx, cancel := context.WithTimeout(ctx, schemaTimeout)
	defer cancel()
	known, err := schema.Load(ctx, connection.Anonymous(), "")
	if err != nil {
		return err
	}
	list := rpcs{}
	for _, m := range known.Methods {
		if strings.Contains(strings.ToLower(schema.Name(m)), strings.ToLower(c.RPC)) {
			list = append(list, rpc{
				Name: schema.Name(m), Kind: kind(m), Access: schema.AccessOf(m),
				Request: string(m.Input().FullName()), Response: string(m.Output().FullName()),
			})
		}
	}
	return c.Show(streams.Out, list)
}

func kind(m protoreflect.MethodDescriptor) string {
	switch {
	case m.IsStreamingClient() && m.IsStreamingServer():
		return "bidi stream"
	case m.IsStreamingClient():
		return "client stream"
	case m.IsStreamingServer():
		return "server stream"
	default:
		return "unary"
	}
}
