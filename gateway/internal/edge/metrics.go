package edge

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts requests. Its labels are bounded: procedures are those of the table or "unknown".
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer, procedures func() float64) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ashlar_gateway_requests_total", Help: "Requests that ended, by procedure, outcome and protocol.",
		}, []string{"procedure", "code", "protocol"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ashlar_gateway_request_duration_seconds", Help: "How long requests took, streams included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"procedure", "protocol"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ashlar_gateway_requests_in_flight", Help: "Requests that are under way.",
		}),
	}
	return m, errors.Join(
		registerer.Register(m.requests), registerer.Register(m.duration), registerer.Register(m.inFlight),
		registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ashlar_gateway_procedures", Help: "Procedures that can be called.",
		}, procedures)),
	)
}
