package edge

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/telemetry"
)

const (
	// Calls that are always logged are bounded, for each reason to do so, so that a flood of requests does not become a
	// flood of lines, and one of refusals does not hide failures.
	alwaysPerSecond = 50
	alwaysBurst     = 100
	// What the caller chooses is bounded, in bytes.
	maxUserAgentBytes = 256
	maxPathBytes      = 128
	maxCauseBytes     = 512

	maxAttrs = 22
)

// AccessLog says which calls are logged at INFO. At DEBUG all are.
type AccessLog struct {
	// Sample is the share of calls that are logged whatever becomes of them, from 0 to 1.
	Sample float64
	// Slow is how long a unary call may take before it is always logged; 0: none is for that.
	Slow time.Duration
}

// sampling is an AccessLog as it is looked at for each call.
type sampling struct {
	below uint64 // a trace whose first half is a smaller number is logged
	all   bool
	slow  time.Duration
}

func (a AccessLog) sampling() sampling {
	s := sampling{all: a.Sample >= 1, slow: a.Slow}
	if !s.all && a.Sample > 0 {
		s.below = uint64(math.Ldexp(a.Sample, 64))
	}
	return s
}

// occasion is why a call is logged.
type occasion uint8

const (
	bySample  occasion = iota
	failed             // by a fault of the platform
	refused            // by the gateway
	tooSlow            // and nothing worse
	verbose            // as all calls are at DEBUG
	occasions = iota
)

// String implements fmt.Stringer.
func (o occasion) String() string {
	return [occasions]string{"sample", "failed", "refused", "slow", "debug"}[o]
}

// accessLog bounds what is always logged, and counts what that leaves out. It is safe for concurrent use.
type accessLog struct {
	log    *slog.Logger
	always [occasions]struct {
		limit   *rate.Limiter
		leftOut atomic.Int64 // since the last line
		total   prometheus.Counter
	}
}

func newAccessLog(t *telemetry.Telemetry) (*accessLog, error) {
	leftOut := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ashlar_gateway_access_log_left_out_total", Help: "Requests that should have been logged and were too many, by why they should.",
	}, []string{"occasion"})
	a := &accessLog{log: t.Log}
	for _, o := range []occasion{failed, refused, tooSlow} {
		a.always[o].limit = rate.NewLimiter(alwaysPerSecond, alwaysBurst)
		a.always[o].total = leftOut.WithLabelValues(o.String())
	}
	return a, t.Metrics.Register(leftOut)
}

// admits tells whether there is room for one more line, and how many were left out since the last one.
func (a *accessLog) admits(o occasion) (leftOut int64, ok bool) {
	always := &a.always[o]
	switch {
	case always.limit == nil:
		return 0, true
	case always.limit.Allow():
		return always.leftOut.Swap(0), true
	}
	always.leftOut.Add(1)
	always.total.Inc()
	return 0, false
}

// occasion is why a call that took so long is logged; ok is false where it is not.
func (c *call) occasion(took time.Duration) (why occasion, ok bool) {
	s := &c.h.current.Load().access
	traceID := c.trace.TraceID()
	switch {
	case isFault(c.code):
		return failed, true
	case c.refused:
		return refused, true
	case s.slow > 0 && took >= s.slow && (c.route == nil || c.route.Unary()):
		return tooSlow, true
	default:
		// By the trace, so that whoever else samples by it has the same calls.
		return bySample, s.all || binary.BigEndian.Uint64(traceID[:8]) < s.below
	}
}

// isFault tells whether a code says that something is wrong with the platform, and not with the request.
func isFault(code string) bool {
	switch code {
	case "unknown", "internal", "unavailable", "data_loss", "deadline_exceeded":
		return true
	default:
		return false
	}
}

// log writes the line of a call that has ended. There is nothing in it by which somebody could do what the caller may: no
// query (a Connect GET has its message there), no header but the name of the caller's program, no body.
func (c *call) log(took time.Duration) {
	log := c.h.access.log
	level, leftOut := slog.LevelInfo, int64(0)
	why, ok := c.occasion(took)
	if ok {
		leftOut, ok = c.h.access.admits(why)
	}
	if !ok {
		why, level = verbose, slog.LevelDebug
	}
	if log.Enabled(context.Background(), level) {
		log.LogAttrs(c.traced(), level, "request", c.line(took, why, leftOut)...)
	}
}

// line is what is told about a call.
func (c *call) line(took time.Duration, why occasion, leftOut int64) []slog.Attr {
	attrs := make([]slog.Attr, 0, maxAttrs)
	text := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	number := func(name string, value int64) { attrs = append(attrs, slog.Int64(name, value)) }
	text("procedure", c.name())
	if c.route == nil {
		text("path", clip(c.r.URL.EscapedPath(), maxPathBytes))
	}
	text("protocol", c.spoken().String())
	text("http", c.r.Proto)
	text("code", c.code)
	number("status", int64(c.w.status))
	text("reason", c.reason)
	attrs = append(attrs, slog.Float64("duration_ms", float64(took.Microseconds())/1e3))
	number("request_bytes", c.request.got.Load())
	number("response_bytes", c.w.sent.Load())
	if client := addressOf(c.r); client.IsValid() {
		text("client", client.String())
	}
	if c.principal.Kind == authn.User {
		text("principal", c.principal.UserID)
		text("session", c.principal.SessionID)
		text("organization", c.principal.OrganizationID)
	}
	if c.route != nil {
		text("peer", c.route.Service)
	}
	text("peer_instance", c.instance)
	if c.attempts > 0 {
		number("attempts", int64(c.attempts))
	}
	if c.cached {
		text("cache", "hit")
	}
	text("user_agent", clip(c.r.UserAgent(), maxUserAgentBytes))
	if c.cause != nil {
		text("cause", clip(c.cause.Error(), maxCauseBytes))
	}
	text("occasion", why.String())
	if leftOut > 0 {
		number("left_out", leftOut)
	}
	return attrs
}

// clip returns the beginning of a text from outside, as valid UTF-8. That it cannot end a line is the handler's part, which
// quotes what is not printable.
func clip(text string, maxBytes int) string {
	if len(text) > maxBytes {
		text = text[:maxBytes] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
