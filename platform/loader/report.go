package loader

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/platform/service"
)

// State is what has become of a part while everything was to start.
type State string

// What can become of it.
const (
	NotStarted State = "not started"
	Starting   State = "starting"
	Ready      State = "ready"
	// Failed is a part that kept everything from starting, GivenUp one that did not go on because another one failed.
	Failed  State = "failed"
	GivenUp State = "given up"
)

// Report is what has become of everything so far. Durations are in milliseconds.
type Report struct {
	Ready  bool    `json:"ready"`
	TookMs float64 `json:"tookMs"`
	StopMs float64 `json:"stopMs"`
	// Error is why it did not start.
	Error string `json:"error,omitempty"`
	Parts []Part `json:"services"`
}

// Part is a service, or something else that was loaded beside the services and has components of its own.
type Part struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// Rank is the same for services that have no order between them.
	Rank int `json:"rank"`
	// After names the services that come directly before it.
	After []string `json:"after"`
	State State    `json:"state"`
	// Order counts the parts in the order in which they became ready, from 1; 0: this one did not.
	Order int `json:"order"`
	// BegunMs and ReadyMs are when it began and when it was ready, after everything began.
	BegunMs float64 `json:"begunMs"`
	ReadyMs float64 `json:"readyMs"`
	// BusyMs is what its own components took; the rest of the time it waited for others.
	BusyMs float64 `json:"busyMs"`
	// Component is the one that failed or was given up, Error what it said.
	Component string `json:"component,omitempty"`
	Error     string `json:"error,omitempty"`
	// StopMs is what its stop took, StopErrors what went wrong with that.
	StopMs     float64  `json:"stopMs"`
	StopErrors []string `json:"stopErrors,omitempty"`
}

// Report tells what has become of everything so far, in the order in which it could start one after the other.
func (l *Loader) Report() Report {
	l.mu.Lock()
	r := Report{Ready: !l.begun.IsZero() && l.took > 0 && l.started == nil, TookMs: milliseconds(l.took), StopMs: milliseconds(l.ending)}
	if l.started != nil {
		r.Error = l.started.Error()
	}
	begun := l.begun
	l.mu.Unlock()

	rank := 0
	for _, p := range l.positions {
		r.Parts = append(r.Parts, Part{Name: p.Manifest.Name, Version: p.Manifest.Version, Rank: p.Rank, After: p.After})
		rank = max(rank, p.Rank+1)
	}
	components := map[string]int{}
	for _, c := range l.group.Components() {
		name := part(c.Name)
		components[name]++
		if name != "" && !slices.ContainsFunc(r.Parts, func(p Part) bool { return p.Name == name }) {
			r.Parts = append(r.Parts, Part{Name: name, Rank: rank, After: []string{}})
		}
	}
	starts, stops := byPart(l.group.Starts()), byPart(l.group.Stops())
	for i := range r.Parts {
		p := &r.Parts[i]
		p.start(starts[p.Name], components[p.Name], begun)
		if p.State == Starting && r.Error != "" {
			p.State = GivenUp // while it waited for another one
		}
		p.stop(stops[p.Name])
	}
	r.count()
	return r
}

// part is the name of the service that a component belongs to; empty for what belongs to none.
func part(component string) string {
	name, _, of := strings.Cut(component, "/")
	if !of {
		return ""
	}
	return name
}

func byPart(steps []lifecycle.Step) map[string][]lifecycle.Step {
	all := map[string][]lifecycle.Step{}
	for _, s := range steps {
		all[part(s.Component)] = append(all[part(s.Component)], s)
	}
	return all
}

func (p *Part) start(steps []lifecycle.Step, components int, begun time.Time) {
	p.State = NotStarted
	if len(steps) == 0 {
		return
	}
	p.State, p.BegunMs = Starting, milliseconds(steps[0].Begun.Sub(begun))
	done := 0
	for _, s := range steps {
		p.BusyMs += milliseconds(s.Took)
		if s.Done && s.Err == nil {
			done++
			// A service is ready when it has registered; other parts are when all of them has started.
			if s.Component == service.Registration(p.Name) || p.State != Ready && done == components {
				p.State, p.ReadyMs = Ready, milliseconds(s.Begun.Add(s.Took).Sub(begun))
			}
		}
	}
	for _, s := range steps {
		if s.Err == nil {
			continue
		}
		p.State, p.Component, p.Error = Failed, s.Component, s.Err.Error()
		if s.GivenUp {
			p.State = GivenUp
		}
	}
}

func (p *Part) stop(steps []lifecycle.Step) {
	if len(steps) == 0 {
		return
	}
	var end time.Time
	for _, s := range steps {
		if at := s.Begun.Add(s.Took); at.After(end) {
			end = at
		}
		if s.Err != nil {
			p.StopErrors = append(p.StopErrors, s.Err.Error())
		}
	}
	p.StopMs = milliseconds(end.Sub(steps[0].Begun))
}

// count numbers the parts in the order in which they became ready.
func (r *Report) count() {
	var ready []*Part
	for i := range r.Parts {
		if p := &r.Parts[i]; p.State == Ready {
			ready = append(ready, p)
		}
	}
	slices.SortStableFunc(ready, func(a, b *Part) int { return cmp.Compare(a.ReadyMs, b.ReadyMs) })
	for i, p := range ready {
		p.Order = i + 1
	}
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}
