package outbox

import "github.com/prometheus/client_golang/prometheus"

// metrics are those of one outbox. Depth and age are as the relay saw them last.
type metrics struct {
	depth     prometheus.Gauge
	oldest    prometheus.Gauge
	delivered prometheus.Counter
	failures  prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		depth: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ashlar_outbox_events",
			Help: "Events that are committed and not delivered yet.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ashlar_outbox_oldest_event_age_seconds",
			Help: "Age of the oldest event that is not delivered yet, 0 where there is none.",
		}),
		delivered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ashlar_outbox_delivered_total",
			Help: "Events that this process delivered.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ashlar_outbox_failures_total",
			Help: "Attempts of this process to deliver that failed and are made again.",
		}),
	}
	if registry != nil {
		registry.MustRegister(m.depth, m.oldest, m.delivered, m.failures)
	}
	return m
}
