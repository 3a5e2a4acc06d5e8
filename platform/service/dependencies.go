package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/manifest"
)

// awaitDependencies waits until each service that this one depends on has an instance that can serve and is of a version
// that will do. What it waits for, and what is there instead, is in the log and in /readyz.
func (s *Service) awaitDependencies(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.DependencyTimeout)
	defer cancel()
	defer s.status.Wait("dependencies", "")
	for i, dependency := range s.manifest.DependsOn {
		if err := s.awaitDependency(ctx, dependency, s.manifest.DependsOn[i+1:]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) awaitDependency(ctx context.Context, dependency manifest.Dependency, after []manifest.Dependency) error {
	satisfied := func(instances []discovery.Instance) bool {
		return slices.ContainsFunc(instances, func(i discovery.Instance) bool { return dependency.Requirement.Allows(i.Version) })
	}
	watch := s.env.Directory.Instances(dependency.Name)
	waiting := func(instances []discovery.Instance) {
		said := []string{dependency.String() + found(instances)}
		for _, d := range after {
			said = append(said, d.String())
		}
		s.status.Wait("dependencies", "waiting for "+strings.Join(said, ", "))
	}
	instances, known, _ := watch.Get()
	if known && !satisfied(instances) {
		s.log.InfoContext(ctx, "waiting for a service that this one depends on", "dependency", dependency.String(), "versions", versions(instances))
	}
	waiting(instances)
	instances, err := watch.Wait(ctx, func(instances []discovery.Instance) bool {
		if satisfied(instances) {
			return true
		}
		waiting(instances)
		return false
	})
	if err == nil {
		return nil
	}
	return missing(s.Name(), dependency, instances, s.cfg.DependencyTimeout, err)
}

// dependencies returns the names of the services that a manifest depends on.
func dependencies(m *manifest.Manifest) []string {
	names := make([]string, len(m.DependsOn))
	for i, d := range m.DependsOn {
		names[i] = d.Name
	}
	return names
}

// missing says for whom a service waited in vain, and what is there instead.
func missing(service string, dependency manifest.Dependency, instances []discovery.Instance, waited time.Duration, err error) error {
	if len(instances) == 0 {
		return fmt.Errorf("waited %s for %s, which %s depends on, and no instance of it is ready: start it, or raise ASHLAR_DEPENDENCY_TIMEOUT: %w",
			waited, dependency, service, err)
	}
	return fmt.Errorf("waited %s for %s, which %s depends on, and of %s there is only version %s: start a version that will do: %w",
		waited, dependency, service, dependency.Name, strings.Join(versions(instances), ", "), err)
}

// found says which versions are there, none of which will do.
func found(instances []discovery.Instance) string {
	if len(instances) == 0 {
		return ""
	}
	return " (there is only version " + strings.Join(versions(instances), ", ") + ")"
}

// versions returns the versions of instances, each once, in the order of their letters.
func versions(instances []discovery.Instance) []string {
	seen := make([]string, len(instances))
	for i, instance := range instances {
		seen[i] = instance.Version
		if seen[i] == "" {
			seen[i] = "unknown"
		}
	}
	slices.Sort(seen)
	return slices.Compact(seen)
}
