package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/mixin"
)

// lease is how relays take turns on SQLite, where a lock that lasts would keep
// everybody from writing: a row that names the holder and when it ends, by the
// clock of the database. The holder itself counts from before it asked, on its own
// monotonic clock, and so always believes the lease to end earlier than the
// others do.
//
// It is held while there is something to deliver and given back after. Only who
// dies in the middle of a delivery leaves it behind, for at most its duration.
// Where the clock jumps ahead, two may deliver at once for a moment: receivers
// remove duplicates anyhow.
type lease struct {
	outbox   *Outbox
	name     string
	holder   string
	duration time.Duration
	ends     time.Time // by our clock; zero: not held
}

// now is the clock of the database in milliseconds since 1970.
const now = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"

func (l *lease) take(ctx context.Context) (turn, error) {
	if l.fresh() {
		return l, nil
	}
	var held bool
	err := l.outbox.write(ctx, func(ctx context.Context, tx Execer) (err error) {
		held, err = l.extend(ctx, tx)
		return err
	})
	if err != nil || !held {
		return nil, err
	}
	return l, nil
}

// fresh says whether so much is left of the lease that a delivery can begin.
func (l *lease) fresh() bool { return time.Until(l.ends) > l.duration*3/4 }

func (l *lease) until() time.Time { return l.ends.Add(-l.duration / 4) }

func (l *lease) head(ctx context.Context, limit int) (b batch, err error) {
	err = l.outbox.db.WithConn(ctx, func(conn *sql.Conn) (failed error) {
		b, failed = head(ctx, conn, limit)
		return failed
	})
	return b, err
}

// settle extends the lease, or gives it back where the batch was the last.
func (l *lease) settle(ctx context.Context, b batch) error {
	ctx, cancel := settling(ctx, l.ends)
	defer cancel()
	for {
		// Who has waited for a turn to write for long is turned away, but here nobody is who needs an answer.
		if err := l.delete(ctx, b); !errors.Is(err, database.ErrOverloaded) || ctx.Err() != nil {
			return err
		}
	}
}

func (l *lease) delete(ctx context.Context, b batch) error {
	return l.outbox.write(ctx, func(ctx context.Context, tx Execer) error {
		keys := make([]any, len(b.keys))
		for i, key := range b.keys {
			keys[i] = key
		}
		query, args := entsql.Dialect(dialect.SQLite).Delete(mixin.OutboxTable).Where(entsql.In("id", keys...)).Query()
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return fmt.Errorf("delete delivered events: %w", err)
		}
		if b.all {
			return l.giveBack(ctx, tx)
		}
		_, err := l.extend(ctx, tx)
		return err
	})
}

func (l *lease) abandon(ctx context.Context) error {
	ctx, cancel := settling(ctx, time.Time{})
	defer cancel()
	return l.outbox.write(ctx, l.giveBack)
}

// extend takes or extends the lease, in tx. It says whether we have it then.
func (l *lease) extend(ctx context.Context, tx Execer) (bool, error) {
	asked := time.Now()
	table := entsql.Dialect(dialect.SQLite).Table(mixin.OutboxLeaseTable)
	free := entsql.P(func(b *entsql.Builder) {
		b.WriteString(table.C("holder")).WriteString(" = ").Arg(l.holder)
		b.WriteString(" OR ").WriteString(table.C("expires_at")).WriteString(" <= " + now)
	})
	expires := fmt.Sprintf("%s + %d", now, l.duration.Milliseconds())
	query, args := entsql.Dialect(dialect.SQLite).Insert(mixin.OutboxLeaseTable).
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
	query, args := entsql.Dialect(dialect.SQLite).Delete(mixin.OutboxLeaseTable).
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
