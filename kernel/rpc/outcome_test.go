package rpc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/rpcerror"
)

// What a service stands on may be away, may leave open what was done, and may have deadlines that are not the caller's.
func TestErrorsOfWhatAServiceStandsOn(t *testing.T) {
	t.Parallel()
	away, unknown := errors.New("away"), errors.New("cut while committing")
	guards := Guards{
		Unavailable:    func(err error) bool { return errors.Is(err, away) || errors.Is(err, unknown) },
		OutcomeUnknown: func(err error) bool { return errors.Is(err, unknown) },
	}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for name, test := range map[string]struct {
		ctx    context.Context
		err    error
		code   connect.Code
		reason string
	}{
		"away":                         {t.Context(), away, connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable},
		"a deadline of its own":        {t.Context(), fmt.Errorf("%w: %w", away, context.DeadlineExceeded), connect.CodeUnavailable, rpcerror.ReasonServiceUnavailable},
		"it did not say what was done": {t.Context(), unknown, connect.CodeUnavailable, rpcerror.ReasonOutcomeUnknown},
		"too late for the caller":      {late, unknown, connect.CodeDeadlineExceeded, rpcerror.ReasonDeadlineExceeded},
		"some other deadline":          {t.Context(), context.DeadlineExceeded, connect.CodeDeadlineExceeded, rpcerror.ReasonDeadlineExceeded},
		"a bug":                        {t.Context(), errors.New("oh"), connect.CodeInternal, rpcerror.ReasonInternal},
	} {
		got := mapError(test.ctx, test.err, guards)
		require.Equal(t, test.code, connect.CodeOf(got), name)
		require.Equal(t, test.reason, rpcerror.Reason(got), name)
	}
}
