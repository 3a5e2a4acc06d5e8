package database

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Who waits for a turn is turned away after waitAtMost, or after half of the time that is left, where that is less.
func TestTurnsAreWaitedForWithABound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1, waitAtMost)
		end, err := turns.take(t.Context())
		require.NoError(t, err)
		for left, waits := range map[time.Duration]time.Duration{time.Hour: waitAtMost, 4 * time.Second: 2 * time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			begun := time.Now()
			_, err := turns.take(ctx)
			require.Equal(t, ErrOverloaded, err)
			require.Equal(t, waits, time.Since(begun))
			cancel()
		}
		end()
		end, err = turns.take(t.Context())
		require.NoError(t, err)
		end()
	})
}
