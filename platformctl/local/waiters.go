package local

import (
	"context"
	"strings"
	"sync"
	"time"
)

// waiters knows for what processes that are not ready yet wait.
type waiters struct {
	out *console

	mu      sync.Mutex
	reasons map[string]string // by the unit's name
}

func newWaiters(out *console) *waiters { return &waiters{out: out, reasons: map[string]string{}} }

// follow asks units that are not ready, and writes a line when the answer is another one, until ctx ends.
func (w *waiters) follow(ctx context.Context, units []*unit) {
	begun := time.Now()
	tick := time.NewTicker(waitsInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, u := range units {
			p := u.process()
			if time.Since(begun) < quietFor || p == nil || p.ready() {
				continue
			}
			reason := brief(p.instance.waitsFor(ctx))
			if reason != "" && w.note(u.name, reason) && !p.ready() {
				w.out.eventf(u.name, "%s: %s", w.out.paint(yellow, "not ready yet"), reason)
			}
		}
	}
}

// note keeps the reason of a unit, and reports whether it is another one than before.
func (w *waiters) note(name, reason string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := w.reasons[name] != reason
	w.reasons[name] = reason
	return changed
}

// describe names the units that are not ready, each with the last reason that is known.
func (w *waiters) describe(units []*unit) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var late []string
	for _, u := range units {
		if u.state() == ready {
			continue
		}
		text := u.name
		if reason := w.reasons[u.name]; reason != "" {
			text += " (" + reason + ")"
		}
		late = append(late, text)
	}
	return strings.Join(late, ", ")
}

// brief leaves out of a /readyz answer what every process says that is not ready, and breaks no line.
func brief(reason string) string {
	reason = strings.TrimSuffix(reason, "; starting or stopping")
	if reason == "starting or stopping" {
		return ""
	}
	return strings.Join(strings.Fields(reason), " ")
}
