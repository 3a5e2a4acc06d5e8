package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/mixin"
)

// lease is the right of one relay of several to deliver: a row that names the
// holder and when it ends, by the clock of the database, so that the clocks of
// the holders need not agree. The holder itself counts from before it asked, on
// its own monotonic clock, and so always believes the lease to end earlier than
// the others do.
//
// It is held while there is something to deliver and given back after. Only who
// dies in the middle of a delivery leaves it behind, for at most its duration.
// Where the database's clock jumps ahead, two may deliver at once for a moment:
// receivers remove duplicates anyhow.
type lease struct {
	db       *database.Database
	name     string
	holder   string
	duration time.Duration
	ends     time.Time // by our clock; zero: not held
}

// now is the clock of the database in milliseconds since 1970.
func (l *lease) now() string {
	if l.db.Dialect == dialect.Postgres {
		return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
	}
	return "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
}

// fresh says whether so much is left of the lease that a delivery can begin.
func (l *lease) fresh() bool { return time.Until(l.ends) > l.duration*3/4 }

// take takes or extends the lease, in tx. It says whether we have it then.
func (l *lease) take(ctx context.Context, tx Execer) (bool, error) {
	asked := time.Now()
	table := entsql.Dialect(l.db.Dialect).Table(mixin.OutboxLeaseTable)
	free := entsql.P(func(b *entsql.Builder) {
		b.WriteString(table.C("holder")).WriteString(" = ").Arg(l.holder)
		b.WriteString(" OR ").WriteString(table.C("expires_at")).WriteString(" <= " + l.now())
	})
	expires := fmt.Sprintf("%s + %d", l.now(), l.duration.Milliseconds())
	query, args := entsql.Dialect(l.db.Dialect).Insert(mixin.OutboxLeaseTable).
		Columns("id", "holder", "expires_at").
		Values(l.name, l.holder, entsql.Raw(expires)).
		OnConflict(entsql.ConflictColumns("id"), entsql.ResolveWithNewValues(), entsql.UpdateWhere(free)).
		Query()
	rows, err := affected(tx.ExecContext(ctx, query, args...))
	if err != nil {
		return false, fmt.Errorf("take the lease %s: %w", l.name, err)
	}
	if rows == 0 {
		l.ends = time.Time{}
		return false, nil
	}
	l.ends = asked.Add(l.duration)
	return true, nil
}

// giveBack lets another relay begin at once.
func (l *lease) giveBack(ctx context.Context, tx Execer) error {
	query, args := entsql.Dialect(l.db.Dialect).Delete(mixin.OutboxLeaseTable).
		Where(entsql.And(entsql.EQ("id", l.name), entsql.EQ("holder", l.holder))).
		Query()
	if _, err := tx.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("give back the lease %s: %w", l.name, err)
	}
	l.ends = time.Time{}
	return nil
}

// affected is the number of rows of a result.
func affected(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
