package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

// leastInterval keeps a typing error from loading the gateways.
const leastInterval = 100 * time.Millisecond

// Top is the command that watches the traffic.
type Top struct {
	Gateways
	output.Flag

	Interval time.Duration `help:"Time between two looks." default:"1s"`
	Once     bool          `help:"Look twice, show the difference, and end; also where the output is no terminal, or not a table."`
	Limit    int           `help:"How many procedures to show, those with most requests first; 0: all." default:"20"`
	Each     bool          `help:"A line for each gateway, instead of their sum."`
}

// Help implements kong.HelpProvider.
func (*Top) Help() string {
	return `Counts of all gateways together; --each tells them apart, --gateway keeps one. Errors are all answers that are not ok. Times are
estimated from a histogram; those of streams are from beginning to end.

  platformctl gateway top
  platformctl gateway top --once -o json --interval 10s`
}

// Run implements the command.
func (t *Top) Run(ctx context.Context, streams *output.Streams) error {
	if t.Interval < leastInterval || t.Limit < 0 {
		return exit.With(exit.Usage, fmt.Errorf("--interval must be at least %s, and --limit not negative", leastInterval))
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	targets, err := t.find(ctx)
	if err != nil {
		return err
	}
	once := t.Once || t.Output == "json" || t.Output == "yaml" || !output.IsTerminal(streams.Out)
	before, errs := each(targets, func(target target) (sample, error) { return target.take(ctx) })
	if len(before) == 0 {
		return errors.Join(errs...)
	}
	ticker := time.NewTicker(t.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if once {
				return exit.With(exit.Interrupted, ctx.Err())
			}
			return nil // it is how one leaves
		}
		after, errs := each(targets, func(target target) (sample, error) { return target.take(ctx) })
		result := t.compare(before, after)
		if once {
			if len(after) > 0 {
				errs = append(errs, t.Show(streams.Out, result))
			}
			return errors.Join(errs...)
		}
		if ctx.Err() == nil {
			if err := t.draw(streams.Out, result, errs); err != nil {
				return err
			}
		}
		before = after
	}
}

// draw writes over what was drawn before, without a moment in which there is nothing.
func (t *Top) draw(out io.Writer, result traffic, errs []error) error {
	var screen bytes.Buffer
	fmt.Fprintf(&screen, "%s  every %s\n%s\n", result.Time.Local().Format(time.TimeOnly), t.Interval, result.summary())
	for _, err := range errs {
		fmt.Fprintln(&screen, output.Clean(err.Error()))
	}
	screen.WriteByte('\n')
	if err := t.Show(&screen, result); err != nil {
		return err
	}
	const home, eraseLine, eraseBelow = "\x1b[H", "\x1b[K\n", "\x1b[J"
	_, err := io.WriteString(out, home+strings.ReplaceAll(screen.String(), "\n", eraseLine)+eraseBelow)
	return err
}

// traffic is what happened between two looks. Names in JSON stay.
type traffic struct {
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"` // between the looks
	// RequestsPerSecond and the like are sums over all procedures and gateways.
	RequestsPerSecond float64 `json:"requestsPerSecond"`
	ErrorsPerSecond   float64 `json:"errorsPerSecond"`
	InFlight          float64 `json:"inFlight"`
	Connections       float64 `json:"connections"`
	Streams           float64 `json:"streams"`
	// ViewAgeSeconds is the age of the oldest view of Consul.
	ViewAgeSeconds float64 `json:"viewAgeSeconds"`
	Gateways       int     `json:"gateways"`
	// Overloaded are the services that may only work on so many calls at a time, by name.
	Overloaded []busy  `json:"overloaded"`
	Procedures []usage `json:"procedures"`

	each bool
}

// busy is how many unary calls a service works on, and how many it may: the sums of the gateways that limit it.
type busy struct {
	Service  string  `json:"service"`
	InFlight float64 `json:"inFlight"`
	Limit    float64 `json:"limit"`
}

// usage is how one procedure was used.
type usage struct {
	// Gateway is whose it is; empty for the sum of all.
	Gateway           string  `json:"gateway,omitempty"`
	Procedure         string  `json:"procedure"`
	RequestsPerSecond float64 `json:"requestsPerSecond"`
	ErrorsPerSecond   float64 `json:"errorsPerSecond"`
	// P50Seconds and P99Seconds are nil where no request ended.
	P50Seconds *float64 `json:"p50Seconds,omitempty"`
	P99Seconds *float64 `json:"p99Seconds,omitempty"`

	buckets map[float64]float64
}

