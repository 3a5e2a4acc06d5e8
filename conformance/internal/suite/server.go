package suite

import (
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const (
	// prefixBytes is the size of the length before each message: big-endian.
	prefixBytes = 4
	maxMessage  = 1 << 20
)

// HTTPVersion is the number of a value of the suite's enum of that name.
type HTTPVersion protoreflect.EnumNumber

// Versions of HTTP.
const (
	HTTP1 HTTPVersion = 1
	HTTP2 HTTPVersion = 2
	HTTP3 HTTPVersion = 3
)

// Request is what the runner asks a server to be: a ServerCompatRequest.
type Request struct{ message *dynamicpb.Message }

// Response is where a server can be found: a ServerCompatResponse.
type Response struct {
	Host string
	Port uint32
	// Certificate is in PEM; empty without TLS.
	Certificate []byte
}

// ReadRequest reads what the runner says.
func (s *Schema) ReadRequest(r io.Reader) (Request, error) {
	message := dynamicpb.NewMessage(s.server.Messages().ByName("ServerCompatRequest"))
	return Request{message}, read(r, message)
}

// Version is the version of HTTP that the runner will speak.
func (r Request) Version() HTTPVersion { return HTTPVersion(get(r.message, "http_version").Enum()) }

// TLS tells whether the runner wants TLS, and returns the credentials that it gives for that, in PEM.
func (r Request) TLS() (certificate, key []byte, want bool) {
	if !get(r.message, "use_tls").Bool() {
		return nil, nil, false
	}
	credentials := get(r.message, "server_creds").Message()
	return get(credentials, "cert").Bytes(), get(credentials, "key").Bytes(), true
}

// Behind returns the request to a server behind the one that the runner asked for: without TLS, with the same limits.
func (r Request) Behind(version HTTPVersion) Request {
	message, _ := proto.Clone(r.message).(*dynamicpb.Message)
	fields := message.Descriptor().Fields()
	message.Set(fields.ByName("http_version"), protoreflect.ValueOfEnum(protoreflect.EnumNumber(version)))
	for _, name := range []protoreflect.Name{"use_tls", "client_tls_cert", "server_creds"} {
		message.Clear(fields.ByName(name))
	}
	return Request{message}
}

// Write sends the request to a server.
func (r Request) Write(w io.Writer) error { return write(w, r.message) }

// ReadResponse reads what a server says.
func (s *Schema) ReadResponse(r io.Reader) (Response, error) {
	message := dynamicpb.NewMessage(s.server.Messages().ByName("ServerCompatResponse"))
	if err := read(r, message); err != nil {
		return Response{}, err
	}
	return Response{
		Host: get(message, "host").String(), Port: uint32(get(message, "port").Uint()), Certificate: get(message, "pem_cert").Bytes(),
	}, nil
}

// WriteResponse tells the runner where the server is.
func (s *Schema) WriteResponse(w io.Writer, response Response) error {
	message := dynamicpb.NewMessage(s.server.Messages().ByName("ServerCompatResponse"))
	fields := message.Descriptor().Fields()
	message.Set(fields.ByName("host"), protoreflect.ValueOfString(response.Host))
	message.Set(fields.ByName("port"), protoreflect.ValueOfUint32(response.Port))
	if len(response.Certificate) > 0 {
		message.Set(fields.ByName("pem_cert"), protoreflect.ValueOfBytes(response.Certificate))
	}
	return write(w, message)
}

func get(message protoreflect.Message, name protoreflect.Name) protoreflect.Value {
	return message.Get(message.Descriptor().Fields().ByName(name))
}

func read(r io.Reader, message proto.Message) error {
	var prefix [prefixBytes]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return fmt.Errorf("read a message of the suite: %w", err)
	}
	size := binary.BigEndian.Uint32(prefix[:])
	if size > maxMessage {
		return fmt.Errorf("a message of the suite has %d bytes, more than %d", size, maxMessage)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return fmt.Errorf("read a message of the suite: %w", err)
	}
	if err := proto.Unmarshal(data, message); err != nil {
		return fmt.Errorf("read a message of the suite: %w", err)
	}
	return nil
}

func write(w io.Writer, message proto.Message) error {
	data, err := proto.Marshal(message)
	if err != nil {
		return fmt.Errorf("write a message of the suite: %w", err)
	}
	if _, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)); err != nil {
		return fmt.Errorf("write a message of the suite: %w", err)
	}
	return nil
}
