package rpc_test

import (
	"io"
	"net"
	"net/http"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/rpc"
)

// A call without side effects that breaks is made again at another instance, with the same message; one that may have had effects
// is not.
func TestACallWithoutSideEffectsIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	broken := make(chan struct{}, 100)
	peer := rpc.NewHTTPServer(w.telemetry.Log, http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		_, _ = io.Copy(io.Discard, request.Body)
		broken <- struct{}{}
		panic(http.ErrAbortHandler)
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- peer.Serve(listener) }()
	t.Cleanup(func() {
		w.base.CloseIdleConnections()
		require.NoError(t, peer.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	w.serve("orders", handlers{})
	require.NoError(t, w.registry.Register(t.Context(), discovery.Registration{
		Instance: discovery.Instance{ID: "orders-2", Service: "orders", Address: listener.Addr().String()},
	}))
	client := w.client()
	safe := get
	safe.IdempotencyLevel = connect.IdempotencyNoSideEffects
	calls := func(spec connect.Spec) error {
		for range 1000 { // half of them go to the one that breaks, until one has
			got, err := call(t.Context(), client, spec, "message")
			if err != nil {
				return err
			}
			require.Equal(t, "message", got)
			select {
			case <-broken:
				return nil
			default:
			}
		}
		t.Fatal("no call broke")
		return nil
	}
	require.NoError(t, calls(safe))
	require.Error(t, calls(get))
}
