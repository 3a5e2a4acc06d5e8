package balance

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
)

// attempt is one request to one instance: in one piece, so that it costs one allocation.
type attempt struct {
	request  http.Request
	url      url.URL
	sent     sentBody
	received receivedBody
}

// newAttempt returns req with body as it goes to e. req stays as it is, as a RoundTripper must leave it.
func newAttempt(req *http.Request, body io.ReadCloser, e *endpoint) *attempt {
	a := &attempt{request: *req, url: *req.URL}
	a.url.Host = e.address
	a.request.URL = &a.url
	if a.request.Host == "" {
		a.request.Host = req.URL.Host
	}
	if body != nil && body != http.NoBody { // net/http compares with NoBody, so it is not wrapped
		a.sent.body = body
		a.request.Body = &a.sent
	}
	a.received.endpoint = e
	return a
}

// sentBody is the body of a request that may have to go to another instance. http.Transport closes the body of a
// request that it could not send; here that has no effect until the request is settled.
type sentBody struct {
	body io.ReadCloser
	// failed: it could not be read, which is not the instance's fault.
	failed atomic.Bool

	mu      sync.Mutex
	read    bool // the first byte was asked for
	closed  bool // closed while neither read nor settled
	settled bool // this attempt is the one
	taken   bool // another attempt has the body
}

var errTaken = errors.New("balance: the body belongs to another attempt")

// Read implements io.Reader.
func (s *sentBody) Read(p []byte) (int, error) {
	s.mu.Lock()
	if s.taken {
		s.mu.Unlock()
		return 0, errTaken
	}
	s.read = true
	s.mu.Unlock()
	n, err := s.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed.Store(true)
	}
	return n, err
}

// Close implements io.Closer. It may be called while a Read is waiting, and then ends it if the body's own Close does.
func (s *sentBody) Close() error {
	s.mu.Lock()
	if s.taken {
		s.mu.Unlock()
		return nil
	}
	if !s.read && !s.settled {
		s.closed = true
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	return s.body.Close()
}

// settle says that there will be no other attempt.
func (s *sentBody) settle() {
	s.mu.Lock()
	s.settled = true
	closed := s.closed
	s.mu.Unlock()
	if closed {
		_ = s.body.Close() // its error went nowhere in net/http either
	}
}

// takeBack makes the body free for another attempt, and reports whether it is as it was.
func (s *sentBody) takeBack() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = !s.read
	return s.taken
}

// receivedBody is the body of a response. The request is outstanding until it has been read to its end or closed.
type receivedBody struct {
	io.ReadCloser

	endpoint *endpoint
	tries    int // instances that the request was offered to
	done     atomic.Bool
}

// Answerer returns the id of the instance that a response of a Transport came from, and how many instances the request was
// offered to. It says nothing where the response has no body, or its body has been replaced.
func Answerer(response *http.Response) (instance string, tries int) {
	b, ok := response.Body.(*receivedBody)
	if !ok {
		return "", 0
	}
	return b.endpoint.id, b.tries
}

// over puts b over the body of response.
func (b *receivedBody) over(response *http.Response) {
	if response.Body == nil || response.Body == http.NoBody {
		b.finish()
		return
	}
	b.ReadCloser = response.Body
	response.Body = b
}

// Read implements io.Reader.
func (b *receivedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.finish()
	}
	return n, err
}

// WriteTo implements io.WriterTo, for bases whose bodies know best in what pieces they should be copied.
func (b *receivedBody) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, b.ReadCloser)
	b.finish()
	return n, err
}

// Close implements io.Closer.
func (b *receivedBody) Close() error {
	err := b.ReadCloser.Close()
	b.finish()
	return err
}

func (b *receivedBody) finish() {
	if b.done.CompareAndSwap(false, true) {
		b.endpoint.outstanding.Add(-1)
	}
}
