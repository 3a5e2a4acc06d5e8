package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ashlar.dev/platform/gatewayops"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

// Routes is the command that shows routes.
type Routes struct {
	Gateways
	output.Flag

	Service   string `help:"Only services with this text in their name." placeholder:"TEXT"`
	Procedure string `help:"Only procedures with this text in their name." placeholder:"TEXT"`
	Instances bool   `help:"Show the instances behind the routes, and in what state they are."`
	Explain   string `help:"Say which route would take this request, and why none does: a method and a path; POST where there is no method." placeholder:"REQUEST"`
}

// Help implements kong.HelpProvider.
func (*Routes) Help() string {
	return `Each gateway is asked at its operations listener. Where several do not agree, a line says whose it is.

  platformctl gateway routes --service notes
  platformctl gateway routes --instances
  platformctl gateway routes --explain 'GET /acme.notes.v1.NoteService/GetNote'`
}

// Run implements the command.
func (r *Routes) Run(ctx context.Context, streams *output.Streams) error {
	targets, err := r.find(ctx)
	if err != nil {
		return err
	}
	if r.Explain != "" {
		return r.explain(ctx, targets, streams)
	}
	query := url.Values{"service": {r.Service}, "procedure": {r.Procedure}}
	answers, errs := each(targets, func(t target) (gatewayops.Routes, error) {
		var routes gatewayops.Routes
		err := t.get(ctx, gatewayops.RoutesPath, query, readJSON(&routes))
		return routes, err
	})
	if len(answers) > 0 {
		var result output.Tabular = routeList(answers)
		if r.Instances {
			result = instanceList(answers)
		}
		errs = append(errs, r.Show(streams.Out, result))
	}
	return errors.Join(errs...)
}

func (r *Routes) explain(ctx context.Context, targets []target, streams *output.Streams) error {
	method, path, ok := strings.Cut(r.Explain, " ")
	if !ok {
		method, path = "POST", r.Explain
	}
	if !strings.HasPrefix(path, "/") {
		return exit.With(exit.Usage, fmt.Errorf("--explain %q: want a method and a path, such as 'GET /acme.notes.v1.NoteService/GetNote'", r.Explain))
	}
	answers, errs := each(targets, func(t target) (explained, error) {
		e := explained{Gateway: t.id}
		err := t.get(ctx, gatewayops.ExplainPath, url.Values{"method": {method}, "path": {path}}, readJSON(&e))
		return e, err
	})
	if len(answers) > 0 {
		errs = append(errs, r.Show(streams.Out, explanations(answers)))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if slices.ContainsFunc(answers, func(e explained) bool { return !e.Taken }) {
		return exit.With(exit.NotFound, nil) // why has been said
	}
	return nil
}

// explained is what one gateway says.
type explained struct {
	Gateway string `json:"gateway"`
	gatewayops.Explanation
}

type explanations []explained

// MarshalJSON implements json.Marshaler.
func (e explanations) MarshalJSON() ([]byte, error) { return json.Marshal([]explained(e)) }

// Table implements output.Tabular.
func (e explanations) Table() output.Table {
	t := output.Table{Header: []string{"GATEWAY", "TAKEN", "SERVICE", "PROCEDURE", "WHY"}}
	for _, x := range e {
		taken := "no"
		if x.Taken {
			taken = "yes"
		}
		t.Rows = append(t.Rows, []string{x.Gateway, taken, x.Service, strings.TrimPrefix(x.Procedure, "/"), x.Why})
	}
	return t
}

type routeList []gatewayops.Routes

// MarshalJSON implements json.Marshaler.
func (l routeList) MarshalJSON() ([]byte, error) { return json.Marshal([]gatewayops.Routes(l)) }

// Table implements output.Tabular.
func (l routeList) Table() output.Table {
	return merged(l, []string{"SERVICE", "VERSION", "STATE", "PROCEDURE", "ACCESS", "STREAM", "METHODS", "TIMEOUT", "LIMIT", "WHY"}, routeRows)
}

// routeRows has a row for each procedure, and one for each service that has none.
func routeRows(s gatewayops.Service) (rows [][]string) {
	for _, p := range s.Procedures {
		methods := "POST"
		if p.Get {
			methods = "GET, POST"
		}
		var limits []string
		for _, l := range p.Limits {
			limits = append(limits, fmt.Sprintf("%s/s, %d at once", strconv.FormatFloat(l.PerSecond, 'g', 4, 64), l.Burst))
		}
		limit := strings.Join(limits, "; ")
		timeout := ""
		if p.TimeoutMS > 0 {
			timeout = (time.Duration(p.TimeoutMS) * time.Millisecond).String()
		}
		name := strings.TrimPrefix(p.Procedure, "/")
		if len(p.Aliases) > 0 {
			name += " (" + strings.Join(p.Aliases, ", ") + ")"
		}
		rows = append(rows, []string{s.Name, s.Version, s.State, name, p.Access, p.Stream, methods, timeout, limit, s.Why})
	}
	for _, p := range s.Internal {
		rows = append(rows, []string{s.Name, s.Version, "no route", strings.TrimPrefix(p, "/"), "internal", "", "", "", "", "only services may call it"})
	}
	if len(rows) == 0 {
		rows = append(rows, []string{s.Name, s.Version, s.State, "", "", "", "", "", "", s.Why})
	}
	return rows
}

type instanceList []gatewayops.Routes

// MarshalJSON implements json.Marshaler.
func (l instanceList) MarshalJSON() ([]byte, error) { return routeList(l).MarshalJSON() }

// Table implements output.Tabular. Each gateway has its own view of instances, so none are put together.
func (l instanceList) Table() output.Table {
	t := output.Table{Header: []string{"GATEWAY", "SERVICE", "INSTANCE", "VERSION", "ZONE", "ADDRESS", "STATE", "UNDER WAY", "FAILURES"}, Empty: "There are no instances."}
	for _, g := range l {
		for _, s := range g.Services {
			for _, i := range s.Instances {
				state := i.State
				if i.ForMS > 0 {
					state += ", " + (time.Duration(i.ForMS) * time.Millisecond).Round(100*time.Millisecond).String()
				}
				t.Rows = append(t.Rows, []string{
					g.Gateway, s.Name, i.ID, i.Version, i.Zone, i.Address, state, strconv.FormatInt(i.Outstanding, 10), strconv.Itoa(i.Failures),
				})
			}
		}
	}
	return t
}

// merged makes one table of what several gateways say. A column tells who says it, where not all of them do.
func merged(all []gatewayops.Routes, header []string, rowsOf func(gatewayops.Service) [][]string) output.Table {
	t := output.Table{Header: header, Empty: "There is nothing of that name."}
	by := map[string][]string{}
	var order [][]string
	for _, g := range all {
		for _, s := range g.Services {
			for _, row := range rowsOf(s) {
				key := strings.Join(row, "\x00")
				if by[key] == nil {
					order = append(order, row)
				}
				by[key] = append(by[key], g.Gateway)
			}
		}
	}
	agree := true
	for _, said := range by {
		agree = agree && len(said) == len(all)
	}
	slices.SortStableFunc(order, slices.Compare[[]string])
	for _, row := range order {
		if !agree {
			who := "all"
			if said := by[strings.Join(row, "\x00")]; len(said) < len(all) {
				who = strings.Join(said, ", ")
			}
			row = append([]string{who}, row...)
		}
		t.Rows = append(t.Rows, row)
	}
	if !agree {
		t.Header = append([]string{"GATEWAY"}, header...)
	}
	return t
}
