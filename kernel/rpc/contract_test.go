package rpc_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
)

// What callers may rely on, the same over a network and in one process.

var errSecret = errors.New("the password is hunter2")

func TestUnary(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.serve("orders", handlers{get: func(ctx context.Context, request string) (string, error) {
			info, _ := connect.CallInfoForServerContext(ctx)
			info.ResponseHeader().Set("X-Answer", "header of "+request)
			info.ResponseTrailer().Set("X-Last", "trailer of "+request)
			return request + " with " + info.RequestHeader().Get("X-Question"), nil
		}})
		ctx, info := connect.NewClientContext(t.Context())
		info.RequestHeader().Set("X-Question", "salt")
		got, err := call(ctx, w.client(), get, "soup")
		require.NoError(t, err)
		require.Equal(t, "soup with salt", got)
		require.Equal(t, "header of soup", info.ResponseHeader().Get("X-Answer"))
		require.Equal(t, "trailer of soup", info.ResponseTrailer().Get("X-Last"))
	})
}

func TestServerStream(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.serve("orders", handlers{count: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
			var to wrapperspb.Int64Value
			if err := stream.Receive(&to); err != nil {
				return err
			}
			info, _ := connect.CallInfoForServerContext(ctx)
			info.ResponseTrailer().Set("X-Last", "trailer")
			// One message that is used again and again, as a handler may.
			message := &wrapperspb.Int64Value{}
			for i := range to.GetValue() {
				message.Value = i
				if err := stream.Send(message); err != nil {
					return err
				}
			}
			return nil
		}})
		ctx, info := connect.NewClientContext(t.Context())
		stream, err := w.client().CallServerStream(ctx, count, wrapperspb.Int64(500))
		require.NoError(t, err)
		got, err := drain(stream)
		require.NoError(t, err)
		require.Len(t, got, 500)
		for i, n := range got {
			require.EqualValues(t, i, n)
		}
		require.Equal(t, "trailer", info.ResponseTrailer().Get("X-Last"))
	})
}

func TestClientStream(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.serve("orders", handlers{sum: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
			var total int64
			for {
				var n wrapperspb.Int64Value
				err := stream.Receive(&n)
				if errors.Is(err, io.EOF) {
					return stream.Send(wrapperspb.Int64(total))
				}
				if err != nil {
					return err
				}
				total += n.GetValue()
			}
		}})
		stream, err := w.client().CallClientStream(t.Context(), sum)
		require.NoError(t, err)
		message := &wrapperspb.Int64Value{}
		for i := range int64(100) {
			message.Value = i // the same message again and again, as a caller may
			require.NoError(t, stream.Send(message))
		}
		require.NoError(t, stream.CloseSend())
		got, err := drain(stream)
		require.NoError(t, err)
		require.Equal(t, []int64{4950}, got)
	})
}

func TestBidiStream(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.serve("orders", handlers{chat: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
			for {
				var line wrapperspb.StringValue
				if err := stream.Receive(&line); errors.Is(err, io.EOF) {
					return stream.Send(wrapperspb.String("bye"))
				} else if err != nil {
					return err
				}
				if err := stream.Send(wrapperspb.String("you said " + line.GetValue())); err != nil {
					return err
				}
			}
		}})
		stream, err := w.client().CallClientStream(t.Context(), chat)
		require.NoError(t, err)
		var answer wrapperspb.StringValue
		for _, line := range []string{"hello", "how are you", ""} {
			require.NoError(t, stream.Send(wrapperspb.String(line)))
			require.NoError(t, stream.Receive(&answer), "answers come while the caller still speaks")
			require.Equal(t, "you said "+line, answer.GetValue())
		}
		require.NoError(t, stream.CloseSend())
		require.NoError(t, stream.Receive(&answer))
		require.Equal(t, "bye", answer.GetValue())
		require.ErrorIs(t, stream.Receive(&answer), io.EOF)
		require.NoError(t, stream.Close())
	})
}

