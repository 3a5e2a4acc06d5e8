// Package rest lets what services annotate with google.api.http be called by REST. Vanguard finds the procedure that a
// path stands for and translates between REST and a Connect call of one message; who makes the call, and by which
// guards it passes, this package does not know.
package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"connectrpc.com/vanguard"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"ashlar.dev/gateway/internal/routes"
)

// ErrRefused is what reading the message of a call fails with where the request cannot be translated.
var ErrRefused = errors.New("the request cannot be translated")

// Call makes one call. The request is a Connect POST, or GET where the procedure has no side effects, with JSON. The
// procedure is the path; the body is translated while it is read.
type Call func(w http.ResponseWriter, r *http.Request)

// Translator translates requests. It is safe for concurrent use.
type Translator struct {
	maxMessageBytes uint32
	log             *slog.Logger
	transcoder      atomic.Pointer[vanguard.Transcoder]
}

// New returns a translator that knows no path yet.
func New(maxMessageBytes uint32, log *slog.Logger) *Translator {
	return &Translator{maxMessageBytes: maxMessageBytes, log: log}
}

// Check tells what is wrong with the annotations of one service.
func (t *Translator) Check(services []protoreflect.ServiceDescriptor, files *protoregistry.Files) error {
	_, err := build(known(services, files), t.maxMessageBytes)
	return err
}

// Learn takes the paths of a table in place of those that it has. One call at a time.
func (t *Translator) Learn(table *routes.Table) {
	var services []*vanguard.Service
	for _, module := range table.Modules() {
		if len(module.Bindings()) > 0 {
			services = append(services, known(module.RPCServices(), module.Files())...)
		}
	}
	if len(services) == 0 {
		t.transcoder.Store(nil)
		return
	}
	transcoder, err := build(services, t.maxMessageBytes)
	if err != nil {
		// Each of them alone makes sense, and the table holds none that collides with another.
		t.log.Error("nothing can be called by REST", "error", err)
	}
	t.transcoder.Store(transcoder)
}

// known are RPC services with the types that their messages may hold.
func known(services []protoreflect.ServiceDescriptor, files *protoregistry.Files) []*vanguard.Service {
	out := make([]*vanguard.Service, len(services))
	types := &resolver{files: dynamicpb.NewTypes(files)}
	for i, service := range services {
		out[i] = vanguard.NewServiceWithSchema(service, http.HandlerFunc(pass), vanguard.WithTypeResolver(types))
	}
	return out
}

// build makes a transcoder. Its code runs over what strangers wrote, so that a panic is an error.
func build(services []*vanguard.Service, maxMessageBytes uint32) (transcoder *vanguard.Transcoder, err error) {
	defer func() {
		if p := recover(); p != nil {
			transcoder, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	return vanguard.NewTranscoder(services,
		vanguard.WithCodec(newCodec),
		vanguard.WithCompression(vanguard.CompressionGzip, newCompressor, newDecompressor(maxMessageBytes)),
		vanguard.WithDefaultServiceOptions(
			vanguard.WithTargetProtocols(vanguard.ProtocolConnect),
			vanguard.WithTargetCodecs(vanguard.CodecJSON),
			vanguard.WithMaxMessageBufferBytes(maxMessageBytes),
		))
}

type exchangeKey struct{}

// Serve answers a request by a call where its path is bound to a procedure. Where it does not get as far as a call whose
// message could be read, it returns why, and nothing has been written.
func (t *Translator) Serve(w http.ResponseWriter, r *http.Request, call Call) *Refusal {
	transcoder := t.transcoder.Load()
	// A variable is never empty: that would often mean everything.
	if path := r.URL.EscapedPath(); transcoder == nil || strings.Contains(path, "//") || strings.HasSuffix(path, "/") {
		return &Refusal{Status: http.StatusNotFound}
	}
	x := &exchange{client: w, call: call}
	// The transcoder takes a path apart before it undoes escapes; what net/http has undone already, it would undo twice,
	// and `%2F` in a variable would be a slash of the path.
	url := *r.URL
	url.Path, url.RawPath = r.URL.EscapedPath(), ""
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	r.URL = &url
	transcoder.ServeHTTP(x, r)
	return x.refusal()
}

// Find returns the procedure that a request for a path stands for, whatever is in it; where there is none, the status with
// which it would be refused.
func (t *Translator) Find(ctx context.Context, method string, target *url.URL) (procedure string, status int) {
	path := *target
	path.RawQuery = ""
	r := (&http.Request{Method: method, URL: &path, Header: http.Header{}, Body: http.NoBody, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	refusal := t.Serve(&nobody{}, r, func(_ http.ResponseWriter, r *http.Request) { procedure = r.URL.Path })
	if procedure == "" && refusal != nil {
		status = refusal.Status
	}
	return procedure, status
}

// nobody is told an answer that nobody asked for.
type nobody struct{ header http.Header }

func (n *nobody) Header() http.Header {
	if n.header == nil {
		n.header = http.Header{}
	}
	return n.header
}
func (*nobody) Write(p []byte) (int, error) { return len(p), nil }
func (*nobody) WriteHeader(int)             {}

// pass is the handler of each service: it hands the translated request to the call.
func pass(w http.ResponseWriter, r *http.Request) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return
	}
	r.URL.RawPath = ""
	if r.Method == http.MethodGet { // the message is in the query
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Body = &message{ReadCloser: r.Body, exchange: x}
	}
	x.serve(w, r)
}
