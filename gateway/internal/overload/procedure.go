package overload

import (
	"sync/atomic"
	"time"
)

// long is what takes too long where it is not known what is usual.
const long = 100 * time.Millisecond

// few is how many calls it takes to know anything, and many to know it well.
const few, many = 8, 128

// Procedure is what is known of one procedure of a service: what takes long is not slow where it always takes as long. It
// is safe for concurrent use.
type Procedure struct {
	service *Service
	// usual is how long a call takes while there are few others; 0: not known.
	usual atomic.Int64
	// alone and all are averages of calls that had the service for themselves, and of all calls.
	alone, all average
}

// average is one over the most recent values. Of two that are added at the same time one may be lost.
type average struct{ value, count atomic.Int64 }

// add adds a value, which counts for one of so many, and returns the average.
func (a *average) add(value time.Duration, of int64) time.Duration {
	n := min(a.count.Load()+1, of)
	a.count.Store(n)
	average := a.value.Load()
	average += (int64(value) - average) / n
	a.value.Store(average)
	return time.Duration(average)
}

// Procedure returns what is known of the procedure with a name; the same one each time.
func (s *Service) Procedure(name string) *Procedure {
	p, ok := s.procedures.Load(name)
	if !ok {
		p, _ = s.procedures.LoadOrStore(name, &Procedure{service: s})
	}
	known, _ := p.(*Procedure) // nothing else is in there
	return known
}

// Service is what the procedure is of.
func (p *Procedure) Service() *Service { return p.service }

// Usual is how long a call takes while there are few others; 0: not known.
func (p *Procedure) Usual() time.Duration { return time.Duration(p.usual.Load()) }

// Slot is a call that is under way. The zero value is none. It belongs to one goroutine.
type Slot struct {
	procedure *Procedure
	began     time.Duration
	caller    uint8
	priority  Priority
	alone     bool
	// released: it has no place any more, and took is for how long the service had all that it needed.
	released bool
	took     time.Duration
}

// Enter lets a call of a caller, known by a hash, go to the service; false: it is refused, because there are too many.
func (p *Procedure) Enter(caller uint64, priority Priority) (Slot, bool) {
	now := p.service.now()
	isAlone, ok := p.service.enter(uint8(caller), priority, now)
	if !ok {
		p.service.look(now)
		return Slot{}, false
	}
	return Slot{procedure: p, began: now, caller: uint8(caller), priority: priority, alone: isAlone}, true
}

// Release gives up the call's place: the service has begun to answer, after it had all that it needed for so long. What that
// says is told afterwards, by Learn, Abandon or Forget.
func (s *Slot) Release(took time.Duration) {
	if s.procedure == nil || s.released {
		return
	}
	s.released, s.took = true, took
	s.procedure.service.exit(s.caller, s.priority)
}

// Learn ends a call that was released: that is how long the service takes.
func (s *Slot) Learn() {
	if p := s.leave(); p != nil {
		p.learn(s.took, s.alone)
		p.note(s.took, true)
	}
}

// Abandon ends the call: it is not known how long the service would have taken, but not less than this.
func (s *Slot) Abandon() {
	took := s.Age()
	if p := s.leave(); p != nil {
		p.note(took, false)
	}
}

// Forget ends the call, and nothing is learned from it.
func (s *Slot) Forget() { s.leave() }

// Waiting tells whether the service has not begun to answer.
func (s *Slot) Waiting() bool { return s.procedure != nil && !s.released }

// Age is how long ago the call went to the service.
func (s *Slot) Age() time.Duration {
	if s.procedure == nil {
		return 0
	}
	return s.procedure.service.now() - s.began
}

// leave ends the call, once, and returns the procedure then.
func (s *Slot) leave() *Procedure {
	p := s.procedure
	if p == nil {
		return nil
	}
	if !s.released {
		p.service.exit(s.caller, s.priority)
	}
	s.procedure = nil
	return p
}

// note tells the service how long a call took, or where it was not answered, that it took too long if it did.
func (p *Procedure) note(took time.Duration, answered bool) {
	usual := time.Duration(p.usual.Load())
	now := p.service.now()
	if usual == 0 {
		if !answered && took >= long {
			p.service.gaveUp(now)
		}
		return
	}
	if p.alone.count.Load() < few {
		usual *= 2 // it was seen only beside others, and of those the first that ended are the ones that were fast
	}
	ratio := int64(took * ratioOne / max(usual, fast))
	late := ratio > tolerance*ratioOne
	if answered || late {
		p.service.note(ratio, usual, answered, now)
	}
	if !answered && late {
		p.service.gaveUp(now)
	}
}

// learn adjusts what is usual: to what takes longer only where the call had the service for itself, or else what is usual
// would follow the load. Of two at the same time one may be lost.
func (p *Procedure) learn(took time.Duration, alone bool) {
	all := p.all.add(took, many)
	if alone {
		p.service.sawAlone()
		if own := p.alone.add(took, 2*few); p.alone.count.Load() >= few {
			p.usual.Store(int64(max(own, 1)))
			return
		}
	}
	if usual := time.Duration(p.usual.Load()); usual == 0 && p.all.count.Load() >= few || all < usual {
		p.usual.Store(int64(max(all, 1)))
	}
}
