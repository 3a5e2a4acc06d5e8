package store_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/database/plantest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/ent/outbox"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/id"
	"ashlar.dev/platform/trail"
	"ashlar.dev/services/identity/internal/store"
	"ashlar.dev/services/identity/migrations"
)

const (
	// pageSize is that of the measured pages.
	pageSize = 50
	// writers is how many insert at once.
	writers = 8
)

// way is one of those in which something is done.
type way struct {
	name string
	call func() error
}

// subject is something that is done in several ways: by the store as a service has it, by hand, and others.
type subject struct {
	name   string
	atOnce int // how many do it
	ways   []way
}

// TestBenchData compares the store with the same written by hand. By itself it only makes sure that all ways work;
// `task bench:data` names the numbers of rows.
func TestBenchData(t *testing.T) {
	sizes, rounds, calls, out := []int{2000}, 1, writers, io.Discard
	if text := os.Getenv("ASHLAR_BENCH_ROWS"); text != "" {
		// Short rounds: on a busy machine the middle one is one that nothing has interrupted.
		sizes, rounds, calls, out = nil, 101, 2*writers, os.Stdout
		for each := range strings.FieldsSeq(text) {
			n, err := strconv.Atoi(each)
			require.NoError(t, err)
			sizes = append(sizes, n)
		}
	}
	_, _ = fmt.Fprintf(out, "\nmedians of one call in microseconds\n%-9s %8s  %-19s %9s %9s %6s  %s\n",
		"database", "rows", "what", "store", "by hand", "ratio", "others")
	for _, n := range sizes {
		dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
			db := dbtest.Open(t, url)
			require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, slog.New(slog.DiscardHandler)))
			plantest.Fill(t, db, fill(plantest.SQL{Dialect: db.Dialect, Rows: n}))
			for _, s := range subjects(t, url, n) {
				medians := s.measure(t, rounds, calls)
				_, _ = fmt.Fprintf(out, "%-9s %8d  %-19s %9.1f %9.1f %6.2f ", db.Dialect, n, s.name, medians[0], medians[1], medians[0]/medians[1])
				for i, w := range s.ways[2:] {
					_, _ = fmt.Fprintf(out, " %s %.1f", w.name, medians[i+2])
				}
				_, _ = fmt.Fprintln(out)
			}
		})
	}
}

// measure returns, for each way, the median of the microseconds that a call takes, of rounds in which they take turns. A
// round before those has statements prepared.
func (s subject) measure(t *testing.T, rounds, calls int) []float64 {
	t.Helper()
	took := make([][]float64, len(s.ways))
	for r := range 1 + rounds {
		for i := range s.ways {
			// Each is the first as often as it is the last.
			way := (i + r) % len(s.ways)
			began := time.Now()
			require.NoError(t, s.run(s.ways[way].call, calls), "%s, %s", s.name, s.ways[way].name)
			if r > 0 {
				took[way] = append(took[way], float64(time.Since(began).Nanoseconds())/1000/float64(calls))
			}
		}
	}
	medians := make([]float64, len(s.ways))
	for i, each := range took {
		slices.Sort(each)
		medians[i] = each[len(each)/2]
	}
	return medians
}

// run makes so many calls, by as many callers as there are at once.
func (s subject) run(call func() error, calls int) error {
	ended := make(chan error, s.atOnce)
	for range s.atOnce {
		go func() {
			var err error
			for n := 0; n < calls/s.atOnce && err == nil; n++ {
				err = call()
			}
			ended <- err
		}()
	}
	var all error
	for range s.atOnce {
		all = errors.Join(all, <-ended)
	}
	return all
}

// subjects returns what is measured. Each way has a pool of its own, so that none has warmer connections than another.
func subjects(t *testing.T, url config.Secret, n int) []subject {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	// Statements are watched as in a service, and none is slow enough to be logged.
	watched, err := database.Open(t.Context(), url, database.Observe(database.Observation{
		Log: log, SlowQuery: time.Minute, Metrics: prometheus.NewRegistry(),
	}))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, watched.Close()) })
	unwatched := dbtest.Open(t, url)
	open := func(db *database.Database) *store.Store {
		return store.New(db, trail.New("identity", outbox.New(db, log, nil), db.DB, log, prometheus.NewRegistry()))
	}
	hands := hands(t, url)

	ctx := t.Context()
	in := func(name string, atOnce int, byStore func(*store.Store) error, byHand func(hand) error) subject {
		stored, bare := open(watched), open(unwatched)
		s := subject{name, atOnce, []way{
			{"store", func() error { return byStore(stored) }},
			{"by hand", func() error { return byHand(hands[0]) }},
			{"store, unwatched", func() error { return byStore(bare) }},
		}}
		for _, other := range hands[1:] {
			s.ways = append(s.ways, way{other.name(), func() error { return byHand(other) }})
		}
		return s
	}
	middleUser, middleMember := plantest.Name("usr_", n/2), plantest.Name("mem_", n/2)
	const big = "org_" + plantest.Big
	createByStore := func(s *store.Store) error {
		_, err := s.CreateOrganization(ctx, store.NewOrganization{ID: id.New(id.Organization), DisplayName: "Acme", OwnerID: "usr_1"})
		return err
	}
	createByHand := func(h hand) error { return createOrganization(ctx, h) }
	return []subject{
		in("page of users", 1,
			func(s *store.Store) error { return enough(s.Users(ctx, "", middleUser, pageSize)) },
			func(h hand) error { return enough(users(ctx, h, middleUser)) }),
		in("page of members", 1,
			func(s *store.Store) error { return enough(s.Members(ctx, big, middleMember, pageSize)) },
			func(h hand) error { return enough(members(ctx, h, big, middleMember)) }),
		in("insert", 1, createByStore, createByHand),
		in(fmt.Sprintf("insert, %d at once", writers), writers, createByStore, createByHand),
	}
}

func enough[T any](page []T, err error) error {
	if err == nil && len(page) != pageSize {
		err = fmt.Errorf("%d rows, and there should be %d", len(page), pageSize)
	}
	return err
}
