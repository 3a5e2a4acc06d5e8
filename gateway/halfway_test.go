package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

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

// What comes after the answer on such a connection is the rest of the request, and must not be taken for another one.
func TestRestOfAStreamIsNoRequest(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	conn, err := net.Dial("tcp", w.gateway.Address())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(within)))
	message := "\x00\x00\x00\x00\x0d" + `{"do":"fail"}`
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n",
		collect, len(message), message)
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Contains(t, string(body), "as you wish")

	_, _ = fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	more, _ := io.ReadAll(reader) // the end of the connection, or its reset
	assert.Empty(t, string(more))
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
