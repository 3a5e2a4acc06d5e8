package health

import (
	"context"

	"connectrpc.com/connect/v2"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ashlar.dev/kernel/access"
)

// The procedures of grpc.health.v1. Its messages come from the grpc module, which the OTLP exporter links anyway: a
// second copy of the schema in one binary is a conflict. That is also why the two methods are registered by hand.
const (
	CheckProcedure = "/grpc.health.v1.Health/Check"
	WatchProcedure = "/grpc.health.v1.Health/Watch"
)

// Rules are the access rules of grpc.health.v1, whose schema is not ours: anybody may ask.
func Rules() map[string]access.Rule {
	return map[string]access.Rule{CheckProcedure: {Kind: access.Public}, WatchProcedure: {Kind: access.Public}}
}

// CheckSpec describes Check, for servers and clients.
func CheckSpec() connect.Spec { return spec(connect.StreamTypeUnary, CheckProcedure, "Check") }

// WatchSpec describes Watch, for servers and clients.
func WatchSpec() connect.Spec { return spec(connect.StreamTypeServer, WatchProcedure, "Watch") }

func spec(streamType connect.StreamType, procedure string, method protoreflect.Name) connect.Spec {
	return connect.Spec{
		StreamType: streamType, Procedure: procedure,
		Schema: healthv1.File_grpc_health_v1_health_proto.Services().ByName("Health").Methods().ByName(method),
	}
}

// Register serves grpc.health.v1 on server: for the empty name, which means the process as a whole, and for the RPC
// services for which known is true. All have the status of the process.
func (s *Status) Register(server *connect.Server, known func(service string) bool) {
	h := &grpcHealth{status: s, known: known}
	server.Register(
		connect.Method{Spec: CheckSpec(), Handler: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
			var req healthv1.HealthCheckRequest
			if err := stream.Receive(&req); err != nil {
				return err
			}
			res, err := h.check(&req)
			if err != nil {
				return err
			}
			return stream.Send(res)
		}},
		connect.Method{Spec: WatchSpec(), Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
			var req healthv1.HealthCheckRequest
			if err := stream.Receive(&req); err != nil {
				return err
			}
			return h.watch(ctx, &req, stream)
		}},
	)
}

type grpcHealth struct {
	status *Status
	known  func(string) bool
}

func (h *grpcHealth) check(req *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	if !h.serves(req) {
		return nil, connect.NewError(connect.CodeNotFound, "unknown service")
	}
	status, _ := h.now()
	return &healthv1.HealthCheckResponse{Status: status}, nil
}

func (h *grpcHealth) watch(ctx context.Context, req *healthv1.HealthCheckRequest, stream connect.ServerStream) error {
	if !h.serves(req) {
		if err := stream.Send(&healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_SERVICE_UNKNOWN}); err != nil {
			return err
		}
		// The protocol keeps the stream open, since the service could come; here it never does.
		return h.untilStop(ctx)
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
			return errStopping()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// untilStop keeps a stream open for which there is no more to say, and ends it with the process.
func (h *grpcHealth) untilStop(ctx context.Context) error {
	for {
		_, changed := h.now()
		if h.status.stopping() {
			return errStopping()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func errStopping() error { return connect.NewError(connect.CodeUnavailable, "the server stops") }

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
