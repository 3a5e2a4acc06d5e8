package notes_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/pgserver"
)

// PostgreSQL ends under load, once in order and once like in a crash, and comes back: callers are told unavailable and
// nothing else, what was acknowledged is there once, and all of it is on the record. The server's fsync is off: what it has
// committed is with the operating system, which does not crash here.
func TestPostgresRestartsUnderLoad(t *testing.T) {
	server, address := dbtest.Server(t, pgserver.Options{})
	w := start(t, address)
	all := startWriters(t, w, 0)
	for _, mode := range []pgserver.Mode{pgserver.Fast, pgserver.Immediate} {
		all.more(&all.done, 50)
		require.NoError(t, server.Halt(t.Context(), mode))
		all.more(&all.failed, 20)
		require.NoError(t, server.Resume(t.Context()))
		begun := time.Now()
		all.more(&all.done, clients)
		t.Logf("after %s: calls succeed %s after the server is back", mode, time.Since(begun))
	}
	all.settle(address)
}
