package gateway

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"ashlar.dev/gateway/internal/certificate"
	"ashlar.dev/kernel/lifecycle"
)

// secure is TLS on the listener for requests from outside.
type secure struct {
	certificate *certificate.Holder
	reread      *reread
}

// newSecure returns TLS with the certificate that the configuration names; nil where it names none.
func newSecure(g *Gateway) (*secure, error) {
	certFile, keyFile := g.cfg.TLSCertFile, g.cfg.TLSKeyFile
	if certFile == "" {
		return nil, nil
	}
	s := &secure{certificate: certificate.New(certFile, keyFile)}
	metrics, err := newRereadMetrics(g.telemetry.Metrics, "ashlar_gateway_tls_certificate", "the certificate")
	if err != nil {
		return nil, err
	}
	s.reread = &reread{
		what: "the certificate", files: []string{certFile, keyFile}, metrics: metrics, log: g.telemetry.Log, remind: s.worry,
		read: func() (changed []string, err error) {
			if loaded, err := s.certificate.Load(); err != nil || !loaded {
				return nil, err
			}
			s.worry(context.Background())
			return []string{certFile, keyFile}, nil
		},
	}
	return s, g.telemetry.Metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ashlar_gateway_tls_certificate_expiry_timestamp_seconds", Help: "When the certificate expires.",
	}, func() float64 { return float64(s.certificate.Expiry().Unix()) }))
}

// worry logs what is wrong with the time of the certificate.
func (s *secure) worry(ctx context.Context) {
	if err := s.certificate.Worry(); err != nil {
		s.reread.log.WarnContext(ctx, "people refuse the certificate, or will soon", "error", err)
	}
}

// component reads the certificate, without which there is no start, and then watches it.
func (s *secure) component(name string) lifecycle.Component {
	c := s.reread.component(name)
	watch := c.Start
	c.Start = func(ctx context.Context) error {
		if _, err := s.reread.read(); err != nil {
			return err
		}
		return watch(ctx)
	}
	return c
}

// set lets a server speak HTTP/1.1 and HTTP/2 over TLS 1.2 and later, with what Go thinks good at the time.
func (s *secure) set(server *http.Server) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	server.Protocols = &protocols
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate.Get}
}

// loopback tells whether only this machine can reach an address.
func loopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
