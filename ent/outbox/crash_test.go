package outbox_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/outbox"
	"ashlar.dev/kernel/config"
)

const (
	// victim is the variable with the database of the process that is killed.
	victim = "ASHLAR_TEST_OUTBOX_VICTIM"
	// lease is short, as the test waits for its end.
	lease = 2 * time.Second
)

// beVictim is that process: it delivers a batch and says so, and then does not
// get on to deleting it.
func beVictim() {
	ctx := context.Background()
	db, err := database.Open(ctx, config.Secret(os.Getenv(victim)))
	if err != nil {
		panic(err)
	}
	relay := outbox.NewRelay(outbox.New(db, quiet, nil), func(_ context.Context, payloads [][]byte) error {
		fmt.Println("delivered", len(payloads))
		select {} // until killed
	}, outbox.Config{Lease: lease})
	if err := relay.Start(ctx); err != nil {
		panic(err)
	}
	select {}
}

// A process dies by kill -9 after it delivered and before it deleted: another
// waits for the end of its lease, and delivers again.
func TestKilledBetweenDeliverAndDelete(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		b := open(t, url)
		want := names(10)
		for _, name := range want {
			require.NoError(t, b.change(t.Context(), name, nil))
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), victim+"="+url.Reveal())
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		var n int
		_, err = fmt.Fscanf(out, "delivered %d\n", &n)
		require.NoError(t, err)
		assert.Equal(t, 10, n)

		config := swift
		config.Lease = lease
		receiver := &receiver{}
		start(t, b.Outbox, receiver.sink, config)
		// While the other lives, or its lease does, this one keeps still.
		lease, err := b.client.OutboxLease.Get(t.Context(), "outbox")
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		receiver.await(t, want)
		assert.GreaterOrEqual(t, time.Now().UnixMilli(), lease.ExpiresAt)
		require.Eventually(t, func() bool { return b.left(t) == 0 }, patience, 5*time.Millisecond)
	})
}
