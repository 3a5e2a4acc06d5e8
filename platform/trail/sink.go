package trail

import (
	"context"
	"log/slog"

	"connectrpc.com/connect/v2"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"ashlar.dev/ent/outbox"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/core"
)

// Service is the name of the service that keeps the record.
const Service = core.Audit

// maxCallBytes bounds the events of one call. A hundred events at their bounds can be more than a message may have
// (rpc.MaxMessageBytes), and a call that is refused for its size would be refused for ever.
const maxCallBytes = rpc.MaxMessageBytes / 2

// What is set aside without a reason of audit's.
const reasonMalformed = "MALFORMED"

// reasonForeignEvent is what audit says of an event in another service's name.
const reasonForeignEvent = "FOREIGN_EVENT"

// sink delivers events to audit. What audit will never take is set aside: it would hold up all that comes after it.
type sink struct {
	client        auditv1connect.IngestServiceClient
	log           *slog.Logger
	undeliverable prometheus.Counter
}

// NewSink returns the sink that delivers events from an outbox to audit, in as many calls as their size asks for. An event
// that audit will never take is logged as an error, counted and left out; it is counted again where the batch is.
func NewSink(clients *rpc.Clients, log *slog.Logger, metrics prometheus.Registerer) outbox.Sink {
	s := &sink{
		client: auditv1connect.NewIngestServiceClient(clients.Client(Service)), log: log,
		undeliverable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ashlar_audit_undeliverable_total", Help: "Events that audit will never take, and that are not on the record: bugs.",
		}),
	}
	metrics.MustRegister(s.undeliverable)
	return s.deliver
}

func (s *sink) deliver(ctx context.Context, payloads [][]byte) error {
	var events []*auditv1.Event
	size := 0
	for _, payload := range payloads {
		if size > 0 && size+len(payload) > maxCallBytes {
			if err := s.append(ctx, events); err != nil {
				return err
			}
			events, size = nil, 0
		}
		event := &auditv1.Event{}
		if err := proto.Unmarshal(payload, event); err != nil {
			s.setAside(ctx, event, reasonMalformed, err) // with the id, if that could be read
			continue
		}
		events, size = append(events, event), size+len(payload)
	}
	return s.append(ctx, events)
}

// append delivers events in one call, or, where audit will never take all of them, one by one.
func (s *sink) append(ctx context.Context, events []*auditv1.Event) error {
	if len(events) == 0 {
		return nil
	}
	_, err := s.client.AppendEvents(ctx, &auditv1.AppendEventsRequest{Events: events})
	if err == nil || !refused(err) {
		return err
	}
	if len(events) == 1 {
		s.setAside(ctx, events[0], rpcerror.Reason(err), err)
		return nil
	}
	for _, event := range events {
		if err := s.append(ctx, []*auditv1.Event{event}); err != nil {
			return err
		}
	}
	return nil
}

// refused tells whether an error says that the events are wrong, and not that something is away or set up wrongly.
func refused(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument:
		return true
	case connect.CodePermissionDenied:
		return rpcerror.Reason(err) == reasonForeignEvent
	default:
		return false
	}
}

func (s *sink) setAside(ctx context.Context, event *auditv1.Event, reason string, err error) {
	s.undeliverable.Inc()
	s.log.ErrorContext(ctx, "audit will never take this event; it is not on the record", "event", event.GetId(), "reason", reason, "error", err)
}