// compare tells what happened between two looks, at the gateways that answered both.
func (t *Top) compare(before, after []sample) traffic {
	out := traffic{Time: time.Now().UTC(), Procedures: []usage{}, Overloaded: []busy{}, each: t.Each}
	type key struct{ gateway, procedure string }
	by := map[key]*usage{}
	for _, now := range after {
		at := slices.IndexFunc(before, func(s sample) bool { return s.id == now.id })
		if at < 0 {
			continue
		}
		then := before[at]
		seconds := now.taken.Sub(then.taken).Seconds()
		if seconds <= 0 {
			continue
		}
		out.Gateways++
		out.Seconds = max(out.Seconds, seconds)
		out.InFlight += now.inFlight
		out.Connections += now.connections
		out.Streams += now.streams
		out.ViewAgeSeconds = max(out.ViewAgeSeconds, now.viewAge)
		out.Overloaded = addOverloaded(out.Overloaded, now)
		for procedure := range now.requests {
			k := key{procedure: procedure}
			if t.Each {
				k.gateway = now.id
			}
			u := by[k]
			if u == nil {
				u = &usage{Gateway: k.gateway, Procedure: strings.TrimPrefix(procedure, "/"), buckets: map[float64]float64{}}
				by[k] = u
			}
			u.RequestsPerSecond += grown(then.requests[procedure], now.requests[procedure]) / seconds
			u.ErrorsPerSecond += grown(then.errors[procedure], now.errors[procedure]) / seconds
			for bound, n := range now.buckets[procedure] {
				u.buckets[bound] += grown(then.buckets[procedure][bound], n)
			}
		}
	}
	for _, u := range by {
		out.RequestsPerSecond += u.RequestsPerSecond
		out.ErrorsPerSecond += u.ErrorsPerSecond
		if u.RequestsPerSecond == 0 {
			continue
		}
		u.P50Seconds, u.P99Seconds = some(quantile(0.5, u.buckets)), some(quantile(0.99, u.buckets))
		out.Procedures = append(out.Procedures, *u)
	}
	slices.SortFunc(out.Procedures, func(a, b usage) int {
		return cmp.Or(cmp.Compare(b.RequestsPerSecond, a.RequestsPerSecond), cmp.Compare(a.Procedure, b.Procedure), cmp.Compare(a.Gateway, b.Gateway))
	})
	if t.Limit > 0 && len(out.Procedures) > t.Limit {
		out.Procedures = out.Procedures[:t.Limit]
	}
	return out
}

// addOverloaded adds the services that a gateway limits to those that others do.
func addOverloaded(all []busy, now sample) []busy {
	for _, service := range slices.Sorted(maps.Keys(now.limits)) {
		if math.IsInf(now.limits[service], 1) {
			continue
		}
		at, known := slices.BinarySearchFunc(all, service, func(b busy, name string) int { return cmp.Compare(b.Service, name) })
		if !known {
			all = slices.Insert(all, at, busy{Service: service})
		}
		all[at].InFlight += now.inService[service]
		all[at].Limit += now.limits[service]
	}
	return all
}

func some(x float64) *float64 {
	if math.IsNaN(x) {
		return nil
	}
	return &x
}

// summary is what stands above the table: a line, and one for each service that is overloaded.
func (t traffic) summary() string {
	lines := []string{fmt.Sprintf("%d gateways  %.1f requests/s  %.1f errors/s  %.0f in flight  %.0f connections  %.0f streams  view %.0f s old",
		t.Gateways, t.RequestsPerSecond, t.ErrorsPerSecond, t.InFlight, t.Connections, t.Streams, t.ViewAgeSeconds)}
	for _, b := range t.Overloaded {
		lines = append(lines, fmt.Sprintf("overloaded: %s works on %.0f calls of %.0f that it may", output.Clean(b.Service), b.InFlight, b.Limit))
	}
	return strings.Join(lines, "\n")
}

// MarshalJSON implements json.Marshaler.
func (t traffic) MarshalJSON() ([]byte, error) {
	type plain traffic
	return json.Marshal(plain(t))
}

// Table implements output.Tabular.
func (t traffic) Table() output.Table {
	table := output.Table{Header: []string{"PROCEDURE", "REQUESTS/S", "ERRORS/S", "P50", "P99"}, Empty: "No request has ended."}
	if t.each {
		table.Header = append([]string{"GATEWAY"}, table.Header...)
	}
	for _, u := range t.Procedures {
		row := []string{u.Procedure, fmt.Sprintf("%.1f", u.RequestsPerSecond), fmt.Sprintf("%.1f", u.ErrorsPerSecond), seconds(u.P50Seconds), seconds(u.P99Seconds)}
		if t.each {
			row = append([]string{u.Gateway}, row...)
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

func seconds(x *float64) string {
	if x == nil {
		return ""
	}
	return time.Duration(*x * float64(time.Second)).Round(10 * time.Microsecond).String()
}