// A caller that is refused before its request is read learns why, however large the request is.
func TestStreamsThatAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	refuse := func(context.Context, connect.Spec, connect.ServerStream) error {
		// A cause must not be mistaken for the end of the stream.
		return rpcerror.New(connect.CodePermissionDenied, "NOT_YOU", "not you", rpcerror.Cause(io.EOF))
	}
	each(t, func(t *testing.T, w *world) {
		w.serve("orders", handlers{
			get:   func(ctx context.Context, _ string) (string, error) { return "", refuse(ctx, get, nil) },
			count: refuse, sum: refuse, chat: refuse,
		})
		_, err := call(t.Context(), w.client(), get, "")
		requireAnswer(t, err, connect.CodePermissionDenied, "NOT_YOU")

		for _, size := range []int{1, 1 << 20} {
			large := wrapperspb.String(strings.Repeat("x", size))
			stream, err := w.client().CallServerStream(t.Context(), count, large)
			require.NoError(t, err)
			_, err = drain(stream)
			requireAnswer(t, err, connect.CodePermissionDenied, "NOT_YOU")
			for _, spec := range []connect.Spec{sum, chat} {
				stream, err := w.client().CallClientStream(t.Context(), spec)
				require.NoError(t, err)
				for range 5 {
					if err := stream.Send(large); err != nil {
						require.ErrorIs(t, err, io.EOF, "Send says no more than that it is over")
						break
					}
				}
				requireAnswer(t, stream.Receive(&wrapperspb.StringValue{}), connect.CodePermissionDenied, "NOT_YOU")
				require.NoError(t, stream.Close())
			}
		}
	})
}

// A stream that fails half-way gives what was sent before, and then the error.
func TestStreamThatFails(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.serve("orders", handlers{count: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
			if err := stream.Receive(&wrapperspb.Int64Value{}); err != nil {
				return err
			}
			if err := stream.Send(wrapperspb.Int64(1)); err != nil {
				return err
			}
			return rpcerror.New(connect.CodeAborted, "TOO_LATE", "somebody was faster", rpcerror.Cause(errSecret))
		}})
		stream, err := w.client().CallServerStream(t.Context(), count, wrapperspb.Int64(5))
		require.NoError(t, err)
		got, err := drain(stream)
		require.Equal(t, []int64{1}, got)
		e := requireAnswer(t, err, connect.CodeAborted, "TOO_LATE")
		require.Equal(t, "somebody was faster", e.Message())
		require.NotErrorIs(t, err, errSecret)
	})
}

func TestErrorsCrossWithDetailsAndWithoutCauses(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.serve("orders", handlers{get: func(context.Context, string) (string, error) {
			return "", rpcerror.New(connect.CodeFailedPrecondition, "SOLD_OUT", "there is none left", rpcerror.Meta("item", "soup"),
				rpcerror.RetryAfter(time.Minute), rpcerror.Field("id", "of a thing that is sold out"), rpcerror.Cause(errSecret))
		}})
		_, err := call(t.Context(), w.client(), get, "")
		e := requireAnswer(t, err, connect.CodeFailedPrecondition, "SOLD_OUT")
		require.Equal(t, "there is none left", e.Message())
		require.Equal(t, map[string]string{"item": "soup"}, rpcerror.Info(err).GetMetadata())
		require.Equal(t, rpcerror.Domain, rpcerror.Info(err).GetDomain())
		require.NotNil(t, detailOf[*errdetails.RetryInfo](t, err))
		require.Equal(t, "id", detailOf[*errdetails.BadRequest](t, err).GetFieldViolations()[0].GetField())
		require.True(t, e.IsRemote())
		require.NotErrorIs(t, err, errSecret, "the cause stays where it is")
		requireNoSecret(t, e)
		require.Contains(t, w.logs.String(), "hunter2", "but it is logged")
	})
}

func TestErrorsThatNobodyMeantForTheWire(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]func() error{
		"an error": func() error { return errSecret },
		"a panic":  func() error { panic(errSecret) },
		"a runtime error": func() error {
			panic(runtimeError{}) // as of a map that is nil
		},
		"a message without a reason": func() error { return connect.NewError(connect.CodeUnknown, "").WithCause(errSecret) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, w *world) {
				w.serve("orders", handlers{
					get:   func(context.Context, string) (string, error) { return "", fails() },
					count: func(context.Context, connect.Spec, connect.ServerStream) error { return fails() },
				})
				_, err := call(t.Context(), w.client(), get, "")
				code := connect.CodeInternal
				if strings.Contains(name, "reason") {
					code = connect.CodeUnknown
				}
				e := requireAnswer(t, err, code, rpcerror.ReasonInternal)
				requireNoSecret(t, e)
				require.NotErrorIs(t, err, errSecret)
				require.Contains(t, w.logs.String(), "hunter2")

				stream, err := w.client().CallServerStream(t.Context(), count, wrapperspb.Int64(1))
				require.NoError(t, err)
				_, err = drain(stream)
				requireNoSecret(t, requireAnswer(t, err, code, rpcerror.ReasonInternal))
			})
		})
	}
}

type runtimeError struct{}

