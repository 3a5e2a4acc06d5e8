package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// bareCommand is the peer that figures are compared with: Go's ReverseProxy, tuned, that checks nothing and knows one
// address.
type bareCommand struct {
	Listen string `arg:"" help:"Address to serve on."`
	To     string `arg:"" help:"Address of the backend."`
	H2     bool   `name:"h2" help:"Speak HTTP/2 without TLS to the backend."`
}

// Run serves until ctx ends.
func (c bareCommand) Run(ctx context.Context) error {
	var inside, outside http.Protocols
	inside.SetHTTP1(!c.H2)
	inside.SetUnencryptedHTTP2(c.H2)
	outside.SetHTTP1(true)
	outside.SetUnencryptedHTTP2(true)
	target := &url.URL{Scheme: "http", Host: c.To}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.SetXForwarded()
			if p.In.Header.Get("Content-Type") == grpcType {
				p.Out.Header.Set("Te", "trailers")
			}
		},
		Transport: &http.Transport{
			Protocols: &inside, MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096, IdleConnTimeout: time.Minute, DisableCompression: true,
		},
		BufferPool: &buffers{},
	}
	if c.H2 {
		proxy.FlushInterval = -1
	}
	server := &http.Server{Handler: proxy, Protocols: &outside, ReadHeaderTimeout: 5 * time.Second}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	go func() { _ = server.Serve(listener) }()
	<-ctx.Done()
	return server.Close()
}

type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
