package limit

import "sync"

// Streams bounds how many streams one caller has open at a time. It is safe for concurrent use.
type Streams struct {
	mu   sync.Mutex
	each int
	open map[place]int
}

// place is where streams are counted: those of one caller, or those of all the people at an address.
type place struct {
	caller Caller
	crowd  bool
}

// NewStreams returns one without a bound.
func NewStreams() *Streams { return &Streams{open: map[place]int{}} }

// SetEach sets how many streams each caller may have; 0: no bound. Those that are open stay.
func (s *Streams) SetEach(each int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each = each
}

// Enter counts one more stream of a caller at a site, until leave is called, once. Where he has as many as he may, or
// the people at the site together have, ok is false, nothing is counted, and leave is nil.
func (s *Streams) Enter(caller, site Caller) (leave func(), ok bool) {
	own, all := place{caller: caller}, place{caller: site, crowd: true}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.each > 0 && (s.open[own] >= s.each || caller != site && s.open[all] >= Crowd*s.each) {
		return nil, false
	}
	s.open[own]++
	if caller != site {
		s.open[all]++
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.remove(own)
		if caller != site {
			s.remove(all)
		}
	}, true
}

// remove forgets callers who have none left.
func (s *Streams) remove(p place) {
	if s.open[p]--; s.open[p] == 0 {
		delete(s.open, p)
	}
}