func (runtimeError) Error() string { return "assignment to entry in nil map hunter2" }
func (runtimeError) RuntimeError() {}

type contextKey struct{}

func TestContextValuesDoNotCross(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		look := func(ctx context.Context) error {
			if ctx.Value(contextKey{}) != nil {
				return errors.New("the caller's value is there")
			}
			if authn.FromContext(ctx).Kind != authn.Anonymous {
				return errors.New("the caller's principal is there")
			}
			if _, ok := connect.CallInfoForClientContext(ctx); ok {
				return errors.New("the caller's call is there")
			}
			return nil
		}
		w.serve("orders", handlers{
			get: func(ctx context.Context, _ string) (string, error) { return "", look(ctx) },
			count: func(ctx context.Context, _ connect.Spec, _ connect.ServerStream) error {
				return look(ctx)
			},
		})
		ctx := context.WithValue(t.Context(), contextKey{}, "secret")
		ctx = authn.NewContext(ctx, authn.Principal{Kind: authn.User, UserID: "usr_ann"})
		_, err := call(ctx, w.client(), get, "")
		require.NoError(t, err)
		stream, err := w.client().CallServerStream(ctx, count, wrapperspb.Int64(1))
		require.NoError(t, err)
		_, err = drain(stream)
		require.NoError(t, err)
	})
}

// A handler must not see the messages of its caller, only copies, and the other way round.
func TestMessagesAreNotShared(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.serve("orders", handlers{chat: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
			received, sent := &wrapperspb.StringValue{}, &wrapperspb.StringValue{}
			for {
				if err := stream.Receive(received); err != nil {
					return nil //nolint:nilerr // the caller is done
				}
				sent.Value = received.GetValue()
				received.Value = "the handler's"
				if err := stream.Send(sent); err != nil {
					return err
				}
				sent.Value = "changed after it was sent"
			}
		}})
		stream, err := w.client().CallClientStream(t.Context(), chat)
		require.NoError(t, err)
		sent, received := &wrapperspb.StringValue{}, &wrapperspb.StringValue{}
		for range 100 {
			sent.Value = "the caller's"
			require.NoError(t, stream.Send(sent))
			sent.Value = "changed after it was sent"
			require.NoError(t, stream.Receive(received))
			require.Equal(t, "the caller's", received.GetValue())
		}
		require.NoError(t, stream.Close())
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		begun, ended := make(chan struct{}), make(chan struct{})
		w.serve("orders", handlers{get: func(ctx context.Context, request string) (string, error) {
			if request == "warm up" {
				return "", nil
			}
			defer close(ended)
			close(begun)
			if _, ok := ctx.Deadline(); !ok {
				return "", errors.New("there is no deadline")
			}
			<-ctx.Done()
			return "", ctx.Err()
		}})
		client := w.client()
		_, err := call(t.Context(), client, get, "warm up")
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err = call(ctx, client, get, "")
		requireAnswer(t, err, connect.CodeDeadlineExceeded, rpcerror.ReasonDeadlineExceeded)
		select {
		case <-begun:
			w.await(ended, "the handler to notice")
		default: // the machine was too slow for the call to get there in time
		}
	})
}

// A caller gets its answer in time even if the handler does not care.
func TestDeadlineThatTheHandlerIgnores(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		release := make(chan struct{})
		w.serve("orders", handlers{get: func(context.Context, string) (string, error) {
			<-release
			return "too late", nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		failed := make(chan error, 1)
		client := w.client()
		go func() {
			_, err := call(ctx, client, get, "")
			failed <- err
		}()
		select {
		case err := <-failed:
			close(release)
			requireAnswer(t, err, connect.CodeDeadlineExceeded, rpcerror.ReasonDeadlineExceeded)
			require.Equal(t, "orders", rpcerror.Info(err).GetMetadata()["service"])
		case <-time.After(patience):
			close(release)
			require.Fail(t, "the caller waits for the handler")
		}
	})
}

func TestCallsWithoutADeadlineGetOne(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		begun := time.Now()
		w.serve("orders", handlers{get: func(ctx context.Context, _ string) (string, error) {
			deadline, ok := ctx.Deadline()
			const rounding = 2 * time.Millisecond
			if left := time.Until(deadline); !ok || left > rpc.DefaultTimeout || deadline.Sub(begun) < rpc.DefaultTimeout-rounding {
				return "", errors.New("the deadline is another one")
			}
			return "", nil
		}})
		_, err := call(t.Context(), w.client(), get, "")
		require.NoError(t, err)
	})
}

