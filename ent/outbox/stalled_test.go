//go:build unix

package outbox_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/kernel/config"
)

// A process that does nothing any more, and whose connection stands, is like a
// machine that is gone: others wait for it as long as its lease.
func TestStalledRelayIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		b := open(t, url)
		require.NoError(t, b.change(t.Context(), "note_1", nil))
		cmd, out := startVictim(t, url, short, "")
		var n int
		_, err := fmt.Fscanf(out, "delivered %d\n", &n)
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
		receiver := &receiver{}
		start(t, b.Outbox, receiver.sink, swift)
		receiver.await(t, []string{"note_1"})
	})
}
