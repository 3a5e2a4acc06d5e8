package rest

import (
	"compress/gzip"
	"fmt"
	"io"

	connectv1 "connectrpc.com/connect"
	"connectrpc.com/vanguard"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
)

// codec is JSON as services write it, so that REST and Connect give the same: fields that are not set are left out.
type codec struct{ *vanguard.JSONCodec }

func newCodec(resolver vanguard.TypeResolver) vanguard.Codec {
	c := vanguard.NewJSONCodec(resolver)
	c.MarshalOptions.EmitUnpopulated = false
	return codec{c}
}

// Unmarshal implements vanguard.Codec. What cannot be read is the caller's mistake: the transcoder would take it for one
// of the service's.
func (c codec) Unmarshal(data []byte, m proto.Message) error {
	return invalid(c.JSONCodec.Unmarshal(data, m))
}

// UnmarshalField implements vanguard.RESTCodec.
func (c codec) UnmarshalField(data []byte, m proto.Message, field protoreflect.FieldDescriptor) error {
	return invalid(c.JSONCodec.UnmarshalField(data, m, field))
}

func invalid(err error) error {
	if err == nil {
		return nil
	}
	return connectv1.NewError(connectv1.CodeInvalidArgument, err)
}

// MarshalAppend implements vanguard.Codec. An error of a service may have details of types that nobody here knows; they
// are left out, so that the rest of the error is told.
func (c codec) MarshalAppend(base []byte, m proto.Message) ([]byte, error) {
	if s, ok := m.(*status.Status); ok {
		known := &status.Status{Code: s.GetCode(), Message: s.GetMessage()}
		for _, detail := range s.GetDetails() {
			if _, err := c.MarshalOptions.Marshal(detail); err == nil {
				known.Details = append(known.Details, detail)
			}
		}
		m = known
	}
	return c.JSONCodec.MarshalAppend(base, m)
}

// resolver finds what the schemas of one service define, and otherwise what this program knows, such as the usual
// details of errors.
type resolver struct{ files *dynamicpb.Types }

// FindMessageByName implements protoregistry.MessageTypeResolver.
func (r *resolver) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	if found, err := r.files.FindMessageByName(name); err == nil {
		return found, nil
	}
	return protoregistry.GlobalTypes.FindMessageByName(name)
}

// FindMessageByURL implements protoregistry.MessageTypeResolver.
func (r *resolver) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	return r.FindMessageByName((&anypb.Any{TypeUrl: url}).MessageName())
}

// FindExtensionByName implements protoregistry.ExtensionTypeResolver.
func (r *resolver) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	return r.files.FindExtensionByName(name)
}

// FindExtensionByNumber implements protoregistry.ExtensionTypeResolver.
func (r *resolver) FindExtensionByNumber(m protoreflect.FullName, field protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	return r.files.FindExtensionByNumber(m, field)
}

func newCompressor() connectv1.Compressor { return gzip.NewWriter(io.Discard) }

// newDecompressor returns one that gives no more than maxBytes: a few bytes can stand for very many.
func newDecompressor(maxBytes uint32) func() connectv1.Decompressor {
	return func() connectv1.Decompressor { return &decompressor{max: int64(maxBytes)} }
}

type decompressor struct {
	gzip.Reader

	max, left int64
}

// Reset implements connect.Decompressor.
func (d *decompressor) Reset(r io.Reader) error {
	d.left = d.max
	return d.Reader.Reset(r)
}

// Read implements io.Reader.
func (d *decompressor) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if d.left -= int64(n); d.left < 0 {
		return 0, connectv1.NewError(connectv1.CodeResourceExhausted, fmt.Errorf("the message is larger than %d bytes", d.max))
	}
	return n, err
}
