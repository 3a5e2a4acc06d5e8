package edge

import (
	"log/slog"
	"net/http"
	"net/http/httputil"
	"sync"

	"go.opentelemetry.io/otel/propagation"

	"ashlar.dev/gateway/internal/wire"
)

// copyBytes is the size of the buffers by which responses are copied.
const copyBytes = 32 << 10

// newProxy returns the proxy that passes calls on. What is particular to one call it finds in the request's context.
func (h *Handler) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:   h.rewrite,
		Transport: h.RoundTripper,
		// Every piece at once: a message must not wait for the next one.
		FlushInterval:  -1,
		BufferPool:     &buffers{},
		ModifyResponse: watchResponse,
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			c := callOf(r.Context())
			c.refuse(c.failure(err)) //nolint:contextcheck // the context is the call's own
		},
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
}

// rewrite makes the request that the service gets.
func (h *Handler) rewrite(p *httputil.ProxyRequest) {
	c := callOf(p.In.Context())
	p.Out.URL.Scheme, p.Out.URL.Host, p.Out.URL.User = "http", c.route.Service, nil
	p.Out.Host = "" // the service's name
	p.Out.Trailer = nil
	p.SetXForwarded()
	if c.tells() {
		c.timer.forward(c.protocol, p.Out.Header)
	}
	if c.protocol == wire.GRPC {
		p.Out.Header.Set("Te", "trailers") // the protocol asks for it; the caller's belonged to his connection
	}
	h.propagator.Inject(p.Out.Context(), propagation.HeaderCarrier(p.Out.Header))
}

func watchResponse(response *http.Response) error {
	c := callOf(response.Request.Context())
	c.timer.answered()
	c.answeredWith(response.StatusCode, response.Header.Get("Grpc-Status"), c.request.wholeAt.Load())
	c.response.watch(c, response)
	return nil
}

// buffers implements httputil.BufferPool.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, copyBytes)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
