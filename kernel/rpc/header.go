package rpc

import (
	"context"

	"connectrpc.com/connect/v2"
)

// SendHeader returns an interceptor of a client that sends a header with every call.
func SendHeader(key, value string) connect.ClientInterceptor {
	return func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if info, ok := connect.CallInfoForClientContext(ctx); ok {
				info.RequestHeader().Set(key, value)
			}
			return next(ctx, spec)
		}
	}
}
