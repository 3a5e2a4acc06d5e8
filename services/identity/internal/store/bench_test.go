package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/database/plantest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/ent/outbox"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/id"
	"ashlar.dev/platform/trail"
	"ashlar.dev/services/identity/internal/store"
	"ashlar.dev/services/identity/migrations"
)

// pageSize is that of the measured pages.
const pageSize = 50

// measured is something that the store does, and the same by hand.
type measured struct {
	name        string
	store, hand func() error
}

// TestBenchData compares the store with the same written by hand: on SQLite on the store's own pool, on PostgreSQL on one
// with pgx's settings, where the server may keep a plan and the store has each statement planned anew. By itself it only
// makes sure that both work; `task bench:data` names the numbers of rows and of rounds.
func TestBenchData(t *testing.T) {
	sizes, rounds, calls := []int{2000}, 1, 2
	if text := os.Getenv("ASHLAR_BENCH_ROWS"); text != "" {
		sizes, rounds, calls = nil, 7, 200
		for each := range strings.FieldsSeq(text) {
			n, err := strconv.Atoi(each)
			require.NoError(t, err)
			sizes = append(sizes, n)
		}
		_, _ = fmt.Printf("\n%-9s %9s  %-28s %12s %12s %6s\n", "database", "rows", "what", "store", "by hand", "ratio")
	}
	for _, n := range sizes {
		dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
			db := dbtest.Open(t, url)
			require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, slog.New(slog.DiscardHandler)))
			plantest.Fill(t, db, fill(plantest.SQL{Dialect: db.Dialect, Rows: n}))
			for _, m := range measurements(t.Context(), db, byHand(t, db, url), n) {
				byStore, byHand := m.measure(t, rounds, calls)
				if rounds > 1 {
					_, _ = fmt.Printf("%-9s %9d  %-28s %12s %12s %6.2f\n", db.Dialect, n, m.name, byStore, byHand, float64(byStore)/float64(byHand))
				}
			}
		})
	}
}

// measure returns the medians of what one call takes, of rounds that take turns.
func (m measured) measure(t *testing.T, rounds, calls int) (byStore, byHand time.Duration) {
	t.Helper()
	round := func(call func() error) time.Duration {
		began := time.Now()
		for range calls {
			require.NoError(t, call(), m.name)
		}
		return time.Since(began) / time.Duration(calls)
	}
	var stores, hands []time.Duration
	for range rounds {
		stores, hands = append(stores, round(m.store)), append(hands, round(m.hand))
	}
	slices.Sort(stores)
	slices.Sort(hands)
	return stores[rounds/2], hands[rounds/2]
}

func measurements(ctx context.Context, db *database.Database, by hand, n int) []measured {
	log := slog.New(slog.DiscardHandler)
	box := outbox.New(db, log, nil)
	s := store.New(db, trail.New("identity", box, db.DB, log, prometheus.NewRegistry()))
	middleUser, middleMember := plantest.Name("usr_", n/2), plantest.Name("mem_", n/2)
	big := "org_" + plantest.Big
	return []measured{
		{
			"page of users",
			func() error { _, err := s.Users(ctx, "", middleUser, pageSize); return err },
			func() error { return users(ctx, by, middleUser) },
		},
		{
			"page of members",
			func() error { _, err := s.Members(ctx, big, middleMember, pageSize); return err },
			func() error { return members(ctx, by, big, middleMember) },
		},
		{
			"new organization with outbox",
			func() error {
				_, err := s.CreateOrganization(ctx, store.NewOrganization{ID: id.New(id.Organization), DisplayName: "Acme", OwnerID: "usr_1"})
				return err
			},
			func() error { return createOrganization(ctx, by) },
		},
	}
}

// hand is a database without ent: pgx itself for PostgreSQL, database/sql for SQLite.
type hand interface {
	// query calls each for every row.
	query(ctx context.Context, each func(scan func(...any) error) error, text string, args ...any) error
	// write executes statements in a transaction.
	write(ctx context.Context, statements []written) error
}

type written struct {
	text string
	args []any
}

