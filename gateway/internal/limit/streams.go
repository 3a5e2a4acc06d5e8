package limit

import "sync"

// Streams bounds how many streams one caller has open at a time. It is safe for concurrent use.
type Streams struct {
	each int

	mu   sync.Mutex
	open map[place]int
}

// place is where streams are counted: those of one caller, or those of all the people at an address.
type place struct {
	caller Caller
	crowd  bool
}

// NewStreams returns a bound of so many streams each; 0 is none.
func NewStreams(each int) *Streams { return &Streams{each: each, open: map[place]int{}} }

// Enter counts one more stream of a caller at a site, until leave is called, once. Where he has as many as he may, or
// the people at the site together have, ok is false, nothing is counted, and leave is nil.
func (s *Streams) Enter(caller, site Caller) (leave func(), ok bool) {
	if s.each == 0 {
		return func() {}, true
	}
	own, all := place{caller: caller}, place{caller: site, crowd: true}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[own] >= s.each || caller != site && s.open[all] >= Crowd*s.each {
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
