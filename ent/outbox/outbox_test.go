package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/internal/example/ent"
	"ashlar.dev/ent/internal/example/migrations"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/ent/outbox"
	"ashlar.dev/kernel/config"
)

// The methods of ent's transaction are what Append needs.
var _ outbox.Execer = (*ent.Tx)(nil)

var quiet = slog.New(slog.DiscardHandler)

// patience bounds how long a test waits for a condition.
const patience = 60 * time.Second

// swift is a relay that does not make a test wait. Its lease is longer than a machine stalls: otherwise what was delivered
// comes again.
var swift = outbox.Config{
	Lease: time.Minute, Poll: 20 * time.Millisecond, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond, Measure: 20 * time.Millisecond,
}

// box is an outbox with its database and client.
type box struct {
	*outbox.Outbox
	db       *database.Database
	client   *ent.Client
	registry *prometheus.Registry
}

func open(t *testing.T, url config.Secret) *box {
	t.Helper()
	db := dbtest.Open(t, url)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, log))
	registry := prometheus.NewRegistry()
	return &box{
		Outbox: outbox.New(db, log, registry), db: db,
		client: ent.NewClient(ent.Driver(db.Driver())), registry: registry,
	}
}

// change writes a note and its event in one transaction.
func (b *box) change(ctx context.Context, id string, fail error) error {
	return database.InTx(ctx, b.db, b.client.Tx, func(tx *ent.Tx) error {
		if err := tx.Note.Create().SetID(id).SetTitle(id).Exec(ctx); err != nil {
			return err
		}
		if err := b.Append(ctx, tx, "evt_"+id, []byte(id)); err != nil {
			return err
		}
		return fail
	})
}

func (b *box) left(t *testing.T) int {
	t.Helper()
	n, err := b.client.OutboxEvent.Query().Count(t.Context())
	require.NoError(t, err)
	return n
}

func (b *box) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := b.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			metric := family.GetMetric()[0]
			return metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// receiver is a sink that remembers.
type receiver struct {
	mu   sync.Mutex
	got  []string
	fail func(payloads [][]byte) error
}

func (r *receiver) sink(_ context.Context, payloads [][]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		if err := r.fail(payloads); err != nil {
			return err
		}
	}
	for _, payload := range payloads {
		r.got = append(r.got, string(payload))
	}
	return nil
}

func (r *receiver) received() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) await(t *testing.T, want []string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, want, r.received())
	}, patience, 5*time.Millisecond)
}

func start(t *testing.T, o *outbox.Outbox, sink outbox.Sink, config outbox.Config) *outbox.Relay {
	t.Helper()
	relay := outbox.NewRelay(o, sink, config)
	require.NoError(t, relay.Start(t.Context()))
	t.Cleanup(func() { assert.NoError(t, relay.Stop(context.Background())) })
	return relay
}

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("note_%04d", i)
	}
	return all
}

func TestEventIsThereWithItsChangeOrNotAtAll(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		b := open(t, url)
		broken := errors.New("broken")
		require.ErrorIs(t, b.change(t.Context(), "note_1", broken), broken)
		assert.Zero(t, b.left(t))
		require.NoError(t, b.change(t.Context(), "note_2", nil))
		assert.Equal(t, 1, b.left(t))
		// An event twice takes its change with it.
		err := database.InTx(t.Context(), b.db, b.client.Tx, func(tx *ent.Tx) error {
			if err := tx.Note.Create().SetID("note_3").SetTitle("3").Exec(t.Context()); err != nil {
				return err
			}
			return b.Append(t.Context(), tx, "evt_note_2", nil)
		})
		require.Error(t, err)
		assert.Equal(t, []string{"note_2"}, b.client.Note.Query().IDsX(t.Context()))

		receiver := &receiver{}
		start(t, b.Outbox, receiver.sink, swift)
		receiver.await(t, []string{"note_2"})
		require.Eventually(t, func() bool { return b.left(t) == 0 }, patience, 5*time.Millisecond)
	})
}

func TestRelayDeliversInOrder(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		b := open(t, url)
		want := names(250)
		for _, name := range want[:100] {
			require.NoError(t, b.change(t.Context(), name, nil))
		}
		receiver := &receiver{}
		config := swift
		config.Batch = 7
		failures := 0
		receiver.fail = func(payloads [][]byte) error {
			assert.LessOrEqual(t, len(payloads), 7)
			if failures++; failures%3 == 0 {
				return errors.New("not now")
			}
			return nil
		}
		start(t, b.Outbox, receiver.sink, config)
		for _, name := range want[100:] {
			require.NoError(t, b.change(t.Context(), name, nil))
		}
		receiver.await(t, want)
		require.Eventually(t, func() bool {
			return b.metric(t, "ashlar_outbox_delivered_total") == 250 && b.left(t) == 0
		}, patience, 5*time.Millisecond)
		assert.Positive(t, b.metric(t, "ashlar_outbox_failures_total"))
	})
}

