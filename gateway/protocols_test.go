package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestUnary(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		ctx, info := connect.NewClientContext(t.Context())
		var res structpb.Struct
		require.NoError(t, w.client(h2, options...).CallUnary(ctx, spec(t, look), message("text", "hi"), &res))
		assert.Equal(t, []any{"hi"}, res.AsMap()["texts"])
		assert.Equal(t, "h", info.ResponseHeader().Get("Echo-Header"))
		assert.Equal(t, "t", info.ResponseTrailer().Get("Echo-Trailer"))
	})
}

func TestErrorsOfServicesPass(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		err := w.client(h2, options...).CallUnary(t.Context(), spec(t, look), message("do", "fail"), &structpb.Struct{})
		var e *connect.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, connect.CodeFailedPrecondition, e.Code())
		assert.Equal(t, "as you wish", e.Message())
	})
}

func TestServerStream(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		ctx, info := connect.NewClientContext(t.Context())
		stream, err := w.client(h2, options...).CallServerStream(ctx, spec(t, count), message("text", "go"))
		require.NoError(t, err)
		defer func() { _ = stream.Close() }()
		for i := range 3 {
			var m structpb.Struct
			require.NoError(t, stream.Receive(&m))
			assert.InDelta(t, float64(i), m.AsMap()["n"], 0)
		}
		require.ErrorIs(t, stream.Receive(&structpb.Struct{}), io.EOF)
		assert.Equal(t, "t", info.ResponseTrailer().Get("Echo-Trailer"))
	})
}

func TestClientStream(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		stream, err := w.client(h2, options...).CallClientStream(t.Context(), spec(t, collect))
		require.NoError(t, err)
		defer func() { _ = stream.Close() }()
		for _, text := range []string{"a", "b", "c"} {
			require.NoError(t, stream.Send(message("text", text)))
		}
		require.NoError(t, stream.CloseSend())
		var res structpb.Struct
		require.NoError(t, stream.Receive(&res))
		assert.Equal(t, []any{"a", "b", "c"}, res.AsMap()["texts"])
		require.ErrorIs(t, stream.Receive(&res), io.EOF)
	})
}

// Each message is answered before the next is sent, so nothing may wait in a buffer; and the last answer comes after
// the caller has closed its half.
func TestBidi(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		stream, err := w.client(h2, options...).CallClientStream(t.Context(), spec(t, converse))
		require.NoError(t, err)
		defer func() { _ = stream.Close() }()
		if !h2 {
			_ = stream.Send(message("text", "a"))
			require.Error(t, stream.Receive(&structpb.Struct{}), "HTTP/1.1 has no full duplex, and says so")
			return
		}
		for _, text := range []string{"a", "b", "c"} {
			require.NoError(t, stream.Send(message("text", text)))
			var m structpb.Struct
			require.NoError(t, stream.Receive(&m))
			assert.Equal(t, text, m.AsMap()["text"])
		}
		require.NoError(t, stream.CloseSend())
		var m structpb.Struct
		require.NoError(t, stream.Receive(&m))
		assert.Equal(t, "bye", m.AsMap()["text"])
		require.ErrorIs(t, stream.Receive(&m), io.EOF)
	})
}

func TestStreamErrorsPass(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		stream, err := w.client(h2, options...).CallServerStream(t.Context(), spec(t, count), message("do", "fail"))
		require.NoError(t, err)
		defer func() { _ = stream.Close() }()
		assert.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(stream.Receive(&structpb.Struct{})))
	})
}

func TestCancellationReachesTheHandler(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	for _, procedure := range []string{change, count, converse} {
		t.Run(procedure, func(t *testing.T) {
			everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
				if procedure == converse && !h2 {
					t.Skip("HTTP/1.1 has no full duplex")
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				client := w.client(h2, options...)
				go func() { done <- wait(ctx, client, spec(t, procedure)) }()
				<-e.waiting
				cancel()
				require.ErrorIs(t, <-e.ended, context.Canceled)
				assert.Equal(t, connect.CodeCanceled, connect.CodeOf(<-done))
			})
		})
	}
}

// wait makes a call that the service answers only when it ends.
func wait(ctx context.Context, client *connect.Client, spec connect.Spec) error {
	request := message("do", "wait")
	if spec.StreamType == connect.StreamTypeUnary {
		return client.CallUnary(ctx, spec, request, &structpb.Struct{})
	}
	stream, err := open(ctx, client, spec, request)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	return stream.Receive(&structpb.Struct{})
}

// open opens a stream and sends its first message.
func open(ctx context.Context, client *connect.Client, spec connect.Spec, request any) (connect.ClientStream, error) {
	if spec.StreamType == connect.StreamTypeServer {
		return client.CallServerStream(ctx, spec, request)
	}
	stream, err := client.CallClientStream(ctx, spec)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(request); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, stream.Close())
	}
	return stream, nil
}

func TestPlainCurlIsEnough(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	status, a := w.post(change, `{"text":"hi"}`, nil)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, []any{"hi"}, a.fields["texts"])

	request, err := http.NewRequest(http.MethodGet, w.url(look+`?encoding=json&message=%7B%22text%22%3A%22get%22%7D`), nil)
	require.NoError(t, err)
	status, a = w.do(request)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, []any{"get"}, a.fields["texts"])
}
