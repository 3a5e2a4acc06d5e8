package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
)

func requireError(t *testing.T, err error, code connect.Code, reason string) {
	t.Helper()
	require.Error(t, err)
	assert.Equal(t, code, connect.CodeOf(err), "%v", err)
	assert.Equal(t, reason, rpcerror.Reason(err), "%v", err)
}

// A service dies while it works on a call: nothing has been answered, so the gateway can still say what happened.
func TestServiceDiesBeforeItAnswers(t *testing.T) {
	w := newWorld(t, nil)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		e := newEcho()
		b := w.add(echoOffer(t, e))
		defer b.leave()
		w.routable(look, true)
		done := make(chan error, 1)
		client := w.client(h2, options...)
		go func() { done <- wait(t.Context(), client, spec(t, change)) }()
		<-e.waiting
		b.kill()
		requireError(t, <-done, connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable)

		t.Run("and nobody is left", func(t *testing.T) {
			err := w.client(h2, options...).CallUnary(t.Context(), spec(t, look), message("text", "hi"), &structpb.Struct{})
			requireError(t, err, connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable)
		})
	})
}

// A service dies in the middle of a stream: the caller gets what came before, and then an error in his protocol.
func TestServiceDiesInTheMiddleOfAStream(t *testing.T) {
	w := newWorld(t, nil)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		e := newEcho()
		b := w.add(echoOffer(t, e))
		defer b.leave()
		w.routable(look, true)
		stream, err := w.client(h2, options...).CallServerStream(t.Context(), spec(t, count), message("do", "send-and-wait"))
		require.NoError(t, err)
		defer func() { _ = stream.Close() }()
		var m structpb.Struct
		require.NoError(t, stream.Receive(&m))
		assert.Equal(t, "first", m.AsMap()["text"])
		<-e.waiting
		b.kill()
		requireError(t, stream.Receive(&m), connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable)
	})
}

// A body that breaks off inside of a message cannot be ended properly; it must not look whole.
func TestAnswerBreaksOffInsideAMessage(t *testing.T) {
	w := newWorld(t, nil)
	o := echoOffer(t, newEcho())
	o.name, o.id = "broken", "broken-1"
	b := w.add(o)
	w.routable(look, true)
	cut := make(chan struct{})
	b.http.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		if r.URL.Path == change {
			rw.Header().Set("Content-Length", "100")
		}
		_, _ = rw.Write([]byte{0, 0, 0, 0, 100, 'h', 'a'})
		_ = http.NewResponseController(rw).Flush()
		<-cut
		panic(http.ErrAbortHandler)
	})
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		stream, err := w.client(h2, options...).CallServerStream(t.Context(), spec(t, count), message("text", "x"))
		require.NoError(t, err)
		defer func() { _ = stream.Close() }()
		go func() { cut <- struct{}{} }()
		err = stream.Receive(&structpb.Struct{})
		require.Error(t, err)
		assert.NotErrorIs(t, err, io.EOF)

		go func() { cut <- struct{}{} }()
		require.Error(t, w.client(h2, options...).CallUnary(t.Context(), spec(t, change), message("text", "x"), &structpb.Struct{}))
	})
}

func TestDeadlineOfTheManifestBoundsUnaryCalls(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	o := echoOffer(t, e)
	o.policy.Timeout = durationpb.New(50 * time.Millisecond)
	w.add(o)
	w.routable(look, true)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		// The service says so, or the gateway does: whoever is first.
		err := wait(t.Context(), w.client(h2, options...), spec(t, change))
		assert.Equal(t, connect.CodeDeadlineExceeded, connect.CodeOf(err), "%v", err)
	})
	for len(e.waiting) > 0 {
		<-e.waiting
		require.Error(t, <-e.ended, "the service stops working on it")
	}
}

func TestDeadlineIsForwardedShorter(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	o := echoOffer(t, e)
	w.add(o)
	w.routable(look, true)
	left := func() time.Duration {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.left
	}
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		client := w.client(h2, options...)
		require.NoError(t, client.CallUnary(ctx, spec(t, look), message("text", "x"), &structpb.Struct{}))
		assert.Less(t, left(), o.policy.GetTimeout().AsDuration())
		assert.Positive(t, left())
		stream, err := client.CallServerStream(ctx, spec(t, count), message("text", "x"))
		require.NoError(t, err)
		require.NoError(t, drain(stream))
		assert.Less(t, left(), time.Hour)
		assert.Greater(t, left(), 59*time.Minute, "the manifest's bound is none for streams")

		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.NoError(t, client.CallUnary(ctx, spec(t, look), message("text", "x"), &structpb.Struct{}))
		assert.Less(t, left(), 10*time.Second)
	})
}

