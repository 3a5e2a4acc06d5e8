package services

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	localv1 "ashlar.dev/gen/go/ashlar/local/v1"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/platformctl/output"
)

// List is the command that lists services.
type List struct {
	Where
	output.Flag

	Instances bool `help:"One line for each instance, with the reason where it is not healthy."`
}

// Help implements kong.HelpProvider.
func (*List) Help() string {
	return `Example:

  platformctl services list --instances`
}

// Run implements the command.
func (l *List) Run(ctx context.Context, streams *output.Streams) error {
	p, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	seen, err := p.overview(ctx)
	if err != nil {
		return err
	}
	all := collect(seen, p.units, time.Now())
	empty := "Consul at " + p.address + " has no service of this platform."
	if l.Instances {
		return l.Show(streams.Out, instanceList{all, empty})
	}
	return l.Show(streams.Out, serviceList{all, empty})
}

// Service is a service as Consul and the `up` on this machine see it. Names in JSON stay.
type Service struct {
	Name     string   `json:"name"`
	Versions []string `json:"versions"`
	// State is healthy, degraded (not all instances are healthy), unhealthy (none is), or, where no instance is in Consul,
	// what `up` says of it: starting, failed or down.
	State     string     `json:"state"`
	Healthy   int        `json:"healthy"`
	DependsOn []string   `json:"dependsOn"`
	Instances []Instance `json:"instances"`
}

// Instance is one process of a service.
type Instance struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Version string `json:"version"`
	Healthy bool   `json:"healthy"`
	// Ops is where its operations listener is, as the instance sees it; empty where it has none.
	Ops string `json:"ops,omitempty"`
	// Why is what its failing checks say.
	Why string `json:"why,omitempty"`
	// Started is when it became ready; nil where it does not say.
	Started *time.Time `json:"started,omitempty"`
	// UptimeSeconds is how long ago that was.
	UptimeSeconds int64 `json:"uptimeSeconds"`
}

// The states of a service of which there are instances. Others are those of units.
const (
	healthy   = "healthy"
	degraded  = "degraded"
	unhealthy = "unhealthy"
)

// collect puts together what Consul and `up` know, by name.
func collect(seen []consul.Seen, units []*localv1.Unit, now time.Time) []Service {
	byName := map[string]*Service{}
	service := func(name string) *Service {
		if byName[name] == nil {
			byName[name] = &Service{Name: name, Versions: []string{}, DependsOn: []string{}, Instances: []Instance{}}
		}
		return byName[name]
	}
	for _, s := range seen {
		service(s.Service).add(s, now)
	}
	for _, u := range units {
		if _, known := byName[u.GetName()]; !known {
			s := service(u.GetName())
			s.State = strings.ToLower(strings.TrimPrefix(u.GetState().String(), "UNIT_STATE_"))
			s.DependsOn = append(s.DependsOn, u.GetDependsOn()...)
		}
	}
	all := make([]Service, 0, len(byName))
	for _, s := range byName {
		s.settle()
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Service) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (s *Service) add(seen consul.Seen, now time.Time) {
	i := Instance{ID: seen.ID, Address: seen.Address, Version: seen.Version, Healthy: seen.Healthy, Why: seen.Why, Ops: seen.Metadata[discovery.MetadataOps]}
	if started, err := time.Parse(time.RFC3339, seen.Metadata[discovery.MetadataStarted]); err == nil {
		i.Started = &started
		i.UptimeSeconds = int64(max(now.Sub(started), 0).Seconds())
	}
	s.Instances = append(s.Instances, i)
	if !slices.Contains(s.Versions, i.Version) {
		s.Versions = append(s.Versions, i.Version)
	}
	for name := range strings.SplitSeq(seen.Metadata[discovery.MetadataDependsOn], ",") {
		if name != "" && !slices.Contains(s.DependsOn, name) {
			s.DependsOn = append(s.DependsOn, name)
		}
	}
}

// settle decides about what follows from the instances.
func (s *Service) settle() {
	slices.Sort(s.Versions)
	slices.Sort(s.DependsOn)
	for _, i := range s.Instances {
		if i.Healthy {
			s.Healthy++
		}
	}
	switch {
	case len(s.Instances) == 0:
	case s.Healthy == len(s.Instances):
		s.State = healthy
	case s.Healthy > 0:
		s.State = degraded
	default:
		s.State = unhealthy
	}
}

type serviceList struct {
	all   []Service
	empty string
}

// MarshalJSON implements json.Marshaler.
func (l serviceList) MarshalJSON() ([]byte, error) { return json.Marshal(l.all) }

// Table implements output.Tabular.
func (l serviceList) Table() output.Table {
	t := output.Table{Header: []string{"SERVICE", "VERSION", "STATE", "HEALTHY", "ADDRESS", "UPTIME", "DEPENDS ON"}, Empty: l.empty}
	for _, s := range l.all {
		t.Rows = append(t.Rows, []string{
			s.Name, strings.Join(s.Versions, ", "), s.State, fmt.Sprintf("%d/%d", s.Healthy, len(s.Instances)),
			s.addresses(), s.uptime(), strings.Join(s.DependsOn, ", "),
		})
	}
	return t
}

func (s *Service) addresses() string {
	switch len(s.Instances) {
	case 0:
		return ""
	case 1:
		return s.Instances[0].Address
	default:
		return fmt.Sprintf("%s and %d more", s.Instances[0].Address, len(s.Instances)-1)
	}
}

// uptime is that of the instance that has been there longest.
func (s *Service) uptime() string {
	var longest *Instance
	for _, i := range s.Instances {
		if i.Started != nil && (longest == nil || i.UptimeSeconds > longest.UptimeSeconds) {
			longest = &i
		}
	}
	if longest == nil {
		return ""
	}
	return longest.uptime()
}

func (i Instance) uptime() string {
	if i.Started == nil {
		return ""
	}
	return (time.Duration(i.UptimeSeconds) * time.Second).String()
}

type instanceList struct {
	all   []Service
	empty string
}

// MarshalJSON implements json.Marshaler.
func (l instanceList) MarshalJSON() ([]byte, error) { return json.Marshal(l.all) }

// Table implements output.Tabular.
func (l instanceList) Table() output.Table {
	t := output.Table{Header: []string{"SERVICE", "INSTANCE", "VERSION", "STATE", "ADDRESS", "UPTIME", "WHY"}, Empty: l.empty}
	for _, s := range l.all {
		if len(s.Instances) == 0 {
			t.Rows = append(t.Rows, []string{s.Name, "", "", s.State, "", "", ""})
		}
		for _, i := range s.Instances {
			state := healthy
			if !i.Healthy {
				state = unhealthy
			}
			t.Rows = append(t.Rows, []string{s.Name, i.ID, i.Version, state, i.Address, i.uptime(), i.Why})
		}
	}
	return t
}
