// Package inspect shows operators what the gateway does, and why: its routes, the instances behind them, and what is open. It
// changes nothing, and requests do not wait for it.
package inspect

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gateway/internal/learn"
	"ashlar.dev/gateway/internal/live"
	"ashlar.dev/gateway/internal/rest"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/kernel/balance"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/platform/gatewayops"
)

// Inspector serves the pages. Its fields must be set, but for Documents; it is safe for concurrent use.
type Inspector struct {
	// Name, ID and Version are those of the gateway.
	Name, ID, Version string
	Own               []*routes.Route
	Tables            func() *routes.Table
	Learner           *learn.Learner
	Directory         discovery.Directory
	Balancer          *balance.Transport
	Live              *live.Registry
	REST              *rest.Translator
	// Documents tells whether a path is one of a document or a page about what can be called; nil: none is.
	Documents func(path string) bool
}

// Routes serves gatewayops.Routes: `?service=` and `?procedure=` keep what has that text in its name.
func (i *Inspector) Routes() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		all := i.routes()
		all.Services = keep(all.Services, query.Get("service"), query.Get("procedure"))
		writeJSON(w, all)
	})
}

func keep(services []gatewayops.Service, service, procedure string) []gatewayops.Service {
	out := []gatewayops.Service{}
	for _, s := range services {
		if !strings.Contains(s.Name, service) {
			continue
		}
		if procedure != "" {
			s.Procedures = slices.DeleteFunc(s.Procedures, func(p gatewayops.Procedure) bool { return !strings.Contains(p.Procedure, procedure) })
			s.Internal = slices.DeleteFunc(slices.Clone(s.Internal), func(name string) bool { return !strings.Contains(name, procedure) })
			if len(s.Procedures)+len(s.Internal) == 0 {
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

func (i *Inspector) routes() gatewayops.Routes {
	own := gatewayops.Service{Name: i.Name, Version: i.Version, State: gatewayops.StateRouted, Instances: []gatewayops.Instance{}}
	for _, route := range i.Own {
		own.Procedures = append(own.Procedures, procedure(route, nil))
	}
	slices.SortFunc(own.Procedures, func(a, b gatewayops.Procedure) int { return cmp.Compare(a.Procedure, b.Procedure) })
	out := gatewayops.Routes{Gateway: i.ID, Version: i.Version, Time: time.Now().UTC(), Services: []gatewayops.Service{own}}
	for _, known := range i.Learner.Report() {
		out.Services = append(out.Services, i.service(known))
	}
	return out
}

func (i *Inspector) service(known learn.Known) gatewayops.Service {
	s := gatewayops.Service{
		Name: known.Service, State: gatewayops.StateUnreachable, Why: known.Why, Instances: i.instances(known.Service),
		Procedures: []gatewayops.Procedure{},
	}
	switch m := known.Module; {
	case m != nil:
		s.State, s.Version, s.Internal = gatewayops.StateRouted, m.Version, m.Internal()
		if !m.Exposed {
			s.State = gatewayops.StateNotExposed
		}
		s.InFlight = m.Load().InFlight()
		if limit, limited := m.Load().Limit(); limited {
			s.Limit = limit
		}
		for _, route := range m.Routes() {
			s.Procedures = append(s.Procedures, procedure(route, m.Aliases(route)))
		}
	case known.Refused:
		s.State = gatewayops.StateRefused
	case s.Why == "" && len(s.Instances) == 0:
		s.Why = "discovery shows no instance of it that is healthy"
	}
	return s
}

// instances puts together what discovery and the balancer know.
func (i *Inspector) instances(service string) []gatewayops.Instance {
	shown, _, _ := i.Directory.Instances(service).Get()
	statuses := i.Balancer.Instances(service)
	out := make([]gatewayops.Instance, 0, len(shown))
	for _, instance := range shown {
		o := gatewayops.Instance{
			ID: instance.ID, Address: instance.Address, Version: instance.Version, Zone: instance.Metadata["zone"], State: gatewayops.InstanceReady,
		}
		at := slices.IndexFunc(statuses, func(s balance.Status) bool { return s.ID == instance.ID && s.Address == instance.Address })
		if at >= 0 {
			status := statuses[at]
			o.Outstanding, o.Failures = status.Outstanding, status.Failures
			switch {
			case status.Probing:
				o.State = gatewayops.InstanceProbing
			case status.Probation > 0:
				o.State, o.ForMS = gatewayops.InstanceProbation, status.Probation.Milliseconds()
			case status.SlowStart > 0:
				o.State, o.ForMS = gatewayops.InstanceSlowStart, status.SlowStart.Milliseconds()
			}
		}
		out = append(out, o)
	}
	return out
}

func procedure(route *routes.Route, aliases []string) gatewayops.Procedure {
	p := gatewayops.Procedure{
		Procedure: route.Procedure, Access: route.Access.String(), Get: route.Get(), TimeoutMS: route.Timeout.Milliseconds(), Aliases: aliases,
		HedgeAfterMS: route.HedgeAfter.Milliseconds(), Priority: route.Priority.String(), StreamMessages: route.StreamLimit.Messages, StreamBytes: route.StreamLimit.Bytes,
		Stream: map[connect.StreamType]string{
			connect.StreamTypeUnary: "unary", connect.StreamTypeClient: "client", connect.StreamTypeServer: "server", connect.StreamTypeBidi: "bidi",
		}[route.Stream],
	}
	if route.Load != nil {
		p.UsualMS = float64(route.Load.Usual().Microseconds()) / 1000
	}
	if route.Versions != nil && route.Versions.Only {
		p.Versions = route.Versions.Names
	}
	for _, q := range route.Quotas {
		p.Limits = append(p.Limits, gatewayops.Limit{Of: q.Of, PerSecond: q.PerSecond, Burst: q.Burst})
	}
	return p
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value) //nolint:errchkjson // all of it can be encoded; whoever asked is gone
}
