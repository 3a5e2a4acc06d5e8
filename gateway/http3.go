package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"ashlar.dev/gateway/internal/limit"
)

const (
	// quicKeepAlive is how often a client is asked whether it is still there: a stream may be silent for longer than
	// what would be taken for its end. A connection without requests ends all the same, as those of HTTP/2 do.
	quicKeepAlive = 15 * time.Second
	// quicQuiet is for how long there may be no request until a connection is closed whose client was told that the gateway
	// stops: what was answered last may still be under way.
	quicQuiet = 500 * time.Millisecond
	// altSvcAge is how long a client may remember that there is HTTP/3 here.
	altSvcAge = 24 * time.Hour
)

// overQUIC serves HTTP/3 on the UDP port that has the number of the TCP port.
type overQUIC struct {
	server      *http3.Server
	connections *limit.Connections
	// packets, transport and listener are nil before it listens.
	packets   net.PacketConn
	transport *quic.Transport
	listener  *quic.EarlyListener
	// open counts the requests that are under way.
	open atomic.Int64
	// altSvc is the header by which others learn of it; nil before it listens. It is shared by all answers.
	altSvc atomic.Pointer[[]string]
}

// newOverQUIC returns HTTP/3 beside a server that speaks TLS, with the same bounds, and connections among those that both may
// have; and lets the answers of that server say that it is there.
func newOverQUIC(beside *http.Server, connections *limit.Connections, log *slog.Logger) *overQUIC {
	handler := beside.Handler
	q := &overQUIC{connections: connections}
	q.server = &http3.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q.open.Add(1)
			defer q.open.Add(-1)
			handler.ServeHTTP(w, r)
		}),
		TLSConfig:      &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: beside.TLSConfig.GetCertificate},
		MaxHeaderBytes: beside.MaxHeaderBytes, IdleTimeout: beside.IdleTimeout,
		// What is sent with the first packet could be sent again by others (RFC 8470).
		QUICConfig: &quic.Config{Allow0RTT: false, KeepAlivePeriod: quicKeepAlive, MaxIncomingStreams: int64(beside.HTTP2.MaxConcurrentStreams)},
		Logger:     log,
	}
	beside.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if altSvc := q.altSvc.Load(); altSvc != nil {
			w.Header()["Alt-Svc"] = *altSvc
		}
		handler.ServeHTTP(w, r)
	})
	return q
}

// listen binds the UDP port of an address.
func (q *overQUIC) listen(ctx context.Context, address net.Addr) error {
	var lc net.ListenConfig
	packets, err := lc.ListenPacket(ctx, "udp", address.String())
	if err != nil {
		return fmt.Errorf("listen for HTTP/3: %w", err)
	}
	transport := &quic.Transport{Conn: packets, ConnContext: q.enter, VerifySourceAddress: q.connections.Crowded}
	listener, err := transport.ListenEarly(http3.ConfigureTLSConfig(q.server.TLSConfig), q.server.QUICConfig)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for HTTP/3: %w", err), transport.Close(), packets.Close())
	}
	q.packets, q.transport, q.listener = packets, transport, listener
	_, port, err := net.SplitHostPort(address.String())
	q.altSvc.Store(&[]string{fmt.Sprintf(`h3=":%s"; ma=%d`, port, int(altSvcAge/time.Second))})
	return err
}

// enter counts a connection for as long as it lasts, from its first packet on.
func (q *overQUIC) enter(ctx context.Context, client *quic.ClientInfo) (context.Context, error) {
	leave, ok := q.connections.Enter(client.RemoteAddr)
	if !ok {
		return nil, errors.New("too many connections")
	}
	context.AfterFunc(ctx, leave)
	return ctx, nil
}

// serve serves until shutdown; it returns http.ErrServerClosed then.
func (q *overQUIC) serve() error { return q.server.ServeListener(q.listener) }

// shutdown tells clients to send nothing more, waits for the requests that are under way, and closes the connections. A
// client that keeps its connection although nothing is under way does not hold it up.
func (q *overQUIC) shutdown(ctx context.Context) error {
	if q.packets == nil {
		return nil
	}
	q.altSvc.Store(nil)
	drained, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		ticker := time.NewTicker(quicQuiet / 10)
		defer ticker.Stop()
		last := time.Now()
		for time.Since(last) < quicQuiet {
			select {
			case <-drained.Done():
				return
			case <-ticker.C:
			}
			if q.open.Load() > 0 {
				last = time.Now()
			}
		}
		cancel()
	}()
	// Who begins now is refused; connections that are open go on.
	err := q.listener.Close()
	if failure := q.server.Shutdown(drained); ctx.Err() != nil || !errors.Is(failure, context.Canceled) {
		err = errors.Join(err, failure)
	}
	return errors.Join(err, q.transport.Close(), q.packets.Close())
}