func TestCommitWakesTheRelay(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.SQLiteURL(t))
	receiver := &receiver{}
	// Its own look would come too late for the test.
	start(t, b.Outbox, receiver.sink, outbox.Config{Poll: time.Hour})
	for i, name := range names(20) {
		require.NoError(t, b.change(t.Context(), name, nil))
		receiver.await(t, names(i+1))
	}
}

func TestRelayFindsWhatNobodyWokeItFor(t *testing.T) {
	t.Parallel()
	url := dbtest.SQLiteURL(t)
	b, other := open(t, url), open(t, url)
	receiver := &receiver{}
	start(t, b.Outbox, receiver.sink, swift)
	require.NoError(t, other.change(t.Context(), "note_1", nil))
	receiver.await(t, []string{"note_1"})
}

// Relays of three instances, and writers beside them: each event is delivered,
// and in order.
func TestRelaysTakeTurns(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		receiver := &receiver{}
		var boxes []*box
		for range 3 {
			b := open(t, url)
			boxes = append(boxes, b)
			config := swift
			config.Batch = 3
			config.Poll = time.Millisecond
			start(t, b.Outbox, receiver.sink, config)
		}
		want := names(150)
		for i, name := range want {
			require.NoError(t, boxes[i%3].change(t.Context(), name, nil))
		}
		require.Eventually(t, func() bool { return boxes[0].left(t) == 0 }, patience, 5*time.Millisecond)
		assert.Equal(t, want, once(receiver.received()))
	})
}

// Writers at once, on PostgreSQL committing in another order than they began:
// nothing is lost, and what one writer wrote keeps its order.
func TestWritersAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		b := open(t, url)
		receiver := &receiver{}
		config := swift
		config.Batch = 5
		start(t, b.Outbox, receiver.sink, config)
		const writers, each = 8, 25
		var wait sync.WaitGroup
		for w := range writers {
			wait.Go(func() {
				for i := range each {
					assert.NoError(t, b.change(t.Context(), fmt.Sprintf("note_%d_%03d", w, i), nil))
				}
			})
		}
		wait.Wait()
		require.Eventually(t, func() bool { return b.left(t) == 0 }, patience, 5*time.Millisecond)
		got := once(receiver.received())
		assert.Len(t, got, writers*each)
		for w := range writers {
			prefix := fmt.Sprintf("note_%d_", w)
			mine := slices.DeleteFunc(slices.Clone(got), func(name string) bool { return name[:len(prefix)] != prefix })
			assert.True(t, slices.IsSorted(mine), mine)
			assert.Len(t, mine, each)
		}
	})
}

// once leaves out what was there before: a batch comes again where the machine is too busy to delete it in time.
func once(all []string) (first []string) {
	seen := map[string]bool{}
	for _, name := range all {
		if !seen[name] {
			first = append(first, name)
		}
		seen[name] = true
	}
	return first
}

// Whoever writes for longer than a caller would wait does not have delivered twice what is to be deleted meanwhile.
func TestDeletingWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.With(dbtest.SQLiteURL(t), "busy_timeout", "1000"))
	receiver := &receiver{}
	writing, over, written := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	write := sync.OnceFunc(func() {
		go func() {
			written <- database.InTx(t.Context(), b.db, b.client.Tx, func(*ent.Tx) error {
				close(writing)
				<-over
				return nil
			})
		}()
		<-writing
	})
	receiver.fail = func([][]byte) error {
		write()
		return nil
	}
	config := swift
	config.Lease = 10 * time.Minute
	start(t, b.Outbox, receiver.sink, config)
	require.NoError(t, b.change(t.Context(), "note_1", nil))
	receiver.await(t, []string{"note_1"})
	assert.Never(t, func() bool { return len(receiver.received()) > 1 }, 3*time.Second, 20*time.Millisecond, "longer than anybody waits for a turn")
	close(over)
	require.NoError(t, <-written)
	require.Eventually(t, func() bool { return b.left(t) == 0 }, patience, 5*time.Millisecond)
	assert.Equal(t, []string{"note_1"}, receiver.received())
}

// The transaction with the lower key is committed last, after the higher was
// delivered and deleted.
func TestLateCommitIsNotLost(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.PostgresURL(t))
	receiver := &receiver{}
	start(t, b.Outbox, receiver.sink, swift)
	late, err := b.client.Tx(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Append(t.Context(), late, "evt_late", []byte("late")))
	require.NoError(t, b.change(t.Context(), "note_early", nil))
	receiver.await(t, []string{"note_early"})
	require.NoError(t, late.Commit())
	b.Wake()
	receiver.await(t, []string{"note_early", "late"})
}

