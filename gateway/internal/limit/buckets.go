package limit

import (
	"sync"
	"time"
)

// maxBuckets bounds the buckets that are remembered: with about 20 to 40 bytes each. Those that have been used least
// lately are forgotten, which gives their owners full ones.
const maxBuckets = 1 << 20

// shards is how many parts buckets have, so that requests seldom wait for each other. A power of two.
const shards = 64

// sharded keeps a value for each of the keys that were used lately.
type sharded[V any] struct{ shards [shards]shard[V] }

// shard forgets by generations: what was not used while young filled up is gone with old. Its methods are for whoever
// holds mu.
type shard[V any] struct {
	mu         sync.Mutex
	young, old map[uint64]V
	most       int      // in one generation
	_          [24]byte // two of them are not in one cache line
}

func newSharded[V any](most int) *sharded[V] {
	s := &sharded[V]{}
	for i := range s.shards {
		s.shards[i] = shard[V]{young: map[uint64]V{}, old: map[uint64]V{}, most: max(most/shards/2, 1)}
	}
	return s
}

func (s *sharded[V]) of(key uint64) *shard[V] { return &s.shards[key%shards] }

func (s *shard[V]) get(key uint64) V {
	if v, ok := s.young[key]; ok {
		return v
	}
	return s.old[key]
}

func (s *shard[V]) put(key uint64, v V) {
	s.young[key] = v
	if len(s.young) >= s.most {
		s.young, s.old = s.old, s.young
		clear(s.young)
	}
}

// buckets holds when each bucket will be full again. It is safe for concurrent use.
type buckets struct{ *sharded[time.Duration] }

func newBuckets(most int) buckets { return buckets{newSharded[time.Duration](most)} }

// take takes one request from a bucket, and returns where it is then, and how long to wait where nothing was left.
func (b buckets) take(key uint64, r rate, now time.Duration) (full, wait time.Duration) {
	s := b.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	full, wait = r.take(s.get(key), now)
	s.put(key, full)
	return full, wait
}

// giveBack undoes one take.
func (b buckets) giveBack(key uint64, r rate) {
	s := b.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key, s.get(key)-r.interval)
}

// raise empties a bucket at least so far.
func (b buckets) raise(key uint64, full time.Duration) {
	s := b.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if full > s.get(key) {
		s.put(key, full)
	}
}
