package inspect

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"ashlar.dev/gateway/internal/learn"
	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/platform/gatewayops"
)

// Explain serves gatewayops.Explanation for `?method=&path=`.
func (i *Inspector) Explain() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, target := r.URL.Query().Get("method"), r.URL.Query().Get("path")
		if method == "" || !strings.HasPrefix(target, "/") {
			http.Error(w, "want ?method=POST&path=/package.Service/Method", http.StatusBadRequest)
			return
		}
		writeJSON(w, i.explain(strings.ToUpper(method), target))
	})
}

func (i *Inspector) explain(method, target string) gatewayops.Explanation {
	e := gatewayops.Explanation{Method: method, Path: target}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		e.Why = "the path cannot be read"
		return e
	}
	table := i.Tables()
	route, alias := table.Route(u.Path), table.Alias(u.Path)
	switch {
	case u.RawPath != "":
		e.Why = "the path is escaped, and names must match to the letter"
	case u.Path == "/healthz" || u.Path == "/readyz":
		e.Taken, e.Service, e.Why = true, i.Name, "the gateway answers it itself"
	case route != nil:
		i.routed(&e, route)
	case alias != nil && method != http.MethodGet:
		e.Service, e.Procedure, e.Why = alias.Service, alias.Procedure, "it is another path of this procedure, and takes GET only (405)"
	case alias != nil:
		i.routed(&e, alias)
		e.Why = "it is another path of this procedure; " + e.Why
	default:
		i.unknown(&e, u.Path)
	}
	return e
}

// routed explains a request for a procedure that is there.
func (i *Inspector) routed(e *gatewayops.Explanation, route *routes.Route) {
	e.Service, e.Procedure = route.Service, route.Procedure
	switch {
	case e.Method == http.MethodGet && !route.Get:
		e.Why = "it may have side effects, so it takes POST only (405)"
		return
	case e.Method != http.MethodGet && e.Method != http.MethodPost:
		e.Why = "RPCs take POST, and GET where they have no side effects (405)"
		return
	}
	e.Taken = true
	if route.Service == "" {
		e.Service, e.Why = i.Name, "the gateway serves it itself"
		return
	}
	instances := i.instances(route.Service)
	if len(instances) == 0 {
		e.Taken, e.Why = false, "discovery shows no instance of the service that is healthy (unavailable)"
		return
	}
	ready := 0
	for _, instance := range instances {
		if instance.State == gatewayops.InstanceReady || instance.State == gatewayops.InstanceSlowStart {
			ready++
		}
	}
	e.Why = fmt.Sprintf("access is %s; %d of %d instances take requests", route.Access, ready, len(instances))
}

// unknown explains why there is no route. Callers are told of all these that there is no such procedure.
func (i *Inspector) unknown(e *gatewayops.Explanation, procedure string) {
	service, _, _ := strings.Cut(strings.TrimPrefix(procedure, "/"), "/")
	if near, ok := i.nearest(procedure); ok {
		e.Service, e.Procedure, e.Why = near.Service, near.Procedure, "names must match to the letter"
		return
	}
	for _, known := range i.Learner.Report() {
		if why := without(known, service, procedure); why != "" {
			e.Service, e.Why = known.Service, why
			return
		}
	}
	e.Why = "no service claims it"
	for _, known := range i.Learner.Report() {
		if known.Module == nil && known.Why != "" {
			e.Why += fmt.Sprintf("; nothing of %s is routed: %s", known.Service, known.Why)
		}
	}
}

// nearest returns the route whose name differs from a path in case or in slashes only.
func (i *Inspector) nearest(procedure string) (*routes.Route, bool) {
	for _, known := range i.Learner.Report() {
		if known.Module == nil {
			continue
		}
		for _, route := range known.Module.Routes() {
			if strings.EqualFold(path.Clean(procedure), route.Procedure) {
				return route, true
			}
		}
	}
	return nil, false
}

// without is why a service that has the procedure does not get it; "" where it does not have it.
func without(known learn.Known, service, procedure string) string {
	m := known.Module
	switch {
	case m == nil || !slices.Contains(m.Claims(), service):
		return ""
	case slices.Contains(m.Internal(), procedure):
		return "it is internal: only services may call it, and not through the gateway"
	case !m.Exposed:
		return "the manifest of the service says that it is not exposed"
	default:
		return "the service has no such method"
	}
}
