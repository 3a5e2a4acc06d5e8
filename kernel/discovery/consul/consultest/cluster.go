package consultest

import (
	"fmt"
	"testing"
)

// StartCluster starts servers that make one cluster, and waits until all of them know its leader. Each keeps its state, as
// with Persistent. While most of them are gone, or paused, the rest has no leader.
func StartCluster(t testing.TB, servers int) []*Agent {
	t.Helper()
	all := make([]*Agent, servers)
	for i := range all {
		all[i] = newAgent(t)
	}
	var err error
	for range 3 { // as in Start
		if err = runCluster(t, all); err == nil {
			return all
		}
		for _, a := range all {
			a.Kill()
		}
	}
	t.Fatalf("starting a cluster of consul: %v", err)
	return nil
}

func runCluster(t testing.TB, all []*Agent) error {
	members := make([]ports, len(all))
	for i := range members {
		var err error
		if members[i], err = choosePorts(t.Context()); err != nil {
			return err
		}
	}
	for i, a := range all {
		a.ports, a.members, a.Addr, a.dataDir = members[i], members, members[i].address(), t.TempDir()
		if err := a.launch(); err != nil {
			return err
		}
	}
	for _, a := range all {
		if err := a.ready(); err != nil {
			return fmt.Errorf("%w\n%s", err, a.log)
		}
	}
	return nil
}
