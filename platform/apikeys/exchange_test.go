package apikeys

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	"ashlar.dev/kernel/rpcerror"
)

// auth answers with tokens that tell how often it was asked.
type auth struct {
	authv1connect.ApiKeyServiceClient

	asked atomic.Int64
	fail  atomic.Pointer[error]
	hold  chan struct{}
}

// ExchangeApiKey implements authv1connect.ApiKeyServiceClient.
func (a *auth) ExchangeApiKey(context.Context, *authv1.ExchangeApiKeyRequest) (*authv1.ExchangeApiKeyResponse, error) {
	n := a.asked.Add(1)
	if a.hold != nil {
		<-a.hold
	}
	if err := a.fail.Load(); err != nil {
		return nil, *err
	}
	return &authv1.ExchangeApiKeyResponse{
		AccessToken: strconv.FormatInt(n, 10), ExpiresAt: timestamppb.New(time.Now().Add(5 * time.Minute)),
	}, nil
}

func TestATokenIsUsedForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &auth{}
		e := newExchange(a)
		assert.False(t, e.Known("ak_1"))
		for range 10 {
			token, err := e.Token(t.Context(), "ak_1")
			require.NoError(t, err)
			assert.Equal(t, "1", token)
		}
		assert.True(t, e.Known("ak_1"))
		token, err := e.Token(t.Context(), "ak_2")
		require.NoError(t, err)
		assert.Equal(t, "2", token, "another key has another token")

		time.Sleep(freshFor)
		token, err = e.Token(t.Context(), "ak_1")
		require.NoError(t, err)
		assert.Equal(t, "3", token)
	})
}

func TestAKeyThatWasRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &auth{}
		no := error(rpcerror.New(connect.CodeUnauthenticated, "API_KEY_INVALID", "the API key is not valid"))
		a.fail.Store(&no)
		e := newExchange(a)
		for range 10 {
			_, err := e.Token(t.Context(), "ak_1")
			require.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err))
			require.Equal(t, "API_KEY_INVALID", rpcerror.Reason(err))
		}
		assert.EqualValues(t, 1, a.asked.Load())
		time.Sleep(refusedFor)
		a.fail.Store(nil)
		_, err := e.Token(t.Context(), "ak_1")
		require.NoError(t, err)
	})
}

// Whoever tries more keys than are remembered puts nobody to the cost of asking again.
func TestManyWrongKeysMakeNoGoodOneForgotten(t *testing.T) {
	a := &auth{}
	e := newExchange(a)
	_, err := e.Token(t.Context(), "ak_good")
	require.NoError(t, err)
	no := error(rpcerror.New(connect.CodeUnauthenticated, "API_KEY_INVALID", "the API key is not valid"))
	a.fail.Store(&no)
	for i := range remembered + 1 {
		_, err := e.Token(t.Context(), "ak_"+strconv.Itoa(i))
		require.Error(t, err)
	}
	assert.True(t, e.Known("ak_good"))
	assert.False(t, e.Known("ak_0"), "what is remembered of wrong ones is bounded")
}

// Nothing is remembered of auth being away, and what is known goes on working.
func TestAuthIsAway(t *testing.T) {
	a := &auth{}
	e := newExchange(a)
	_, err := e.Token(t.Context(), "ak_1")
	require.NoError(t, err)
	away := errors.New("connection refused")
	a.fail.Store(&away)
	_, err = e.Token(t.Context(), "ak_1")
	require.NoError(t, err)
	_, err = e.Token(t.Context(), "ak_2")
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
	require.Equal(t, rpcerror.ReasonKeysUnavailable, rpcerror.Reason(err))
	a.fail.Store(nil)
	_, err = e.Token(t.Context(), "ak_2")
	require.NoError(t, err)
}

func TestManyAtOnceAskOnceAndNotTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &auth{hold: make(chan struct{})}
		e := newExchange(a)
		var all sync.WaitGroup
		var refused atomic.Int64
		for i := range 2 * atOnce {
			for range 3 {
				all.Go(func() {
					if _, err := e.Token(t.Context(), "ak_"+strconv.Itoa(i)); err != nil {
						assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
						refused.Add(1)
					}
				})
			}
		}
		synctest.Wait()
		assert.EqualValues(t, atOnce, a.asked.Load())
		close(a.hold)
		all.Wait()
		assert.EqualValues(t, 3*atOnce, refused.Load())

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := e.Token(ctx, "ak_another")
		if err != nil { // the answer may have been there already
			require.ErrorIs(t, err, context.Canceled)
		}
	})
}
