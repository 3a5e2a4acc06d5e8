// Package cache keeps answers of procedures without side effects for as long as their services say (RFC 9111). Whose an
// answer is, is part of its key. It does not know how answers are had.
package cache

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// overhead is what an answer takes beside its key, fields and body, in bytes: about what the list, the map and the
	// headers of strings need.
	overhead = 512
	// share is the part of all that one answer may take.
	share = 16
)

// Key names an answer. Everything that it may depend on is in it.
type Key struct {
	// Scope is whose it is; the zero Scope is everybody's.
	Scope Scope
	// Host, TLS, Procedure and Query are the request, as it came: services are told the first two.
	Host             string
	TLS              bool
	Procedure, Query string
	// Encoding is the request's Accept-Encoding.
	Encoding string
}

// Scope is a person who works in one session for one organization.
type Scope struct{ User, Session, Organization string }

// Answer is what is kept. It must not be changed.
type Answer struct {
	// Fields are those of the head, name and value.
	Fields [][2]string
	Body   []byte
	ETag   string
	// Began is when it was made, before it came here (RFC 9111, section 4.2.3); Until is when it is not fresh any more.
	Began, Until time.Time
}

func (k Key) bytes(a *Answer) int64 {
	n := overhead + len(k.Scope.User) + len(k.Scope.Session) + len(k.Scope.Organization) + len(k.Host) + len(k.Procedure) + len(k.Query) +
		len(k.Encoding) + len(a.Body) + len(a.ETag)
	for _, field := range a.Fields {
		n += len(field[0]) + len(field[1])
	}
	return int64(n)
}

// Cache is a bounded set of answers; the one that was not asked for longest is given up first. It is safe for concurrent use.
type Cache struct {
	max int64

	mu      sync.Mutex
	answers *simplelru.LRU[Key, *Answer]
	bytes   int64
	flights map[Key]chan struct{}

	// worthwhile has, by procedure, whether its last answer was one to keep: an *atomic.Bool.
	worthwhile sync.Map
	asked      [2]prometheus.Counter
}

// New returns a cache of so many bytes, above zero.
func New(maxBytes int64, registerer prometheus.Registerer) (*Cache, error) {
	c := &Cache{max: maxBytes, flights: map[Key]chan struct{}{}}
	var err error
	c.answers, err = simplelru.NewLRU(int(max(maxBytes/overhead, 1)), func(k Key, a *Answer) { c.bytes -= k.bytes(a) })
	if err != nil {
		return nil, err
	}
	asked := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ashlar_gateway_cache_requests_total", Help: "Requests that could have been answered from the cache, by whether they were.",
	}, []string{"outcome"})
	c.asked = [2]prometheus.Counter{asked.WithLabelValues("miss"), asked.WithLabelValues("hit")}
	return c, errors.Join(registerer.Register(asked), registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ashlar_gateway_cache_bytes", Help: "Size of the answers in the cache.",
	}, func() float64 {
		c.mu.Lock()
		defer c.mu.Unlock()
		return float64(c.bytes)
	})))
}

// Get returns an answer that is fresh; nil where there is none.
func (c *Cache) Get(k Key, now time.Time) *Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.answers.Get(k)
	if ok && !now.Before(a.Until) {
		c.answers.Remove(k)
		ok = false
	}
	if !ok {
		c.asked[0].Inc()
		return nil
	}
	c.asked[1].Inc()
	return a
}

// Put keeps an answer, in the place of one with the same key. One that is too large is not kept.
func (c *Cache) Put(k Key, a *Answer) {
	n := k.bytes(a)
	if n > c.max/share {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers.Remove(k) // so that it is counted off
	c.answers.Add(k, a)
	for c.bytes += n; c.bytes > c.max; {
		c.answers.RemoveOldest()
	}
}

// Worthwhile notes whether an answer of a procedure was one to keep.
func (c *Cache) Worthwhile(procedure string, yes bool) {
	known, ok := c.worthwhile.Load(procedure)
	if !ok {
		if !yes {
			return
		}
		known, _ = c.worthwhile.LoadOrStore(procedure, &atomic.Bool{})
	}
	if flag, ok := known.(*atomic.Bool); ok && flag.Load() != yes {
		flag.Store(yes)
	}
}

// Fly lets one of those who miss the same answer get it, and the others wait for that, so that a popular one that ends does
// not bring all of them at once. The one gets landed, which he has to call; the others get a channel that is closed then.
// Of a procedure whose answers were not kept the last time, nobody waits: both are nil.
func (c *Cache) Fly(k Key) (landed func(), wait <-chan struct{}) {
	known, _ := c.worthwhile.Load(k.Procedure)
	if flag, ok := known.(*atomic.Bool); !ok || !flag.Load() {
		return nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if flight := c.flights[k]; flight != nil {
		return nil, flight
	}
	flight := make(chan struct{})
	c.flights[k] = flight
	return func() {
		c.mu.Lock()
		delete(c.flights, k)
		c.mu.Unlock()
		close(flight)
	}, nil
}
