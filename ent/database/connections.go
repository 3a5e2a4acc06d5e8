package database

import (
	"context"

	"entgo.io/ent/dialect"
)

// Connections are the connections of a role to a PostgreSQL database.
type Connections struct {
	// Open are those to this database, of all processes that have the role, without the one that asks.
	Open int
	// Most is how many the role may have, or, where that is less, the server.
	Most int
}

// Connections asks the server for the connections of the role. It is nil for SQLite, where there is nothing to run out of.
func (d *Database) Connections(ctx context.Context) (*Connections, error) {
	if d.Dialect != dialect.Postgres {
		return nil, nil //nolint:nilnil // there is nothing to count
	}
	var c Connections
	err := d.DB.QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()),
		(SELECT LEAST(NULLIF(rolconnlimit, -1), current_setting('max_connections')::int) FROM pg_roles WHERE rolname = current_user)`,
	).Scan(&c.Open, &c.Most)
	return &c, err
}
