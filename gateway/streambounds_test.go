package gateway_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/gateway"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/rpcerror"
)

const streamTooLarge = "STREAM_TOO_LARGE"

// bounded is a world whose streams have bounds, and how the contexts of the service's calls ended.
func bounded(t *testing.T, change func(*gateway.Config), procedures map[string]*kernelv1.ProcedurePolicy) (*world, chan error) {
	t.Helper()
	w := newWorld(t, change)
	o := echoOffer(t, newEcho())
	o.policy.Procedures = procedures
	ended := make(chan error, 1000)
	o.interceptors = append(o.interceptors, func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			err := next(ctx, spec, stream)
			if spec.StreamType != connect.StreamTypeUnary {
				ended <- ctx.Err()
			}
			return err
		}
	})
	w.add(o)
	w.routable(look, true)
	return w, ended
}

// received is how many messages come until a stream ends, and how it ends.
func received(stream connect.ClientStream) (n int, err error) {
	for {
		if err := stream.Receive(&structpb.Struct{}); err != nil {
			return n, err
		}
		n++
	}
}

// requireOver requires that a stream has ended because of a bound.
func requireOver(t *testing.T, err error, limit, most, side string) {
	t.Helper()
	requireError(t, err, connect.CodeResourceExhausted, streamTooLarge)
	e, _ := errors.AsType[*connect.Error](err)
	for _, detail := range e.Details() {
		m, err := connectproto.UnmarshalErrorDetail(detail)
		require.NoError(t, err)
		if info, ok := m.(*errdetails.ErrorInfo); ok {
			assert.Equal(t, map[string]string{"limit": limit, "max": most, "side": side}, info.GetMetadata())
		}
	}
}

func TestMessagesOfAStreamAreBounded(t *testing.T) {
	w, ended := bounded(t, func(c *gateway.Config) { c.MaxStreamMessages = 5 }, nil)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		client := w.client(h2, options...)
		t.Run("of the caller", func(t *testing.T) {
			for _, messages := range []int{5, 6} {
				stream, err := client.CallClientStream(t.Context(), spec(t, collect))
				require.NoError(t, err)
				for range messages {
					_ = stream.Send(message("text", "x")) // the last may come too late
				}
				require.NoError(t, stream.CloseSend())
				n, err := received(stream)
				if messages == 5 {
					require.ErrorIs(t, err, io.EOF)
					assert.Equal(t, 1, n)
					require.NoError(t, <-ended)
				} else {
					requireOver(t, err, "messages", "5", "caller")
					require.ErrorIs(t, <-ended, context.Canceled, "the service knows")
				}
				require.NoError(t, stream.Close())
			}
		})
		t.Run("of the service", func(t *testing.T) {
			stream, err := client.CallServerStream(t.Context(), spec(t, count), message("do", "flood"))
			require.NoError(t, err)
			n, err := received(stream)
			requireOver(t, err, "messages", "5", "service")
			assert.Equal(t, 5, n)
			require.ErrorIs(t, <-ended, context.Canceled)
			require.NoError(t, stream.Close())
		})
		if !h2 {
			return
		}
		t.Run("of both, turn by turn", func(t *testing.T) {
			stream, err := client.CallClientStream(t.Context(), spec(t, converse))
			require.NoError(t, err)
			for range 5 {
				require.NoError(t, stream.Send(message("text", "x")))
				require.NoError(t, stream.Receive(&structpb.Struct{}))
			}
			_ = stream.Send(message("text", "x"))
			_, err = received(stream)
			requireOver(t, err, "messages", "5", "caller")
			require.ErrorIs(t, <-ended, context.Canceled)
			require.NoError(t, stream.Close())
		})
	})
	assert.Positive(t, w.counted("ashlar_gateway_refused_total", map[string]string{"reason": streamTooLarge}))
}