func drain(stream connect.ClientStream) error {
	defer func() { _ = stream.Close() }()
	for {
		if err := stream.Receive(&structpb.Struct{}); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// A service that does not notice the deadline must not keep the caller waiting.
func TestDeadlineWithoutTheServicesHelp(t *testing.T) {
	w := newWorld(t, nil)
	o := echoOffer(t, newEcho())
	o.policy.Timeout = durationpb.New(30 * time.Millisecond)
	b := w.add(o)
	w.routable(look, true)
	release := make(chan struct{})
	defer close(release)
	b.http.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		err := w.client(h2, options...).CallUnary(t.Context(), spec(t, look), message("text", "x"), &structpb.Struct{})
		requireError(t, err, connect.CodeDeadlineExceeded, rpcerror.ReasonDeadlineExceeded)
	})
}

func TestMalformedDeadline(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	before := e.count()
	for _, timeout := range []string{"-1", "1s", "12345678901", "1 0", "0x10", "+5"} {
		status, a := w.post(change, "{}", http.Header{"Connect-Timeout-Ms": {timeout}})
		assert.Equal(t, http.StatusBadRequest, status, timeout)
		assert.Equal(t, rpcerror.ReasonInvalidRequest, a.reason(), timeout)
	}
	status, a := w.post(change, "{}", http.Header{"Connect-Timeout-Ms": {"0"}})
	assert.Equal(t, http.StatusGatewayTimeout, status)
	assert.Equal(t, rpcerror.ReasonDeadlineExceeded, a.reason())
	assert.Equal(t, before, e.count())
}

func TestMessageTooLarge(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	large := message("text", string(bytes.Repeat([]byte("x"), rpc.MaxMessageBytes+1)))
	fits := message("text", string(bytes.Repeat([]byte("x"), rpc.MaxMessageBytes-100)))
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		client := w.client(h2, append([]connecthttp.Option{connecthttp.WithHTTPGetMaxURLSize(4096, true), connecthttp.WithReadMaxBytes(0)}, options...)...)
		err := client.CallUnary(t.Context(), spec(t, change), large, &structpb.Struct{})
		// A message that is small on the way is refused by the service, which sees how large it becomes.
		assert.Equal(t, connect.CodeResourceExhausted, connect.CodeOf(err), "%v", err)
	})
	t.Run("the largest", func(t *testing.T) {
		require.NoError(t, w.client(true, connecthttp.WithGRPC()).CallUnary(t.Context(), spec(t, change), fits, &structpb.Struct{}))
	})
	t.Run("length known", func(t *testing.T) {
		status, a := w.post(change, `{"text":"`+string(bytes.Repeat([]byte("x"), rpc.MaxMessageBytes))+`"}`, nil)
		assert.Equal(t, http.StatusTooManyRequests, status)
		assert.Equal(t, rpcerror.ReasonMessageTooLarge, a.reason())
	})
	t.Run("length unknown", func(t *testing.T) {
		body := io.MultiReader(bytes.NewReader([]byte(`{"text":"`)), bytes.NewReader(bytes.Repeat([]byte("x"), rpc.MaxMessageBytes)))
		request, err := http.NewRequest(http.MethodPost, w.url(change), body)
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		status, a := w.do(request)
		assert.Equal(t, http.StatusTooManyRequests, status)
		assert.Equal(t, rpcerror.ReasonMessageTooLarge, a.reason())
	})
}

// When the gateway stops, streams end with an error that says so, and calls that are under way are finished.
func TestDrain(t *testing.T) {
	w := newEmptyWorld(t)
	w.addAuth()
	w.startWithoutCleanup(nil)
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	stream, err := w.client(true, connecthttp.WithGRPC()).CallServerStream(t.Context(), spec(t, count), message("do", "send-and-wait"))
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	require.NoError(t, stream.Receive(&structpb.Struct{}))
	stopped := make(chan error, 1)
	go func() { stopped <- w.group.Stop(context.Background()) }()
	err = stream.Receive(&structpb.Struct{})
	requireError(t, err, connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable)
	require.NoError(t, <-stopped)
	instances, _, _ := w.registry.Instances("gateway").Get()
	assert.Empty(t, instances)
}
