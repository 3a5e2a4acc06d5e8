package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ashlar.dev/ent/mixin"
)

// metrics are those of one outbox. Depth and age are about the database, so that
// every instance says the same, whether it delivers or not.
type metrics struct {
	depth     prometheus.Gauge
	oldest    atomic.Int64 // milliseconds since 1970; 0: there is none
	delivered prometheus.Counter
	failures  prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		depth: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ashlar_outbox_events",
			Help: "Events in the database that are committed and not delivered yet; above 10,000 an upper bound.",
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
	// Computed when it is asked for: it grows while the database cannot be asked.
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ashlar_outbox_oldest_event_age_seconds",
		Help: "Age of the event that is delivered next, 0 where there is none.",
	}, m.age)
	if registry != nil {
		registry.MustRegister(m.depth, age, m.delivered, m.failures)
	}
	return m
}

func (m *metrics) age() float64 {
	oldest := m.oldest.Load()
	if oldest == 0 {
		return 0
	}
	return max(0, time.Since(time.UnixMilli(oldest)).Seconds())
}

// none notes that the outbox was seen empty.
func (m *metrics) none() {
	m.depth.Set(0)
	m.oldest.Store(0)
}

// countAtMost bounds how many events are counted: a million rows are not read
// every few seconds.
const countAtMost = 10_000

// Both dialects answer these by the primary key. Keys are never used twice, so
// that there are at most as many rows as there are keys between the first and the
// last; some are missing, of transactions that were rolled back.
var (
	readOldest = "SELECT created_at FROM " + mixin.OutboxTable + " ORDER BY id LIMIT 1"
	countSome  = fmt.Sprintf("SELECT COUNT(*) FROM (SELECT id FROM %s ORDER BY id LIMIT %d) AS head", mixin.OutboxTable, countAtMost+1)
	countKeys  = fmt.Sprintf("SELECT COALESCE((SELECT MAX(id) FROM %[1]s) - (SELECT MIN(id) FROM %[1]s) + 1, 0)", mixin.OutboxTable)
)

// measureTimeout bounds one look.
const measureTimeout = 2 * time.Second

// measure looks what is left, for the metrics.
func (o *Outbox) measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	var oldest, depth int64
	err := o.number(ctx, readOldest, &oldest)
	if errors.Is(err, sql.ErrNoRows) {
		o.metrics.none()
		return nil
	}
	if err == nil {
		err = o.number(ctx, countSome, &depth)
	}
	if err == nil && depth > countAtMost {
		err = o.number(ctx, countKeys, &depth)
	}
	if err != nil {
		return fmt.Errorf("measure the outbox: %w", err)
	}
	o.metrics.depth.Set(float64(depth))
	o.metrics.oldest.Store(oldest)
	return nil
}

// watch measures now and then, until ctx ends.
func (o *Outbox) watch(ctx context.Context, interval time.Duration) {
	for {
		if err := o.measure(ctx); err != nil && ctx.Err() == nil {
			o.log.WarnContext(ctx, "the outbox could not be measured", "error", err)
		}
		timer := time.NewTimer(spread(interval))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
