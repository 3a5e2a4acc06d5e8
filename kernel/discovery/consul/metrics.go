package consul

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var viewAge = prometheus.NewDesc("ashlar_discovery_view_age_seconds",
	"How long ago Consul last confirmed a view: up to half a minute where nothing happens, and growing while it does not answer.", []string{"view"}, nil)

var _ prometheus.Collector = (*Registry)(nil)

// Describe implements prometheus.Collector.
func (r *Registry) Describe(out chan<- *prometheus.Desc) { out <- viewAge }

// Collect implements prometheus.Collector.
func (r *Registry) Collect(out chan<- prometheus.Metric) {
	r.mu.Lock()
	ages := make(map[string]time.Duration, len(r.confirmed))
	for view, confirmed := range r.confirmed {
		ages[view] = time.Since(time.Unix(0, confirmed.Load()))
	}
	r.mu.Unlock()
	for view, age := range ages {
		out <- prometheus.MustNewConstMetric(viewAge, prometheus.GaugeValue, age.Seconds(), view)
	}
}
