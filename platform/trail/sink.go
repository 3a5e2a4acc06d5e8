package trail

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"ashlar.dev/ent/outbox"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/kernel/rpc"
)

// Service is the name of the service that keeps the record.
const Service = "audit"

// maxCallBytes bounds the events of one call. A hundred events at their bounds can be more than a message may have
// (rpc.MaxMessageBytes), and a call that is refused for its size would be refused for ever.
const maxCallBytes = rpc.MaxMessageBytes / 2

// NewSink returns the sink that delivers events from an outbox to audit, in as many calls as their size asks for.
func NewSink(clients *rpc.Clients) outbox.Sink {
	client := auditv1connect.NewIngestServiceClient(clients.Client(Service))
	return func(ctx context.Context, payloads [][]byte) error {
		var req auditv1.AppendEventsRequest
		size := 0
		for _, payload := range payloads {
			if size > 0 && size+len(payload) > maxCallBytes {
				if _, err := client.AppendEvents(ctx, &req); err != nil {
					return err
				}
				req.Events, size = nil, 0
			}
			event := &auditv1.Event{}
			if err := proto.Unmarshal(payload, event); err != nil {
				return fmt.Errorf("event in the outbox: %w", err)
			}
			req.Events, size = append(req.Events, event), size+len(payload)
		}
		_, err := client.AppendEvents(ctx, &req)
		return err
	}
}
