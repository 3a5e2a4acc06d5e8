// Package overload finds out how many calls a service can take at a time, and refuses those that are too many while that
// is still cheap. It knows services by how long they take to answer, and nothing of requests.
package overload

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// floor is how many calls a service gets at a time in any case.
	floor = 8
	// alone is up to how many calls at a time do not wait for each other: how long they take is what is usual.
	alone = 2
	// unlimited is the limit of a service that nothing is wrong with.
	unlimited = 1 << 20
	// tolerance is how many times longer than usual calls may take, on average: some of the time that calls wait for each other
	// is what keeps a service busy.
	tolerance = 3
	// fast is what is never slow, whatever is usual: pauses of a garbage collector or of the machine are no overload.
	fast = 5 * time.Millisecond
	// window is how long is looked at before the limit is changed, and enough how many calls, within patience.
	window, patience = 100 * time.Millisecond, time.Second
	enough           = 20
	// calm is after which time, in which nobody was refused and nothing was slow, a limit is lifted.
	calm = 5 * time.Second
	// A service that refuses is asked less for a short time, first after doubt and then now and again, in order to see what
	// is usual: it may have changed, or never have been seen.
	doubt, doubtEvery, probeTime = time.Second, 30 * time.Second, time.Second
	// ratioOne is the number for a call that takes as long as usual.
	ratioOne = 1 << 10
)

// Priority says what is refused first. The zero value is Normal.
type Priority int

// From what is refused first to what is refused last.
const (
	Low Priority = iota - 1
	Normal
	High
)

// String is the name that manifests have for it.
func (p Priority) String() string {
	switch p {
	case Low:
		return "low"
	case High:
		return "high"
	default:
		return "normal"
	}
}

// of is how many calls may be under way where there are to be limit.
func (p Priority) of(limit int64) int64 {
	switch p {
	case Low:
		return limit - limit/4
	case High:
		return limit + reserve(limit)
	case Normal:
	}
	return limit
}

// reserve is how many calls with high priority may be under way whatever there is beside them.
func reserve(limit int64) int64 { return limit/4 + floor/2 }

// Service is what is known of the load of one service. It is safe for concurrent use.
type Service struct {
	now   func() time.Duration
	limit atomic.Int64
	// probing is until when few calls are let through, or until enough of them were seen.
	probing, seenAlone atomic.Int64
	// quiet is how many calls in a row had the service for themselves, as far as is known.
	quiet atomic.Int64

	// inFlight is how many calls are under way, and high how many of those have high priority.
	inFlight, high atomic.Int64
	// callers holds how many of them are of callers, by parts of their hashes.
	callers [256]atomic.Int32

	// Of the window that has begun.
	ends          atomic.Int64
	calls, ratios atomic.Int64 // calls that ended, and the sum of how many times longer than usual they took
	usual         atomic.Int64 // the sum of how long is usual for them
	answers, left atomic.Int64 // calls that were answered, and those whose callers left when it took too long
	peak, refused atomic.Int64

	procedures sync.Map // by name: *Procedure

	mu sync.Mutex // of what follows
	// When there was no limit, when anybody was refused or anything was slow, and when it was probed, last.
	limited, trouble, probed time.Duration
}

// NewService returns a service of which nothing is known: it has no limit.
func NewService() *Service {
	begun := time.Now()
	return newService(func() time.Duration { return time.Since(begun) })
}

func newService(now func() time.Duration) *Service {
	s := &Service{now: now, probed: -doubtEvery}
	s.limit.Store(unlimited)
	return s
}

// Limit is how many calls may be under way at a time, and whether there is such a limit at the moment.
func (s *Service) Limit() (limit int64, limited bool) {
	limit = s.limit.Load()
	return limit, limit < unlimited
}

// InFlight is how many calls have a place.
func (s *Service) InFlight() int64 { return s.inFlight.Load() }

// Busy tells whether a call of this priority would be refused because of the number of others.
func (s *Service) Busy(priority Priority) bool {
	return s.inFlight.Load() >= priority.of(s.limit.Load())
}

// enter adds one call to those that are under way, if there is room.
func (s *Service) enter(caller uint8, priority Priority, now time.Duration) (isAlone, ok bool) {
	limit := s.limit.Load()
	most := priority.of(limit)
	if until := s.probing.Load(); until != 0 {
		if int64(now) < until {
			most = alone
			if priority != High {
				most-- // so that what is important has room
			}
		} else {
			s.probing.CompareAndSwap(until, 0)
		}
	}
	n := s.inFlight.Add(1)
	own := int64(s.callers[caller].Add(1))
	ok = n <= most && (limit == unlimited || fair(own, n, most))
	if priority == High && s.high.Add(1) <= reserve(limit) && s.probing.Load() == 0 {
		ok = true // also while others who came before there was a limit are still many
	}
	if !ok {
		s.exit(caller, priority)
		s.refused.Add(1)
		return false, false
	}
	if n > s.peak.Load() {
		s.peak.Store(n) // of two at the same time one may be lost
	}
	if n > alone {
		s.quiet.Store(0)
		return false, true
	}
	// The first of them wait for what the service still had to do.
	return s.quiet.Add(1) > 2*alone, true
}