func TestBytesOfAStreamAreBounded(t *testing.T) {
	w, ended := bounded(t, func(c *gateway.Config) { c.MaxStreamBytes = 100_000 }, map[string]*kernelv1.ProcedurePolicy{
		count: {StreamLimit: &kernelv1.StreamLimit{Bytes: new(uint64(2_000))}}, // they can be compressed well
	})
	noise := make([]byte, 20_000)
	_, _ = rand.Read(noise)
	large := message("text", hex.EncodeToString(noise)) // about as many bytes when it is compressed
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		client := w.client(h2, options...)
		stream, err := client.CallClientStream(t.Context(), spec(t, collect))
		require.NoError(t, err)
		for range 10 {
			_ = stream.Send(large)
		}
		require.NoError(t, stream.CloseSend())
		_, err = received(stream)
		requireOver(t, err, "bytes", "100000", "caller")
		require.ErrorIs(t, <-ended, context.Canceled)
		require.NoError(t, stream.Close())

		stream, err = client.CallServerStream(t.Context(), spec(t, count), message("do", "flood"))
		require.NoError(t, err)
		n, err := received(stream)
		requireOver(t, err, "bytes", "2000", "service")
		assert.Positive(t, n, "no message is cut")
		require.ErrorIs(t, <-ended, context.Canceled)
		require.NoError(t, stream.Close())
	})
}

func TestManifestBoundsStreams(t *testing.T) {
	w, _ := bounded(t, func(c *gateway.Config) { c.MaxStreamMessages = 5 }, map[string]*kernelv1.ProcedurePolicy{
		collect:  {StreamLimit: &kernelv1.StreamLimit{Messages: new(uint64(2))}},
		converse: {StreamLimit: &kernelv1.StreamLimit{Messages: new(uint64(0))}},
	})
	client := w.client(true)
	stream, err := client.CallClientStream(t.Context(), spec(t, collect))
	require.NoError(t, err)
	for range 3 {
		_ = stream.Send(message("text", "x"))
	}
	_, err = received(stream)
	requireOver(t, err, "messages", "2", "caller")
	require.NoError(t, stream.Close())

	stream, err = client.CallClientStream(t.Context(), spec(t, converse))
	require.NoError(t, err)
	for range 20 {
		require.NoError(t, stream.Send(message("text", "x")))
		require.NoError(t, stream.Receive(&structpb.Struct{}))
	}
	require.NoError(t, stream.CloseSend())
	n, err := received(stream)
	require.ErrorIs(t, err, io.EOF)
	assert.Equal(t, 1, n)
	require.NoError(t, stream.Close())

	t.Run("those of the gateway itself, too", func(t *testing.T) {
		reflection := connect.Spec{Procedure: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", StreamType: connect.StreamTypeBidi}
		stream, err := client.CallClientStream(t.Context(), reflection)
		require.NoError(t, err)
		list := &grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}
		for range 6 {
			_ = stream.Send(list)
		}
		var answer grpc_reflection_v1.ServerReflectionResponse
		for err == nil {
			err = stream.Receive(&answer)
		}
		requireOver(t, err, "messages", "5", "caller")
		require.NoError(t, stream.Close())
	})
}

// An envelope says how long its message is: nobody waits for one that is too long.
func TestMessageOfAStreamThatIsTooLarge(t *testing.T) {
	w, ended := bounded(t, nil, nil)
	for _, h2 := range []bool{false, true} {
		body, caller := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url(collect), body)
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/connect+proto")
		go func() { _, _ = caller.Write([]byte{0, 0, 0, 0, 0, 0, 0, 0x40, 0, 1}) }() // an empty one, and one of 4 MiB and a byte
		response, err := newHTTPClient(t, h2).Do(request)
		require.NoError(t, err)
		answer, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		assert.Contains(t, string(answer), rpcerror.ReasonMessageTooLarge)
		require.ErrorIs(t, <-ended, context.Canceled)
		require.NoError(t, caller.Close())
		require.NoError(t, response.Body.Close())
	}
}
