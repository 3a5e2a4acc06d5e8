package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/outbox"
	"ashlar.dev/kernel/config"
)

const (
	// victim is the variable with the database of a process that runs a relay.
	victim = "ASHLAR_TEST_OUTBOX_VICTIM"
	// receiverOf is where it delivers to; empty: it says what it would deliver, and
	// does not get on to deleting it.
	receiverOf = "ASHLAR_TEST_OUTBOX_RECEIVER"
	// leaseOf is how long its lease is.
	leaseOf = "ASHLAR_TEST_OUTBOX_LEASE"
	// short is a lease of which a test waits for the end, long one of which none can.
	short, long = 2 * time.Second, time.Hour
)

// beVictim is that process.
func beVictim() {
	ctx := context.Background()
	db, err := database.Open(ctx, config.Secret(os.Getenv(victim)))
	if err != nil {
		panic(err)
	}
	sink := func(_ context.Context, payloads [][]byte) error {
		fmt.Println("delivered", len(payloads))
		select {} // until killed
	}
	if to := os.Getenv(receiverOf); to != "" {
		sink = deliverTo(to)
	}
	duration, err := time.ParseDuration(os.Getenv(leaseOf))
	if err != nil {
		panic(err)
	}
	relay := outbox.NewRelay(outbox.New(db, quiet, nil), sink, outbox.Config{
		Lease: duration, Batch: 5, Poll: 20 * time.Millisecond, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond,
	})
	if err := relay.Start(ctx); err != nil {
		panic(err)
	}
	select {}
}

// startVictim starts it.
func startVictim(t *testing.T, url config.Secret, lease time.Duration, receiver string) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victim+"="+url.Reveal(), receiverOf+"="+receiver, leaseOf+"="+lease.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { // where the test has not done so
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, out
}

// A process dies by kill -9 after it delivered and before it deleted: another
// delivers again; on PostgreSQL at once, on SQLite after the end of the lease.
func TestKilledBetweenDeliverAndDelete(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		b := open(t, url)
		want := names(5)
		for _, name := range want {
			require.NoError(t, b.change(t.Context(), name, nil))
		}
		its := short
		if b.db.Dialect == dialect.Postgres {
			its = long
		}
		cmd, out := startVictim(t, url, its, "")
		var n int
		_, err := fmt.Fscanf(out, "delivered %d\n", &n)
		require.NoError(t, err)
		assert.Equal(t, 5, n)

		// While the other lives, or its lease does, this one keeps still.
		lease, err := b.client.OutboxLease.Get(t.Context(), "outbox")
		require.NoError(t, err)
		var killed atomic.Bool
		receiver := &receiver{fail: func([][]byte) error {
			if b.db.Dialect == dialect.Postgres {
				assert.True(t, killed.Load(), "the other lives")
			}
			assert.GreaterOrEqual(t, time.Now().UnixMilli(), lease.ExpiresAt)
			return nil
		}}
		start(t, b.Outbox, receiver.sink, swift)
		killed.Store(true)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		receiver.await(t, want)
		require.Eventually(t, func() bool { return b.left(t) == 0 }, patience, 5*time.Millisecond)
	})
}

// deliverTo is a sink that posts to a test.
func deliverTo(url string) outbox.Sink {
	return func(ctx context.Context, payloads [][]byte) error {
		body := strings.NewReader(string(bytes.Join(payloads, []byte("\n"))))
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
		if err != nil {
			return err
		}
		req.Header.Set("Process", strconv.Itoa(os.Getpid()))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	}
}

// Four processes on one database deliver while there are writers. Two of them are
// killed in the middle of a delivery: all is delivered, in order, never by two at
// once, and only what the killed ones did not get on to deleting twice.
func TestProcessesTakeTurns(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		b := open(t, url)
		want := names(120)
		var (
			mu        sync.Mutex
			got       []string
			twice     []string // at most: what was delivered to us by those that we killed
			calls     int
			under     atomic.Int32
			processes = map[string]*exec.Cmd{}
		)
		// On SQLite others wait for the end of the lease of who was killed. How long is left to the test: with a short one a
		// delivery on a machine that stalls would outlast it.
		endLease := func() {
			if b.db.Dialect == dialect.SQLite {
				assert.NoError(t, b.client.OutboxLease.Update().SetExpiresAt(0).Exec(t.Context()))
			}
		}
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			batch := strings.Split(string(body), "\n")
			assert.EqualValues(t, 1, under.Add(1), "two deliver at once")
			mu.Lock()
			defer mu.Unlock()
			got = append(got, batch...)
			under.Add(-1) // whoever comes after a kill may come at once
			if calls++; calls == 3 || calls == 7 {
				twice = append(twice, batch...)
				cmd := processes[r.Header.Get("Process")]
				assert.NoError(t, cmd.Process.Kill())
				_ = cmd.Wait() // it must not get the answer
				endLease()
			}
		}))
		t.Cleanup(server.Close)
		mu.Lock()
		for range 4 {
			cmd, _ := startVictim(t, url, long, server.URL)
			processes[strconv.Itoa(cmd.Process.Pid)] = cmd
		}
		mu.Unlock()
		for _, name := range want {
			require.NoError(t, b.change(t.Context(), name, nil))
		}
		require.Eventually(t, func() bool { return b.left(t) == 0 }, patience, 5*time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		assert.GreaterOrEqual(t, calls, 7)
		seen := map[string]bool{}
		var first, again []string
		for _, name := range got {
			if seen[name] {
				again = append(again, name)
			} else {
				first = append(first, name)
			}
			seen[name] = true
		}
		assert.Equal(t, want, first)
		assert.Subset(t, twice, again)
	})
}
