package gateway_test

import (
	"context"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"
)

// A service may end a stream while its caller still sends, and the caller may wait for that end before he stops.
func TestServiceEndsAStreamWhoseCallerStillSends(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	for _, procedure := range []string{collect, converse} {
		t.Run(procedure, func(t *testing.T) {
			everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
				if procedure == converse && !h2 {
					t.Skip("HTTP/1.1 has no full duplex")
				}
				ctx, cancel := context.WithTimeout(t.Context(), within)
				defer cancel()
				stream, err := w.client(h2, options...).CallClientStream(ctx, spec(t, procedure))
				require.NoError(t, err)
				defer func() { _ = stream.Close() }()
				require.NoError(t, stream.Send(message("do", "fail")))
				assert.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(stream.Receive(&structpb.Struct{})))
			})
		})
	}
}

func TestTheGatewaysOwnPatienceIsNotForwarded(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	o := echoOffer(t, e)
	o.policy.Timeout = nil
	w.add(o)
	w.routable(look, true)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		require.NoError(t, w.client(h2, options...).CallUnary(t.Context(), spec(t, look), message("text", "x"), &structpb.Struct{}))
		assert.NotContains(t, e.seen(), "Connect-Timeout-Ms")
		assert.NotContains(t, e.seen(), "Grpc-Timeout")
	})
}