func TestStop(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.SQLiteURL(t))
	receiver := &receiver{}
	relay := outbox.NewRelay(b.Outbox, receiver.sink, outbox.Config{Poll: time.Hour})
	require.NoError(t, relay.Stop(t.Context()), "not started")
	require.NoError(t, relay.Start(t.Context()))
	require.Error(t, relay.Start(t.Context()), "started twice")

	// Flushes: written by nobody who wakes it.
	tx, err := b.client.Tx(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Append(t.Context(), tx, "evt_1", []byte("last words")))
	require.NoError(t, tx.Commit())
	require.NoError(t, relay.Stop(t.Context()))
	assert.Equal(t, []string{"last words"}, receiver.received())
	require.NoError(t, relay.Stop(t.Context()), "stopped twice")

	// A sink that hangs does not hold it up beyond the budget, and loses nothing.
	require.NoError(t, b.change(t.Context(), "note_1", nil))
	called := make(chan struct{})
	hanging := outbox.NewRelay(b.Outbox, func(ctx context.Context, _ [][]byte) error {
		close(called)
		<-ctx.Done()
		return ctx.Err()
	}, outbox.Config{})
	require.NoError(t, hanging.Start(t.Context()))
	<-called
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, hanging.Stop(ctx), "follows after the next start")
	assert.Equal(t, 1, b.left(t))
	assert.Zero(t, b.client.OutboxLease.Query().CountX(t.Context()), "the next need not wait")
}

func TestAppendRefusesABadID(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.SQLiteURL(t))
	for _, id := range []string{"", string(make([]byte, 65))} {
		require.ErrorContains(t, b.Append(t.Context(), b.db.DB, id, nil), "1 to 64 are allowed")
	}
}

func TestBatchesAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	b := open(t, dbtest.SQLiteURL(t))
	for i := range 5 {
		require.NoError(t, b.Append(t.Context(), b.db.DB, fmt.Sprint(i), make([]byte, 600<<10)))
	}
	sizes := make(chan int, 5)
	start(t, b.Outbox, func(_ context.Context, payloads [][]byte) error {
		sizes <- len(payloads)
		return nil
	}, swift)
	for range 5 {
		assert.Equal(t, 1, <-sizes)
	}
}

// Every instance tells how much is left, also one that does not deliver.
func TestDepthAndAge(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		b, other := open(t, url), open(t, url)
		require.NoError(t, b.Append(t.Context(), b.db.DB, "old", nil))
		require.NoError(t, b.Append(t.Context(), b.db.DB, "new", nil))
		_, err := b.db.DB.ExecContext(t.Context(), "UPDATE outbox_events SET created_at = created_at - 60000 WHERE event_id = 'old'")
		require.NoError(t, err)
		delivering, done := make(chan struct{}), make(chan struct{})
		start(t, b.Outbox, func(context.Context, [][]byte) error {
			close(delivering)
			select {
			case <-done:
				return nil
			case <-t.Context().Done(): // the test has failed
				return context.Canceled
			}
		}, swift)
		<-delivering
		start(t, other.Outbox, func(context.Context, [][]byte) error {
			t.Error("it is not its turn")
			return nil
		}, swift)
		for _, instance := range []*box{b, other} {
			require.Eventually(t, func() bool { return instance.metric(t, "ashlar_outbox_events") == 2 }, patience, 5*time.Millisecond)
			assert.GreaterOrEqual(t, instance.metric(t, "ashlar_outbox_oldest_event_age_seconds"), 60.0)
		}
		close(done)
		for _, instance := range []*box{b, other} {
			require.Eventually(t, func() bool {
				return instance.metric(t, "ashlar_outbox_events") == 0 && instance.metric(t, "ashlar_outbox_oldest_event_age_seconds") == 0
			}, patience, 5*time.Millisecond)
		}
		problems, err := testutil.GatherAndLint(b.registry)
		require.NoError(t, err)
		assert.Empty(t, problems)
	})
}

// Many events wait because the sink is down: they are not all counted, nor read,
// and are delivered when it is back.
func TestManyWait(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		b := open(t, url)
		const many = 12_000
		_, err := b.db.DB.ExecContext(t.Context(), fmt.Sprintf(`WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < %d)
			INSERT INTO outbox_events (event_id, payload, created_at) SELECT 'evt_' || n, 'x', 1 FROM series`, many))
		require.NoError(t, err)
		var up atomic.Bool
		var got, most atomic.Int64
		config := swift
		config.Batch = 100
		start(t, b.Outbox, func(_ context.Context, payloads [][]byte) error {
			most.Store(max(most.Load(), int64(len(payloads))))
			if !up.Load() {
				return errors.New("down")
			}
			got.Add(int64(len(payloads)))
			return nil
		}, config)
		require.Eventually(t, func() bool {
			return b.metric(t, "ashlar_outbox_events") == many && b.metric(t, "ashlar_outbox_failures_total") >= 3
		}, patience, 5*time.Millisecond)
		up.Store(true)
		require.Eventually(t, func() bool { return b.metric(t, "ashlar_outbox_events") == 0 }, patience, 5*time.Millisecond)
		assert.EqualValues(t, many, got.Load())
		assert.EqualValues(t, 100, most.Load())
	})
}
