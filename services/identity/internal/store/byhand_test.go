package store_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ashlar.dev/ent/database/dbtest"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/id"
)

// hand is a database without ent.
type hand interface {
	name() string
	dialect() string
	// query calls each for every row.
	query(ctx context.Context, each func(scan func(...any) error) error, text string, args ...any) error
	// write executes statements in a transaction.
	write(ctx context.Context, statements []written) error
}

type written struct {
	text string
	args []any
}

// hands are those that there are for a database, the one to compare with first: database/sql on a pool like the store's, so
// that driver, settings and guarantees are the same. pgx alone has the settings that cost something, or leaves it to the
// server whether it keeps plans.
func hands(t *testing.T, url config.Secret) []hand {
	t.Helper()
	db := dbtest.Open(t, url)
	hands := []hand{&sqlHand{db: db.DB, kind: db.Dialect}}
	if db.Dialect != dialect.Postgres {
		return hands
	}
	for _, plans := range []string{"force_custom_plan", "auto"} {
		cfg, err := pgxpool.ParseConfig(url.Reveal())
		require.NoError(t, err)
		cfg.ConnConfig.RuntimeParams["statement_timeout"], cfg.ConnConfig.RuntimeParams["plan_cache_mode"] = "30000", plans
		cfg.MaxConns = int32(db.DB.Stats().MaxOpenConnections)
		pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		hands = append(hands, pgxHand{pool, plans})
	}
	return hands
}

// sqlHand is database/sql.
type sqlHand struct {
	db   *sql.DB
	kind string
	turn sync.Mutex // to write, on SQLite
}

func (*sqlHand) name() string { return "database/sql" }

func (h *sqlHand) dialect() string { return h.kind }

func (h *sqlHand) query(ctx context.Context, each func(func(...any) error) error, text string, args ...any) error {
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

func (h *sqlHand) write(ctx context.Context, statements []written) error {
	if h.kind == dialect.SQLite {
		h.turn.Lock()
		defer h.turn.Unlock()
	}
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

// pgxHand is pgx without database/sql.
type pgxHand struct {
	pool  *pgxpool.Pool
	plans string
}

func (h pgxHand) name() string { return "pgx, " + h.plans }

func (pgxHand) dialect() string { return dialect.Postgres }

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

type userRow struct {
	id, email, name  string
	created, updated time.Time
	deactivated      *time.Time
	version          int64
	request          *string
}

func users(ctx context.Context, by hand, after string) ([]*userRow, error) {
	out := make([]*userRow, 0, pageSize)
	err := by.query(ctx, func(scan func(...any) error) error {
		var u userRow
		out = append(out, &u)
		return scan(&u.id, &u.created, &u.updated, &u.email, &u.name, &u.deactivated, &u.version, &u.request)
	}, `SELECT "id", "created_at", "updated_at", "email", "display_name", "deactivated_at", "version", "request_key"
		FROM "users" WHERE "id" > $1 ORDER BY "id" LIMIT 50`, after)
	return out, err
}

type memberRow struct {
	id, organization, user string
	created, updated       time.Time
}

// members asks as ent/keyset does, so that the index of the list answers.
func members(ctx context.Context, by hand, organization, after string) ([]*memberRow, error) {
	text := `SELECT "id", "created_at", "updated_at", "organization_id", "user_id" FROM "memberships"
		WHERE "organization_id" >= $1 AND ("organization_id", "id") > ($1, $2) AND "organization_id" <= $1 ORDER BY "organization_id", "id" LIMIT 50`
	if by.dialect() == dialect.SQLite {
		text = `SELECT "id", "created_at", "updated_at", "organization_id", "user_id" FROM "memberships"
			WHERE "organization_id" = $1 AND "id" > $2 ORDER BY "id" LIMIT 50`
	}
	out := make([]*memberRow, 0, pageSize)
	err := by.query(ctx, func(scan func(...any) error) error {
		var m memberRow
		out = append(out, &m)
		return scan(&m.id, &m.created, &m.updated, &m.organization, &m.user)
	}, text, organization, after)
	return out, err
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