func TestCancellationReachesTheHandler(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		begun, ended := make(chan struct{}), make(chan struct{})
		w.serve("orders", handlers{get: func(ctx context.Context, _ string) (string, error) {
			defer close(ended)
			close(begun)
			<-ctx.Done()
			return "", ctx.Err()
		}})
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-begun
			cancel(errSecret)
		}()
		_, err := call(ctx, w.client(), get, "")
		require.Equal(t, connect.CodeCanceled, connect.CodeOf(err))
		require.NotContains(t, err.Error(), "hunter2")
		w.await(ended, "the handler to notice")
	})
}

func TestAStreamThatIsAbandonedEndsItsHandler(t *testing.T) {
	t.Parallel()
	for name, abandon := range map[string]func(connect.ClientStream, context.CancelFunc){
		"closed":    func(stream connect.ClientStream, _ context.CancelFunc) { _ = stream.Close() },
		"cancelled": func(_ connect.ClientStream, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, w *world) {
				ended := make(chan struct{})
				w.serve("orders", handlers{count: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
					defer close(ended)
					if err := stream.Receive(&wrapperspb.Int64Value{}); err != nil {
						return err
					}
					if err := stream.Send(wrapperspb.Int64(1)); err != nil {
						return err
					}
					<-ctx.Done()
					return ctx.Err()
				}})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				stream, err := w.client().CallServerStream(ctx, count, wrapperspb.Int64(1))
				require.NoError(t, err)
				require.NoError(t, stream.Receive(&wrapperspb.Int64Value{}))
				abandon(stream, cancel)
				w.await(ended, "the handler to end")
				_ = stream.Close()
			})
		})
	}
}

// What a peer answers to a service is not what that service answers to its own caller, unless it says so.
func TestAPeersVerdict(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.serve("stock", handlers{get: func(context.Context, string) (string, error) {
			return "", rpcerror.New(connect.CodeNotFound, "NO_SUCH_SHELF", "shelf hunter2 is not there", rpcerror.Meta("shelf", "hunter2"))
		}})
		stock := w.clients("orders").Client("stock")
		w.serve("orders", handlers{
			get: func(ctx context.Context, _ string) (string, error) { return call(ctx, stock, get, "") },
			place: func(ctx context.Context) error {
				_, err := call(ctx, stock, get, "")
				return rpcerror.Forward(err)
			},
		})
		_, err := call(t.Context(), w.client(), get, "")
		requireNoSecret(t, requireAnswer(t, err, connect.CodeInternal, rpcerror.ReasonInternal))

		err = w.client().CallUnary(t.Context(), place, order("o-1", 1), &wrapperspb.StringValue{})
		e := requireAnswer(t, err, connect.CodeNotFound, "NO_SUCH_SHELF")
		require.Equal(t, "shelf hunter2 is not there", e.Message())
		require.Equal(t, map[string]string{"shelf": "hunter2"}, rpcerror.Info(err).GetMetadata())
	})
}

func TestAServiceThatIsNotThere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.serve("orders", handlers{get: func(ctx context.Context, _ string) (string, error) {
			return call(ctx, w.clients("orders").Client("stock"), get, "")
		}})
		for name, fails := range map[string]func() error{
			"stock cannot be reached": func() error {
				_, err := call(t.Context(), w.clients("shop").Client("stock"), get, "")
				return err
			},
			"orders cannot answer": func() error {
				_, err := call(t.Context(), w.client(), get, "")
				return err
			},
			"stock cannot be reached, as a stream": func() error {
				stream, err := w.clients("shop").Client("stock").CallServerStream(t.Context(), count, wrapperspb.Int64(1))
				if err != nil {
					return err
				}
				_, err = drain(stream)
				return err
			},
		} {
			err := fails()
			e := requireAnswer(t, err, connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable)
			what, _, _ := strings.Cut(name, ",")
			require.Contains(t, e.Message(), what)
			require.Equal(t, strings.Fields(what)[0], rpcerror.Info(err).GetMetadata()["service"])
		}
	})
}

func TestAProcedureThatIsNotThere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.serve("orders", handlers{})
		unknown := get
		unknown.Procedure = "/acme.orders.v1.OrderService/Steal"
		_, err := call(t.Context(), w.client(), unknown, "")
		requireAnswer(t, err, connect.CodeUnimplemented, rpcerror.ReasonUnknownProcedure)
	})
}

