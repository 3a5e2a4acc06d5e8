// Package lifecycle starts the components of a process in the order of their dependencies, those without an order between
// them side by side, and stops them in reverse. Components are plain values; the package fxadapter beside it hangs them into an fx application.
package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The time that a component has to start and to stop where it does not say otherwise.
const (
	DefaultStartTimeout = 30 * time.Second
	DefaultStopTimeout  = 5 * time.Second
)

// Component is one part of a process. Start returns when the component can be used, or soon after its context has ended;
// what runs on runs on a goroutine of its own, until Stop. Each of the two may be nil. What has not started is not stopped:
// a Start that fails puts away itself what it has made.
type Component struct {
	Name string
	// After names the components that must have started before this one, and that stop after it.
	After []string
	Start func(ctx context.Context) error
	Stop  func(ctx context.Context) error
	// StartTimeout and StopTimeout bound the two; 0 means the defaults.
	StartTimeout, StopTimeout time.Duration
}

func (c Component) startTimeout() time.Duration { return or(c.StartTimeout, DefaultStartTimeout) }

func (c Component) stopTimeout() time.Duration { return or(c.StopTimeout, DefaultStopTimeout) }

func or(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}

// Chain makes components start one after the other, and all of them after others that are there already. Their names get
// a prefix and a slash. What they say about their order themselves does not count.
func Chain(prefix string, after, components []Component) []Component {
	previous := make([]string, 0, len(after))
	for _, c := range after {
		previous = append(previous, c.Name)
	}
	chain := slices.Clone(components)
	for i := range chain {
		chain[i].Name = prefix + "/" + chain[i].Name
		chain[i].After = previous
		previous = []string{chain[i].Name}
	}
	return chain
}

// Order sorts components so that each comes after those that it names; among those that could come next, by name. It
// fails on a name that is there twice or that no component has, and on a cycle, whose path the error shows.
func Order(components []Component) ([]Component, error) {
	byName := make(map[string]Component, len(components))
	for _, c := range components {
		if _, ok := byName[c.Name]; ok {
			return nil, fmt.Errorf("component %s is there twice", c.Name)
		}
		byName[c.Name] = c
	}
	names := make([]string, 0, len(components))
	for name, c := range byName {
		for _, after := range c.After {
			if _, ok := byName[after]; !ok {
				return nil, fmt.Errorf("component %s comes after %s, which does not exist", name, after)
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)

	v := visit{byName: byName, state: map[string]int{}}
	for _, name := range names {
		if err := v.visit(name); err != nil {
			return nil, err
		}
	}
	return v.order, nil
}

const (
	visiting = 1
	visited  = 2
)

type visit struct {
	byName map[string]Component
	state  map[string]int
	path   []string
	order  []Component
}

func (v *visit) visit(name string) error {
	switch v.state[name] {
	case visited:
		return nil
	case visiting:
		cycle := append(slices.Clone(v.path[slices.Index(v.path, name):]), name)
		return fmt.Errorf("components depend on each other in a circle: %s", strings.Join(cycle, " -> "))
	}
	v.state[name] = visiting
	v.path = append(v.path, name)
	c := v.byName[name]
	for _, after := range slices.Sorted(slices.Values(c.After)) {
		if err := v.visit(after); err != nil {
			return err
		}
	}
	v.path = v.path[:len(v.path)-1]
	v.state[name] = visited
	v.order = append(v.order, c)
	return nil
}
