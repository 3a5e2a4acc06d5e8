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

// buckets holds when each bucket would be full again. It is safe for concurrent use.
type buckets struct {
	shards [shards]shard
}

// shard forgets by generations: what was not used while young filled up is gone with old.
type shard struct {
	mu         sync.Mutex
	young, old map[uint64]time.Duration
	most       int      // in one generation
	_          [24]byte // two of them are not in one cache line
}

func newBuckets(most int) *buckets {
	b := &buckets{}
	for i := range b.shards {
		b.shards[i] = shard{young: map[uint64]time.Duration{}, old: map[uint64]time.Duration{}, most: max(most/shards/2, 1)}
	}
	return b
}

func (b *buckets) of(key uint64) *shard { return &b.shards[key%shards] }

// take takes one request from a bucket, and returns where it is then, and how long to wait where nothing was left.
func (b *buckets) take(key uint64, r rate, now time.Duration) (full, wait time.Duration) {
	s := b.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	full, wait = r.take(s.get(key), now)
	s.put(key, full)
	return full, wait
}

// giveBack undoes one take.
func (b *buckets) giveBack(key uint64, r rate) {
	s := b.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key, s.get(key)-r.interval)
}

func (s *shard) get(key uint64) time.Duration {
	if full, ok := s.young[key]; ok {
		return full
	}
	return s.old[key]
}

func (s *shard) put(key uint64, full time.Duration) {
	s.young[key] = full
	if len(s.young) >= s.most {
		s.young, s.old = s.old, s.young
		clear(s.young)
	}
}