func TestMessageOverTheLimit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		reached := false
		w.serve("orders", handlers{
			get: func(_ context.Context, request string) (string, error) {
				reached = true
				if strings.HasPrefix(request, "+") {
					return request + request, nil
				}
				return request, nil
			},
			chat: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
				for {
					if err := stream.Receive(&wrapperspb.StringValue{}); err != nil {
						return err
					}
				}
			},
		})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		largest := strings.Repeat("-", rpc.MaxMessageBytes-5)
		require.Equal(t, rpc.MaxMessageBytes, proto.Size(wrapperspb.String(largest)))
		got, err := call(ctx, w.client(), get, largest)
		require.NoError(t, err)
		require.Equal(t, len(largest), len(got))

		reached = false
		_, err = call(ctx, w.client(), get, largest+"-")
		requireAnswer(t, err, connect.CodeResourceExhausted, rpcerror.ReasonMessageTooLarge)
		require.False(t, reached)

		_, err = call(ctx, w.client(), get, strings.Repeat("+", rpc.MaxMessageBytes/2+1))
		require.Equal(t, connect.CodeResourceExhausted, connect.CodeOf(err), "an answer that is too large: %v", err)

		stream, err := w.client().CallClientStream(ctx, chat)
		require.NoError(t, err)
		_ = stream.Send(wrapperspb.String(largest + "-")) // may be refused here or at the next Receive
		requireAnswer(t, stream.Receive(&wrapperspb.StringValue{}), connect.CodeResourceExhausted, rpcerror.ReasonMessageTooLarge)
		require.NoError(t, stream.Close())
	})
}

func TestValidation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		var reached atomic.Int32
		w.serve("orders", handlers{place: func(context.Context) error {
			reached.Add(1)
			return nil
		}})
		err := w.client().CallUnary(t.Context(), place, order("o", 0), &wrapperspb.StringValue{})
		requireAnswer(t, err, connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest)
		violations := detailOf[*errdetails.BadRequest](t, err).GetFieldViolations()
		require.Len(t, violations, 2)
		require.Equal(t, "id", violations[0].GetField())
		require.Contains(t, violations[0].GetDescription(), "3")
		require.Equal(t, "amount", violations[1].GetField())
		require.Zero(t, reached.Load())

		require.NoError(t, w.client().CallUnary(t.Context(), place, order("o-1", 1), &wrapperspb.StringValue{}))
		require.EqualValues(t, 1, reached.Load())
	})
}

func TestWhoCalls(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		principals := make(chan authn.Principal, 1)
		note := func(ctx context.Context, _ string) (string, error) {
			principals <- authn.FromContext(ctx)
			return "", nil
		}
		w.serve("orders", handlers{whoAmI: note, inside: note})

		_, err := call(t.Context(), w.client(), inside, "")
		require.NoError(t, err)
		require.Equal(t, authn.Principal{Kind: authn.Service, ServiceName: "shop"}, <-principals)

		ann := authn.Principal{Kind: authn.User, UserID: "usr_ann", SessionID: "ses_1", OrganizationID: "org_a"}
		_, err = call(authn.NewContext(t.Context(), ann), w.client(), inside, "")
		require.NoError(t, err)
		require.Equal(t, authn.Principal{Kind: authn.Service, ServiceName: "shop", OnBehalfOf: &ann}, <-principals)

		_, err = call(t.Context(), w.client(), whoAmI, "")
		requireAnswer(t, err, connect.CodeUnauthenticated, rpcerror.ReasonTokenMissing)
		ctx, info := connect.NewClientContext(t.Context())
		info.RequestHeader().Set("Authorization", "Bearer ann")
		_, err = call(ctx, w.client(), whoAmI, "")
		require.NoError(t, err)
		require.Equal(t, ann, <-principals)
	})
}

// A service that goes and comes back is found again by clients that exist already.
func TestAServiceComesBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		client := w.client()
		_, err := call(t.Context(), client, get, "")
		require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
		w.serve("orders", handlers{})
		got, err := call(t.Context(), client, get, "hello")
		require.NoError(t, err)
		require.Equal(t, "hello", got)
		if w.hub != nil {
			w.hub.Remove("orders")
		} else {
			require.NoError(t, w.registry.Deregister(t.Context(), "orders-1"))
		}
		_, err = call(t.Context(), client, get, "")
		require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
	})
}

// detailOf returns the detail of a type that an error has.
func detailOf[T proto.Message](t *testing.T, err error) T {
	t.Helper()
	var e *connect.Error
	require.ErrorAs(t, err, &e)
	for _, detail := range e.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		require.NoError(t, err)
		if found, ok := message.(T); ok {
			return found
		}
	}
	var none T
	require.Fail(t, "no such detail", "%T in %v", none, err)
	return none
}
