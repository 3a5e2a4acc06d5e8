package rpcerror_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"ashlar.dev/kernel/rpcerror"
)

var errCause = errors.New("hunter2")

func TestNew(t *testing.T) {
	t.Parallel()
	err := rpcerror.New(connect.CodeResourceExhausted, rpcerror.ReasonRateLimited, "too many requests",
		rpcerror.Meta("limit", "50"), rpcerror.Meta("per", "1s"), rpcerror.RetryAfter(1500*time.Millisecond),
		rpcerror.Quota("caller", "50 a second"),
		rpcerror.Field("a", "is wrong"), rpcerror.Field("b.c", "too"), rpcerror.Cause(errCause))
	require.Equal(t, connect.CodeResourceExhausted, err.Code())
	require.Equal(t, "too many requests", err.Message())
	require.NotContains(t, err.Error(), "hunter2", "the cause is no part of the text")
	require.ErrorIs(t, err, errCause)
	require.Equal(t, rpcerror.ReasonRateLimited, rpcerror.Reason(err))
	require.Equal(t, map[string]string{"limit": "50", "per": "1s"}, rpcerror.Info(err).GetMetadata())
	require.Equal(t, rpcerror.Domain, rpcerror.Info(err).GetDomain())

	require.Len(t, err.Details(), 4)
	retry, decodeErr := connectproto.UnmarshalErrorDetail(err.Details()[1])
	require.NoError(t, decodeErr)
	require.Equal(t, 1500*time.Millisecond, retry.(*errdetails.RetryInfo).GetRetryDelay().AsDuration())
	quota, decodeErr := connectproto.UnmarshalErrorDetail(err.Details()[2])
	require.NoError(t, decodeErr)
	require.Equal(t, "50 a second", quota.(*errdetails.QuotaFailure).GetViolations()[0].GetDescription())
	fields, decodeErr := connectproto.UnmarshalErrorDetail(err.Details()[3])
	require.NoError(t, decodeErr)
	require.Len(t, fields.(*errdetails.BadRequest).GetFieldViolations(), 2, "all fields are in one detail")
}

func TestReason(t *testing.T) {
	t.Parallel()
	require.Empty(t, rpcerror.Reason(nil))
	require.Empty(t, rpcerror.Reason(errCause))
	require.Empty(t, rpcerror.Reason(connect.NewError(connect.CodeInternal, "")))
	broken := connect.NewError(connect.CodeInternal, "").WithDetail(&connect.ErrorDetail{Type: "google.rpc.ErrorInfo", Value: []byte{0xff}})
	require.Empty(t, rpcerror.Reason(broken), "a detail that cannot be read is passed over")
	wrapped := fmt.Errorf("while cooking: %w", rpcerror.New(connect.CodeNotFound, "NO_SOUP", "no soup"))
	require.Equal(t, "NO_SOUP", rpcerror.Reason(wrapped))
}

func TestForward(t *testing.T) {
	t.Parallel()
	require.NoError(t, rpcerror.Forward(nil))
	require.Equal(t, errCause, rpcerror.Forward(errCause))
	own := rpcerror.New(connect.CodeNotFound, "NO_SOUP", "no soup")
	require.Equal(t, error(own), rpcerror.Forward(own))

	remote := rpcerror.New(connect.CodeNotFound, "NO_SOUP", "no soup", rpcerror.Meta("pot", "1")).WithRemote()
	forwarded := rpcerror.Forward(fmt.Errorf("ask the kitchen: %w", remote))
	var e *connect.Error
	require.ErrorAs(t, forwarded, &e)
	require.False(t, e.IsRemote())
	require.Equal(t, connect.CodeNotFound, e.Code())
	require.Equal(t, "no soup", e.Message())
	require.Equal(t, "1", rpcerror.Info(e).GetMetadata()["pot"])
}