func byHand(t *testing.T, db *database.Database, url config.Secret) hand {
	t.Helper()
	if db.Dialect == "sqlite3" {
		return sqliteHand{db.DB}
	}
	pool, err := pgxpool.New(t.Context(), url.Reveal())
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pgxHand{pool}
}

type pgxHand struct{ pool *pgxpool.Pool }

func (h pgxHand) query(ctx context.Context, each func(func(...any) error) error, text string, args ...any) error {
	rows, err := h.pool.Query(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (h pgxHand) write(ctx context.Context, statements []written) error {
	return pgx.BeginFunc(ctx, h.pool, func(tx pgx.Tx) error {
		for _, each := range statements {
			if _, err := tx.Exec(ctx, each.text, each.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

type sqliteHand struct{ db *sql.DB }

func (h sqliteHand) query(ctx context.Context, each func(func(...any) error) error, text string, args ...any) error {
	rows, err := h.db.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (h sqliteHand) write(ctx context.Context, statements []written) error {
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, each := range statements {
		if _, err := tx.ExecContext(ctx, each.text, each.args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

type userRow struct {
	id, email, name  string
	created, updated time.Time
	deactivated      *time.Time
	version          int64
	request          *string
}

func users(ctx context.Context, by hand, after string) error {
	out := make([]*userRow, 0, pageSize)
	err := by.query(ctx, func(scan func(...any) error) error {
		var u userRow
		out = append(out, &u)
		return scan(&u.id, &u.created, &u.updated, &u.email, &u.name, &u.deactivated, &u.version, &u.request)
	}, `SELECT "id", "created_at", "updated_at", "email", "display_name", "deactivated_at", "version", "request_key"
		FROM "users" WHERE "id" > $1 ORDER BY "id" LIMIT 50`, after)
	return enough(len(out), err)
}

type memberRow struct {
	id, organization, user string
	created, updated       time.Time
}

func members(ctx context.Context, by hand, organization, after string) error {
	out := make([]*memberRow, 0, pageSize)
	err := by.query(ctx, func(scan func(...any) error) error {
		var m memberRow
		out = append(out, &m)
		return scan(&m.id, &m.created, &m.updated, &m.organization, &m.user)
	}, `SELECT "id", "created_at", "updated_at", "organization_id", "user_id"
		FROM "memberships" WHERE "organization_id" = $1 AND "id" > $2 ORDER BY "id" LIMIT 50`, organization, after)
	return enough(len(out), err)
}

func enough(n int, err error) error {
	if err == nil && n != pageSize {
		err = fmt.Errorf("%d rows, and there should be %d", n, pageSize)
	}
	return err
}

// createOrganization writes the same rows as the store does, an audit event with the same fields among them.
func createOrganization(ctx context.Context, by hand) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	organization := id.New(id.Organization)
	event := &auditv1.Event{
		Id: id.New(id.Event), OccurredAt: timestamppb.New(now), Service: "identity", Action: "organization.create",
		Actor:    &auditv1.Actor{Kind: auditv1.ActorKind_ACTOR_KIND_ANONYMOUS},
		Resource: organization, OrganizationId: organization, Outcome: auditv1.Outcome_OUTCOME_SUCCESS,
		Attributes: map[string]string{"display_name": "Acme"},
	}
	payload, err := proto.Marshal(event)
	if err != nil {
		return err
	}
	return by.write(ctx, []written{
		{
			`INSERT INTO "organizations" ("id", "created_at", "updated_at", "display_name", "deactivated", "version") VALUES ($1, $2, $3, $4, $5, $6)`,
			[]any{organization, now, now, "Acme", false, 1},
		},
		{
			`INSERT INTO "memberships" ("id", "created_at", "updated_at", "organization_id", "user_id") VALUES ($1, $2, $3, $4, $5)`,
			[]any{id.New("mem"), now, now, organization, "usr_1"},
		},
		{
			`INSERT INTO "outbox_events" ("event_id", "payload", "created_at") VALUES ($1, $2, $3)`,
			[]any{event.GetId(), payload, now.UnixMilli()},
		},
	})
}
