package balance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/memory"
)

const patience = 30 * time.Second

// world is a directory with instances of the service "orders", and a client that balances over them.
type world struct {
	t         *testing.T
	directory *memory.Registry
	transport *Transport
	client    *http.Client
	standIn   sync.Map // by address, where what is dialed there is
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, directory: memory.New()}
	base := DefaultBase()
	dial := base.DialContext
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if there, ok := w.standIn.Load(address); ok {
			address, _ = there.(string)
		}
		return dial(ctx, network, address)
	}
	w.transport = New(w.directory, base)
	w.client = &http.Client{Transport: w.transport}
	t.Cleanup(base.CloseIdleConnections)
	return w
}

// instance starts an instance and registers it.
func (w *world) instance(i int, handler http.HandlerFunc) *server {
	w.t.Helper()
	s := listen(w.t, handler)
	w.register(i, s.address)
	return s
}

// comeAndGo registers an instance that comes with the function it returns, as often as that is called, and goes when it is
// killed. It keeps its address, which nobody else can get meanwhile.
func (w *world) comeAndGo(i int, handler http.HandlerFunc) (come func() *server) {
	w.t.Helper()
	address := deadAddress(i)
	w.register(i, address)
	return func() *server {
		s := listen(w.t, handler)
		s.gone = func() { w.standIn.Delete(address) }
		w.standIn.Store(address, s.address)
		return s
	}
}

func (w *world) register(i int, address string) {
	w.t.Helper()
	require.NoError(w.t, w.directory.Register(w.t.Context(), discovery.Registration{Instance: instanceOf(i, address)}))
}

func instanceOf(i int, address string) discovery.Instance {
	return discovery.Instance{ID: fmt.Sprintf("orders-%d", i), Service: "orders", Address: address}
}

func (w *world) request(ctx context.Context, body io.Reader) *http.Request {
	w.t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://orders/acme.orders.v1.OrderService/Create?q=1", body)
	require.NoError(w.t, err)
	return request
}

// post may be called from any goroutine.
func (w *world) post(body string) (string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	response, err := w.client.Do(w.request(ctx, strings.NewReader(body)))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return string(got), err
}

// until sends requests until want is answered.
func (w *world) until(want string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		got, err := w.post("")
		return err == nil && got == want
	}, patience, time.Millisecond)
}

// endpoint returns what the transport knows of an instance.
func (w *world) endpoint(i int) *endpoint {
	w.t.Helper()
	for _, e := range w.transport.cluster("orders").current().endpoints {
		if e.id == fmt.Sprintf("orders-%d", i) {
			return e
		}
	}
	w.t.Fatalf("no endpoint orders-%d", i)
	return nil
}

// requireIdle fails if a request is counted that is over.
func (w *world) requireIdle() {
	w.t.Helper()
	for _, e := range w.transport.cluster("orders").current().endpoints {
		require.Zero(w.t, e.outstanding.Load(), e.id)
	}
}

// server speaks h2c.
type server struct {
	address string
	http    *http.Server
	done    chan struct{}
	gone    func() // nil: nobody is told
}

func listen(t *testing.T, handler http.HandlerFunc) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &server{address: listener.Addr().String(), http: &http.Server{Handler: handler, Protocols: protocols}, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	}()
	t.Cleanup(s.kill)
	return s
}

// kill drops all connections.
func (s *server) kill() {
	if s.gone != nil {
		s.gone()
	}
	_ = s.http.Close()
	<-s.done
}

// drain ends the server once its requests are answered.
func (s *server) drain() {
	_ = s.http.Shutdown(context.Background())
	<-s.done
}

// deadAddress returns an address that refuses, another one for each instance. Its port is one of the first, which no system
// gives to whoever asks for any, so nobody comes to be there meanwhile.
func deadAddress(i int) string { return fmt.Sprintf("127.0.0.1:%d", i+1) }

func echo(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }

func name(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// onlyOnce is a body that net/http does not know how to rewind.
type onlyOnce struct {
	io.Reader

	closed atomic.Int64
}

func (o *onlyOnce) Close() error {
	o.closed.Add(1)
	return nil
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// silentDirectory knows nothing until it is told.
type silentDirectory struct {
	*discovery.Source[[]discovery.Instance]
}

func (d silentDirectory) Instances(string) *discovery.Watch[[]discovery.Instance] { return d.Watch() }
func (d silentDirectory) Services() *discovery.Watch[[]string]                    { panic("not asked for") }

// wire passes bytes between clients and a server until it is cut; from then on it swallows them, and nobody is told.
type wire struct {
	address string
	broken  atomic.Bool
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{address: listener.Addr().String()}
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			mu.Lock()
			open = append(open, client, upstream)
			mu.Unlock()
			running.Go(func() { w.pass(upstream, client) })
			running.Go(func() { w.pass(client, upstream) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return w
}

func (w *wire) cut() { w.broken.Store(true) }

func (w *wire) pass(to, from net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if !w.broken.Load() {
			_, _ = to.Write(buffer[:n])
		}
	}
}
