package workspace

import (
	"fmt"
	"slices"
	"strings"
)

// Order returns the names of all services, each after those that it depends on, and otherwise by name. It fails where a
// service depends on one that is not there, or a way leads from one back to itself.
func (w *Workspace) Order() ([]string, error) {
	if err := w.missing(); err != nil {
		return nil, err
	}
	var order, path []string
	var visit func(name string) error
	visit = func(name string) error {
		if slices.Contains(order, name) {
			return nil
		}
		if i := slices.Index(path, name); i >= 0 {
			return fmt.Errorf("services depend on each other in a circle: %s", strings.Join(append(path[i:], name), " -> "))
		}
		path = append(path, name)
		service, _ := w.Find(name)
		for _, d := range slices.Sorted(slices.Values(service.DependsOn())) {
			if err := visit(d); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		order = append(order, name)
		return nil
	}
	for _, name := range w.Names() {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

func (w *Workspace) missing() error {
	for _, s := range w.Services {
		for _, d := range s.DependsOn() {
			if _, ok := w.Find(d); !ok {
				return fmt.Errorf("%s depends on %s, and there is no service of that name", s.Name, d)
			}
		}
	}
	return nil
}
