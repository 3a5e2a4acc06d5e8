package edge

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"ashlar.dev/gateway/internal/rest"
	"ashlar.dev/gateway/internal/wire"
	"ashlar.dev/kernel/rpcerror"
)

// translate serves a path that is no procedure, by the procedure that it is bound to. From there on the call goes the way
// of each call: the caller's form comes back when the answer is written.
func (c *call) translate() {
	if c.h.Documents != nil && c.r.URL.RawPath == "" && c.h.Documents.Serves(c.r.URL.Path) {
		c.serveDocument()
		return
	}
	if c.h.REST == nil {
		c.unknown()
		return
	}
	if c.r.Method == http.MethodGet && c.hasBody() {
		c.refuseREST(http.StatusUnsupportedMediaType, rpcerror.New(connect.CodeInvalidArgument, reasonUnsupportedMedia, "a GET has no body"))
		return
	}
	w := c.w
	w.hurry() // until it is known what the call may take
	refusal := c.h.REST.Serve(w.ResponseWriter, c.r, c.translated)
	if refusal == nil {
		return
	}
	if c.w != w {
		c.w.finish()
		c.w = w
	}
	c.refuseTranslation(refusal)
}

// serveDocument answers with a document: for whoever asks, as often as he may ask for anything.
func (c *call) serveDocument() {
	if limited := c.charge(); limited != nil {
		c.refuseREST(http.StatusTooManyRequests, limited)
		return
	}
	c.w.hurry()
	c.code = wire.OK
	c.h.Documents.ServeHTTP(c.w, c.r)
}

// translated makes the call that a request of REST stands for.
func (c *call) translated(w http.ResponseWriter, r *http.Request) {
	c.route = c.h.Tables().Route(r.URL.Path)
	if r.Method == http.MethodGet && c.route != nil && !c.route.Get() {
		asPost(r)
	}
	c.w, c.r, c.protocol, c.rest = newPeer(w, r), r, wire.ProtocolOf(r), true
	if c.route == nil || !c.route.Unary() { // the table has changed since the translator learned it
		c.refuse(unknownProcedure())
		return
	}
	if c.span != nil {
		c.span.SetName(c.name())
	}
	if c.acceptable() {
		c.serve() //nolint:contextcheck // the context is the call's own
	}
}

// asPost makes a POST of a Connect GET with JSON. The translator goes by the newest version of a service; while there is an
// older one for which the procedure has side effects, none of them gets a GET.
func asPost(r *http.Request) {
	message := r.URL.Query().Get("message")
	r.Method, r.URL.RawQuery = http.MethodPost, ""
	r.Header.Set("Content-Type", "application/json")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(message)), int64(len(message))
}

// readTranslated reads the whole message, so that no service sees a request that cannot be translated to its end. It
// reports whether there is one; otherwise the answer is given, or will be by translate.
func (c *call) readTranslated() bool {
	message, err := io.ReadAll(c.r.Body)
	if err != nil {
		if !errors.Is(err, rest.ErrRefused) {
			c.refuse(c.failure(err))
		}
		return false
	}
	if c.r.Method == http.MethodPost {
		c.r.Body, c.r.ContentLength = io.NopCloser(bytes.NewReader(message)), int64(len(message))
	}
	return true
}

// refuseTranslation answers a request that stands for no call.
func (c *call) refuseTranslation(refusal *rest.Refusal) {
	if refusal.Status == http.StatusNotFound && !c.rest {
		c.unknown()
		return
	}
	c.rest = true
	switch {
	case refusal.Broken:
		// What of the answer's headers was there is not this answer's.
		for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Cache-Control", "Last-Modified", "Expires"} {
			c.w.Header().Del(name)
		}
		c.refuseREST(http.StatusServiceUnavailable, rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable,
			"the answer broke off", rpcerror.Meta("service", c.route.Service)))
	case refusal.Status == http.StatusMethodNotAllowed:
		c.refuseREST(refusal.Status, rpcerror.New(connect.CodeUnimplemented, reasonMethodNotAllowed, "the path does not have this method"))
	case refusal.Status == http.StatusUnsupportedMediaType:
		c.refuseREST(refusal.Status, rpcerror.New(connect.CodeInvalidArgument, reasonUnsupportedMedia,
			"the body has to be application/json, as it is or by gzip; streams can be called as RPCs only"))
	case refusal.Status == http.StatusTooManyRequests:
		c.refuseREST(http.StatusTooManyRequests, tooLarge(c.h.MaxMessageBytes))
	default:
		message := refusal.Message
		if message == "" {
			message = "the request cannot be read"
		}
		c.refuseREST(http.StatusBadRequest, rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest, message))
	}
}

// refuseREST answers an error as a google.rpc.Status in JSON (AIP-193).
func (c *call) refuseREST(httpStatus int, err *connect.Error) {
	if limited := c.charge(); limited != nil {
		httpStatus, err = http.StatusTooManyRequests, limited
	}
	reason, wait := explained(err)
	c.note(err, reason)
	if wait > 0 {
		c.w.Header().Set("Retry-After", seconds(wait))
	}
	s := &status.Status{Code: int32(err.Code()), Message: err.Message()}
	for _, detail := range err.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		if err != nil {
			continue
		}
		if packed, err := anypb.New(message); err == nil {
			s.Details = append(s.Details, packed)
		}
	}
	body, failure := protojson.Marshal(s)
	if failure != nil { // all that is in there is the gateway's own
		body = []byte(`{"code":13}`)
	}
	c.w.hurry()
	header := c.w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	c.w.WriteHeader(httpStatus)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(body)
	}
}