// fair tells whether a caller who would have own of n calls may have one more, where there is a limit: half of what there
// may be, and while there is nobody else, all but the place that somebody else begins with.
func fair(own, n, most int64) bool {
	return 2*own <= max(most, 2) || own == n && own < most
}

// sawAlone notes a call that had the service for itself.
func (s *Service) sawAlone() {
	if s.seenAlone.Add(1) == 2*few {
		s.probing.Store(0)
	}
}

// gaveUp notes a caller who left because it took too long.
func (s *Service) gaveUp(now time.Duration) {
	s.quiet.Store(0) // the service may go on with it
	s.left.Add(1)
	s.look(now)
}

func (s *Service) exit(caller uint8, priority Priority) {
	if priority == High {
		s.high.Add(-1)
	}
	s.inFlight.Add(-1)
	s.callers[caller].Add(-1)
}

// note counts a call that has ended: ratio is how many times longer than usual it took.
func (s *Service) note(ratio int64, usual time.Duration, answered bool, now time.Duration) {
	if answered {
		s.answers.Add(1)
	}
	s.ratios.Add(ratio)
	s.usual.Add(int64(usual))
	s.calls.Add(1)
	s.look(now)
}

// look ends the window if it has been long enough.
func (s *Service) look(now time.Duration) {
	ends, calls := time.Duration(s.ends.Load()), s.calls.Load()+s.left.Load()
	if now < ends || calls == 0 || calls < enough && now < ends+patience || !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if ends != time.Duration(s.ends.Load()) {
		return // somebody else was faster
	}
	s.ends.Store(int64(now + window))
	w := seen{calls: float64(s.calls.Swap(0)), answers: float64(s.answers.Swap(0)), left: float64(s.left.Swap(0)), refused: s.refused.Swap(0), peak: s.peak.Swap(s.inFlight.Load()), took: now - ends + window}
	if w.calls > 0 {
		w.ratio = float64(s.ratios.Swap(0)) / w.calls / ratioOne
		w.usual = time.Duration(float64(s.usual.Swap(0)) / w.calls)
	}
	s.judge(w, now)
	if s.doubts(w, now) {
		s.probed = now
		s.seenAlone.Store(0)
		s.probing.Store(int64(now + probeTime))
	}
}

// seen is what a window showed.
type seen struct {
	calls         float64 // that ended, whether they were answered or not
	answers, left float64 // of calls that were answered, and of those whose callers left when it took too long
	took          time.Duration
	ratio         float64 // of how long they took to how long is usual, on average
	usual         time.Duration
	peak, refused int64
}

// room is how many calls may be under way so that they take tolerance times as long as is usual, at the pace at which the
// service answers (Little's law). It holds where the service is busy.
func (w *seen) room() int64 {
	return max(int64(math.Ceil(w.answers/w.took.Seconds()*max(w.usual, fast).Seconds()*tolerance)), floor)
}

// judge changes the limit after a window.
func (s *Service) judge(w seen, now time.Duration) {
	limit, room := s.limit.Load(), w.room()
	switch {
	case w.left >= enough && w.left > w.answers:
		// Whatever is usual: what the service works on is for nobody.
		s.trouble = now
		s.limit.Store(max(min(limit, w.peak)/2, floor))
	case w.ratio <= tolerance:
		s.relax(limit, w, now)
	case w.peak <= room && limit == unlimited:
		// They take long and do not wait for each other: that is chance, or a matter of the few that were asked.
	case room < limit:
		s.trouble = now
		if limit < unlimited {
			room = max(room, limit/2) // the service may have paused for as long as the window
		}
		s.limit.Store(room)
	default:
		s.trouble = now
	}
	if s.limit.Load() == unlimited {
		s.limited = now
	}
}

// doubts tells whether it is time to see again what is usual, because calls are refused for it.
func (s *Service) doubts(w seen, now time.Duration) bool {
	return w.refused > 0 && now-s.limited >= doubt && now-s.probed >= doubtEvery
}

// relax raises a limit that may be too low, and lifts one that nobody has needed for some time.
func (s *Service) relax(limit int64, w seen, now time.Duration) {
	if w.refused > 0 {
		s.trouble = now
	} else if now-s.trouble >= calm {
		s.limit.Store(unlimited)
		return
	}
	if limit < unlimited && (w.refused > 0 || 2*w.peak > limit) {
		s.limit.Store(min(limit+max(limit/8, 1), unlimited))
	}
}
