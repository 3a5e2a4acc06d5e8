package gateway

import (
	"context"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// sample is what one gateway has counted at one time.
type sample struct {
	id    string
	taken time.Time
	// by procedure
	requests, errors map[string]float64
	// buckets are cumulative counts, by upper bound in seconds.
	buckets map[string]map[float64]float64
	// inService and limits are by service; a limit is +Inf where there is none.
	inService, limits map[string]float64
	// gauges have the sum over their labels; ages the highest.
	inFlight, connections, streams, viewAge float64
}

// take asks a gateway what it has counted.
func (t target) take(ctx context.Context) (sample, error) {
	var families map[string]*dto.MetricFamily
	err := t.get(ctx, "/metrics", nil, func(r io.Reader) (err error) {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err = parser.TextToMetricFamilies(r)
		return err
	})
	if err != nil {
		return sample{}, err
	}
	return read(t.id, families, time.Now()), nil
}

func read(id string, families map[string]*dto.MetricFamily, now time.Time) sample {
	s := sample{id: id, taken: now, requests: map[string]float64{}, errors: map[string]float64{}, buckets: map[string]map[float64]float64{}}
	s.inService, s.limits = byService(families["ashlar_gateway_upstream_in_flight"]), byService(families["ashlar_gateway_upstream_limit"])
	for _, m := range families["ashlar_gateway_requests_total"].GetMetric() {
		procedure := label(m, "procedure")
		s.requests[procedure] += m.GetCounter().GetValue()
		if label(m, "code") != "ok" {
			s.errors[procedure] += m.GetCounter().GetValue()
		}
	}
	for _, m := range families["ashlar_gateway_request_duration_seconds"].GetMetric() {
		procedure := label(m, "procedure")
		if s.buckets[procedure] == nil {
			s.buckets[procedure] = map[float64]float64{}
		}
		for _, b := range m.GetHistogram().GetBucket() {
			s.buckets[procedure][b.GetUpperBound()] += float64(b.GetCumulativeCount())
		}
	}
	sum := func(name string) (total, highest float64) {
		for _, m := range families[name].GetMetric() {
			total += m.GetGauge().GetValue()
			highest = max(highest, m.GetGauge().GetValue())
		}
		return total, highest
	}
	s.inFlight, _ = sum("ashlar_gateway_requests_in_flight")
	s.connections, _ = sum("ashlar_gateway_connections")
	s.streams, _ = sum("ashlar_gateway_streams")
	_, s.viewAge = sum("ashlar_discovery_view_age_seconds")
	return s
}

func byService(gauge *dto.MetricFamily) map[string]float64 {
	out := map[string]float64{}
	for _, m := range gauge.GetMetric() {
		out[label(m, "service")] = m.GetGauge().GetValue()
	}
	return out
}

func label(m *dto.Metric, name string) string {
	for _, pair := range m.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

// grown is by how much a counter has grown; one that went back began anew.
func grown(before, after float64) float64 {
	if after < before {
		return after
	}
	return after - before
}

// quantile estimates a quantile from what cumulative buckets have grown by, as Prometheus does: even within a bucket. It is
// the highest bound where it lies above that, and NaN where there is nothing.
func quantile(q float64, buckets map[float64]float64) float64 {
	bounds := slices.Sorted(maps.Keys(buckets))
	if len(bounds) == 0 || buckets[bounds[len(bounds)-1]] <= 0 {
		return math.NaN()
	}
	rank := q * buckets[bounds[len(bounds)-1]]
	lower, below := 0.0, 0.0
	for _, bound := range bounds {
		if count := buckets[bound]; count >= rank && count > below {
			if math.IsInf(bound, 1) {
				return lower
			}
			return lower + (bound-lower)*(rank-below)/(count-below)
		}
		lower, below = bound, buckets[bound]
	}
	return lower
}
