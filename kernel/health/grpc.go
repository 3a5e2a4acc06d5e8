package health

import (
	"context"

	"connectrpc.com/connect/v2"

	healthv1 "ashlar.dev/gen/go/grpc/health/v1"
	"ashlar.dev/gen/go/grpc/health/v1/healthv1connect"
	"ashlar.dev/kernel/access"
)

// Rules are the access rules of grpc.health.v1, whose schema is not ours: anybody may ask.
func Rules() map[string]access.Rule {
	return map[string]access.Rule{
		healthv1connect.HealthCheckProcedure: {Kind: access.Public},
		healthv1connect.HealthWatchProcedure: {Kind: access.Public},
	}
}

// Register serves grpc.health.v1 on server: for the empty name, which means the process as a whole, and for the RPC
// services for which known is true. All have the status of the process.
func (s *Status) Register(server *connect.Server, known func(service string) bool) {
	healthv1connect.RegisterHealthHandler(server, &grpcHealth{status: s, known: known})
}

type grpcHealth struct {
	status *Status
	known  func(string) bool
}

// Check implements grpc.health.v1.
func (h *grpcHealth) Check(_ context.Context, req *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	if !h.serves(req) {
		return nil, connect.NewError(connect.CodeNotFound, "unknown service")
	}
	status, _ := h.now()
	return &healthv1.HealthCheckResponse{Status: status}, nil
}

// Watch implements grpc.health.v1.
func (h *grpcHealth) Watch(ctx context.Context, req *healthv1.HealthCheckRequest, stream healthv1connect.HealthWatchServerStream) error {
	if !h.serves(req) {
		if err := stream.Send(&healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_SERVICE_UNKNOWN}); err != nil {
			return err
		}
		// The protocol keeps the stream open, since the service could come; here it never does.
		<-ctx.Done()
		return ctx.Err()
	}
	last := healthv1.HealthCheckResponse_UNKNOWN
	for {
		status, changed := h.now()
		if status != last {
			if err := stream.Send(&healthv1.HealthCheckResponse{Status: status}); err != nil {
				return err
			}
			last = status
		}
		if status == healthv1.HealthCheckResponse_NOT_SERVING && h.status.stopping() {
			return connect.NewError(connect.CodeUnavailable, "the server stops")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h *grpcHealth) serves(req *healthv1.HealthCheckRequest) bool {
	return req.GetService() == "" || h.known(req.GetService())
}

func (h *grpcHealth) now() (healthv1.HealthCheckResponse_ServingStatus, <-chan struct{}) {
	ready, _, changed := h.status.Ready()
	if ready {
		return healthv1.HealthCheckResponse_SERVING, changed
	}
	return healthv1.HealthCheckResponse_NOT_SERVING, changed
}
