package inspect

import (
	"context"
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
		writeJSON(w, i.explain(r.Context(), strings.ToUpper(method), target))
	})
}

func (i *Inspector) explain(ctx context.Context, method, target string) gatewayops.Explanation {
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
		if !i.bound(ctx, &e, u) {
			e.Why = "the path is escaped, and names must match to the letter"
		}
	case u.Path == "/healthz" || u.Path == "/readyz":
		e.Taken, e.Service, e.Why = true, i.Name, "the gateway answers it itself"
	case route != nil:
		i.routed(&e, route)
	case alias != nil && method != http.MethodGet:
		e.Service, e.Procedure, e.Why = alias.Service, alias.Procedure, "it is another path of this procedure, and takes GET only (405)"
	case alias != nil:
		i.routed(&e, alias)
		e.Why = "it is another path of this procedure; " + e.Why
	case i.Documents != nil && i.Documents(u.Path):
		e.Taken = method == http.MethodGet || method == http.MethodHead
		if e.Service, e.Why = i.Name, "the gateway answers it itself"; !e.Taken {
			e.Why += ", and takes GET only (405)"
		}
	case !i.bound(ctx, &e, u):
		i.unknown(&e, u.Path)
	}
	return e
}

// bound explains a request for a path of REST, if it is one.
func (i *Inspector) bound(ctx context.Context, e *gatewayops.Explanation, u *url.URL) bool {
	procedure, status := i.REST.Find(ctx, e.Method, u)
	route := i.Tables().Route(procedure)
	switch {
	case route != nil && !route.Unary():
		e.Service, e.Procedure, e.Why = route.Service, route.Procedure, "it is a path of this procedure, and streams can be called as RPCs only (415)"
	case route != nil:
		i.available(e, route)
		e.Why = "it is a path of this procedure by REST; " + e.Why
	case status == http.StatusMethodNotAllowed:
		e.Why = "it is a path by REST, and does not have this method (405)"
	case status == http.StatusUnsupportedMediaType:
		e.Why = "it is a path by REST, and streams can be called as RPCs only (415)"
	default:
		return false
	}
	return true
}

// routed explains a request for a procedure that is there.
func (i *Inspector) routed(e *gatewayops.Explanation, route *routes.Route) {
	e.Service, e.Procedure = route.Service, route.Procedure
	switch {
	case e.Method == http.MethodGet && !route.Get():
		e.Why = "it may have side effects, so it takes POST only (405)"
		return
	case e.Method != http.MethodGet && e.Method != http.MethodPost:
		e.Why = "RPCs take POST, and GET where they have no side effects (405)"
		return
	}
	i.available(e, route)
}

// available tells who would serve a procedure.
func (i *Inspector) available(e *gatewayops.Explanation, route *routes.Route) {
	e.Service, e.Procedure, e.Taken = route.Service, route.Procedure, true
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
