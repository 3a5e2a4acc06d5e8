package gateway

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// rereadMetrics tells how reading something anew went.
type rereadMetrics struct {
	outcomes *prometheus.CounterVec
	good     prometheus.Gauge
	last     prometheus.Gauge
}

func newRereadMetrics(registerer prometheus.Registerer, prefix, what string) (*rereadMetrics, error) {
	m := &rereadMetrics{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "_reloads_total", Help: "How often " + what + " was read anew, by outcome: applied, unchanged, refused.",
		}, []string{"outcome"}),
		good: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: prefix + "_last_reload_successful", Help: "Whether what was read last of " + what + " holds: 0 where it was refused.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: prefix + "_last_reload_success_timestamp_seconds", Help: "When " + what + " was last read and not refused.",
		}),
	}
	for _, outcome := range []string{"applied", "unchanged", "refused"} {
		m.outcomes.WithLabelValues(outcome)
	}
	m.good.Set(1)
	m.last.SetToCurrentTime()
	return m, errors.Join(registerer.Register(m.outcomes), registerer.Register(m.good), registerer.Register(m.last))
}

func (m *rereadMetrics) note(changed bool, err error) {
	switch {
	case err != nil:
		m.outcomes.WithLabelValues("refused").Inc()
		m.good.Set(0)
		return
	case changed:
		m.outcomes.WithLabelValues("applied").Inc()
	default:
		m.outcomes.WithLabelValues("unchanged").Inc()
	}
	m.good.Set(1)
	m.last.SetToCurrentTime()
}
