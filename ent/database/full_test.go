package database

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// A disk is full as long as writes say so, and a while longer.
func TestFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f full
		require.NoError(t, f.lately())
		f.note(nil)
		f.note(errors.New("another"))
		f.note(&pgconn.PgError{Code: codeTooManyConnections})
		require.NoError(t, f.lately())
		refusal := fmt.Errorf("create a note: %w", &pgconn.PgError{Code: codeDiskFull})
		for range 5 {
			f.note(refusal)
			time.Sleep(fullFor - time.Millisecond)
			f.note(nil) // of a transaction that needed no room
			require.Equal(t, refusal, f.lately())
		}
		time.Sleep(time.Millisecond)
		require.NoError(t, f.lately())
	})
}
