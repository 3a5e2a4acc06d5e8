package live

import (
	"sync/atomic"
	"time"
)

// Stream is a stream that is open. What is exported in it does not change. Names in JSON stay.
type Stream struct {
	ID        uint64    `json:"id"`
	Procedure string    `json:"procedure"`
	Protocol  string    `json:"protocol"`
	HTTP      string    `json:"http"`
	Client    string    `json:"client"` // address
	Principal string    `json:"principal,omitempty"`
	Session   string    `json:"session,omitempty"`
	Service   string    `json:"service,omitempty"`
	TraceID   string    `json:"traceId"`
	Since     time.Time `json:"since"`

	// instance is where it goes; nil until that is known.
	instance atomic.Pointer[string]
	// got and sent count bytes of bodies.
	got, sent *atomic.Int64
}

// Open puts a stream into the registry until close is called. got and sent count the bytes of its bodies.
func (r *Registry) Open(s *Stream, got, sent *atomic.Int64) (closed func()) {
	s.ID, s.got, s.sent = r.next.Add(1), got, sent
	r.streams.Store(s.ID, s)
	return func() { r.streams.Delete(s.ID) }
}

// SetInstance notes to which instance the stream goes. It may be called at any time.
func (s *Stream) SetInstance(id string) { s.instance.Store(&id) }

// OpenStream is a Stream as it is at one time. Names in JSON stay.
type OpenStream struct {
	*Stream

	Instance      string `json:"instance,omitempty"`
	ReceivedBytes int64  `json:"receivedBytes"`
	SentBytes     int64  `json:"sentBytes"`
}

func (s *Stream) snapshot() OpenStream {
	out := OpenStream{Stream: s, ReceivedBytes: s.got.Load(), SentBytes: s.sent.Load()}
	if id := s.instance.Load(); id != nil {
		out.Instance = *id
	}
	return out
}
