package edge

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ashlar.dev/gateway/internal/wire"
)

// metrics counts requests. Its labels are bounded: procedures are those of the table or "unknown".
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	hedged   prometheus.Counter
	refused  *prometheus.CounterVec
	shed     *prometheus.CounterVec

	// known holds the series that have been asked for, so that they are not looked up by their labels for each request.
	known atomic.Pointer[map[seriesKey]series]
	mu    sync.Mutex // one change of known at a time
}

// seriesKey has the labels of a series.
type seriesKey struct {
	procedure, code string
	protocol        wire.Protocol
}

// series is where requests with the same labels are counted.
type series struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

// note counts a request that has ended.
func (s series) note(took time.Duration) {
	s.requests.Inc()
	s.duration.Observe(took.Seconds())
}

// of returns where requests with these labels are counted.
func (m *metrics) of(procedure, code string, protocol wire.Protocol) series {
	key := seriesKey{procedure, code, protocol}
	if s, ok := (*m.known.Load())[key]; ok {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := series{
		requests: m.requests.WithLabelValues(procedure, code, protocol.String()),
		duration: m.duration.WithLabelValues(procedure, protocol.String()),
	}
	next := maps.Clone(*m.known.Load())
	next[key] = s
	m.known.Store(&next)
	return s
}

func newMetrics(registerer prometheus.Registerer, procedures, inFlight func() float64) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ashlar_gateway_requests_total", Help: "Requests that ended, by procedure, outcome and protocol.",
		}, []string{"procedure", "code", "protocol"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ashlar_gateway_request_duration_seconds", Help: "How long requests took, streams included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"procedure", "protocol"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ashlar_gateway_refused_total", Help: "Requests that the gateway itself answered with an error, by its reason.",
		}, []string{"reason"}),
		shed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ashlar_gateway_shed_total", Help: "Requests that were refused because a service, or the gateway, had too many.",
		}, []string{"service"}),
	}
	m.hedged = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "ashlar_gateway_hedged_requests_total", Help: "Requests that were sent to a second instance because the first took long.",
	})
	m.known.Store(&map[seriesKey]series{})
	return m, errors.Join(
		registerer.Register(m.requests), registerer.Register(m.duration), registerer.Register(m.shed),
		registerer.Register(m.hedged), registerer.Register(m.refused),
		registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ashlar_gateway_requests_in_flight", Help: "Requests that are under way.",
		}, inFlight)),
		registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ashlar_gateway_procedures", Help: "Procedures that can be called.",
		}, procedures)),
	)
}
