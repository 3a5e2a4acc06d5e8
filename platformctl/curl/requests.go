package curl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/schema"
)

// maxRequestBytes bounds one message in JSON; the platform takes less.
const maxRequestBytes = 16 << 20

// requests reads messages in JSON: one after the other, with or without line breaks or record separators (RFC 7464)
// between them.
type requests struct {
	decoder  *json.Decoder
	limit    *limited
	input    protoreflect.MessageDescriptor
	types    *dynamicpb.Types
	argument bool // from the command line, where secrets are not safe
	n        int
	closer   io.Closer
}

// requests returns where the messages come from.
func (c *Curl) requests(streams *output.Streams, input protoreflect.MessageDescriptor, types *dynamicpb.Types) (*requests, error) {
	r := &requests{input: input, types: types}
	var source io.Reader
	switch name, file := strings.CutPrefix(c.Data, "@"); {
	case !file:
		source, r.argument = strings.NewReader(c.Data), true
	case name == "-":
		source = streams.In
	default:
		opened, err := os.Open(name)
		if err != nil {
			return nil, exit.With(exit.Usage, fmt.Errorf("--data: %w", err))
		}
		source, r.closer = opened, opened
	}
	r.limit = &limited{in: source}
	r.decoder = json.NewDecoder(r.limit)
	return r, nil
}

func (r *requests) close() {
	if r.closer != nil {
		_ = r.closer.Close()
	}
}

// next returns the next message; io.EOF after the last one.
func (r *requests) next() (proto.Message, error) {
	r.limit.left = maxRequestBytes
	var text json.RawMessage
	err := r.decoder.Decode(&text)
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	r.n++
	message := dynamicpb.NewMessage(r.input)
	if err == nil {
		err = protojson.UnmarshalOptions{Resolver: r.types}.Unmarshal(text, message)
	}
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("--data: message %d is no %s: %s", r.n, r.input.FullName(), output.Clean(strings.TrimPrefix(err.Error(), "proto:"))))
	}
	if secret := schema.Secret(message.ProtoReflect()); r.argument && secret != "" {
		return nil, exit.With(exit.Usage, fmt.Errorf("--data: %s is a secret, and everybody on this machine can read arguments: give the data as @FILE, or @- for standard input", secret))
	}
	return message, nil
}

var errTooLong = fmt.Errorf("it has more than %d bytes", maxRequestBytes)

// limited bounds what is read for one message, and takes record separators for space.
type limited struct {
	in   io.Reader
	left int
}

const recordSeparator = 0x1e

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLong
	}
	n, err := l.in.Read(p[:min(len(p), l.left)])
	l.left -= n
	for i, b := range p[:n] {
		if b == recordSeparator {
			p[i] = ' '
		}
	}
	return n, err
}
