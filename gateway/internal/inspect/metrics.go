package inspect

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"ashlar.dev/kernel/balance"
	"ashlar.dev/platform/gatewayops"
)

// What is collected is counted elsewhere and looked at when somebody asks, so that requests pay nothing for it. Labels are
// bounded: services are those of discovery.
var (
	attempts = describe("upstream_attempts_total", "Requests that were offered to an instance, each time anew.", "service")
	failures = describe("upstream_failures_total", "Attempts that failed: the instance was unreachable (nothing was sent), or what was sent broke.",
		"service", "kind")
	ejections   = describe("upstream_ejections_total", "How often an instance was put into probation.", "service")
	retries     = describe("upstream_retries_total", "Retries of what had been sent: made, or denied because the budget was spent.", "service", "outcome")
	instances   = describe("upstream_instances", "Instances that discovery shows, by state.", "service", "state")
	inFlight    = describe("upstream_in_flight", "Unary calls that a service works on, as the limit of overload counts them.", "service")
	limit       = describe("upstream_limit", "How many unary calls a service may work on at a time; +Inf while there is no limit.", "service")
	modules     = describe("services", "Services that discovery shows or has shown, by what the gateway does with them.", "state")
	connections = describe("connections", "Connections that are open.")
	streams     = describe("streams", "Streams that are open.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ashlar_gateway_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (*Inspector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{attempts, failures, ejections, retries, instances, inFlight, limit, modules, connections, streams} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (i *Inspector) Collect(out chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	i.Balancer.Counts(func(service string, n balance.Counts) {
		count(attempts, n.Attempts, service)
		count(failures, n.Unreachable, service, "unreachable")
		count(failures, n.Broken, service, "broken")
		count(ejections, n.Ejections, service)
		count(retries, n.Retried, service, "made")
		count(retries, n.Denied, service, "denied")
	})
	states := map[string]int{gatewayops.StateRouted: 0, gatewayops.StateNotExposed: 0, gatewayops.StateRefused: 0, gatewayops.StateUnreachable: 0}
	for _, known := range i.Learner.Report() {
		s := i.service(known)
		states[s.State]++
		if known.Module != nil && known.Refused { // what it was before goes on
			states[gatewayops.StateRefused]++
		}
		of := map[string]int{
			gatewayops.InstanceReady: 0, gatewayops.InstanceSlowStart: 0, gatewayops.InstanceProbation: 0, gatewayops.InstanceProbing: 0,
		}
		for _, instance := range s.Instances {
			of[instance.State]++
		}
		for state, n := range of {
			gauge(instances, float64(n), s.Name, state)
		}
		if known.Module != nil {
			load := known.Module.Load()
			gauge(inFlight, float64(load.InFlight()), s.Name)
			most, limited := load.Limit()
			if limited {
				gauge(limit, float64(most), s.Name)
			} else {
				gauge(limit, math.Inf(1), s.Name)
			}
		}
	}
	for state, n := range states {
		gauge(modules, float64(n), state)
	}
	open, flowing := i.Live.Count()
	gauge(connections, float64(open))
	gauge(streams, float64(flowing))
}
