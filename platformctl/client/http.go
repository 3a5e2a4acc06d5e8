package client

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

const dialTimeout = 10 * time.Second

// httpClient is an HTTP client whose connections can be closed, also those that are in use.
type httpClient struct {
	http.Client

	mu    sync.Mutex
	conns []net.Conn
}

// newHTTPClient returns a client that speaks HTTP/2 also without TLS, which gRPC and streams need, and that follows no
// redirect: a token is for the gateway only.
func newHTTPClient() *httpClient {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	c := &httpClient{}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: c.dial, Protocols: protocols}
	return c
}

func (c *httpClient) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn) // one, as long as it lasts
	return conn, nil
}

func (c *httpClient) close() {
	c.CloseIdleConnections()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}
