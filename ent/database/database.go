package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"ashlar.dev/kernel/config"
)

// mend ends every message about an address that cannot be used.
const mend = "set --database-url or ASHLAR_DATABASE_URL to sqlite:///path/to/file.db or postgres://user:password@host:port/database"

// addressVariables are where the address is.
const addressVariables = "ASHLAR_DATABASE_URL (or the file that ASHLAR_DATABASE_URL_FILE names)"

// Database is an open database. Its methods may be called from any goroutine.
type Database struct {
	// DB is the pool of connections, for tests and tools: in services statements
	// go through Driver or Conn, which bound the wait for a connection. On SQLite
	// its transactions take the one write lock when they begin.
	DB *sql.DB
	// Dialect is dialect.SQLite or dialect.Postgres of entgo.io/ent/dialect.
	Dialect string

	name        string
	source      source
	observer    *observer // nil: nobody is told of statements
	connections *turns    // for what goes through Driver
	writer      *turns    // for transactions; nil: any number writes

	beside beside
	full   full

	mu      sync.Mutex
	commits []func()
}

// source is how connections to one kind of database are made.
type source interface {
	// open makes the pool that the service uses, and tells the observer, unless it
	// is nil, of its statements.
	open(observer *observer) *sql.DB
	// openForMigration makes a pool without the limits and checks that stand in
	// the way of a migration. It is nil where the database cannot be opened twice.
	openForMigration() *sql.DB
	// openBeside makes a pool of one connection whose statements end when their
	// callers leave, at the cost of the connection. It is nil where the database
	// cannot be opened twice.
	openBeside() *sql.DB
	// look says, without a change, whether the database answers and could be
	// written, and if not, why and how to mend it.
	look(ctx context.Context, db *sql.DB) error
	// probe makes what is missing, and says whether the database can be read and
	// written, and if not, why and how to mend it.
	probe(ctx context.Context, db *sql.DB) error
	// explain says what to do about an error, and where.
	explain(err error) error
}

// Open is New and Check in one.
func Open(ctx context.Context, address config.Secret, options ...Option) (*Database, error) {
	d, err := New(address, options...)
	if err != nil {
		return nil, err
	}
	if err := d.Check(ctx); err != nil {
		return nil, errors.Join(err, d.DB.Close())
	}
	return d, nil
}

// New returns the database at address without connecting to it. Addresses are
//
//	sqlite:///var/lib/ashlar/auth.db     a file, made if missing (0600; its folder, 0700)
//	sqlite:data/auth.db                  the same, relative to the working directory
//	sqlite::memory:                      in memory with one connection, for tests
//	postgres://user:password@host/name   also postgresql://, with the parameters that pgx knows
//
// For SQLite the parameter busy_timeout (milliseconds; 5000 if not given) bounds how long is waited for others who write. For
// PostgreSQL the parameter pool_max_conns bounds the pool (16 if not
// given), and statement_timeout, lock_timeout and other settings of the server
// can be given like in libpq; see postgres.go for what they are otherwise.
// No error or value of this package shows the password.
func New(address config.Secret, options ...Option) (*Database, error) {
	if address == "" {
		return nil, errors.New("no database is configured: " + mend)
	}
	u, err := url.Parse(address.Reveal())
	if err != nil {
		// Not wrapped: the error quotes the address with its password.
		return nil, errors.New("the address of the database is not a URL (is a character of the password not escaped?): " + mend)
	}
	d, patience := &Database{}, waitAtMost
	switch u.Scheme {
	case "sqlite", "sqlite3":
		file, err := parseSQLite(u)
		if err != nil {
			return nil, err
		}
		d.Dialect, d.name, d.source = dialect.SQLite, "SQLite "+file.path, file
		patience = file.busy
		d.writer = newTurns(1, patience)
	case "postgres", "postgresql":
		server, err := parsePostgres(u)
		if err != nil {
			return nil, err
		}
		d.Dialect, d.name, d.source = dialect.Postgres, "PostgreSQL "+server.name(), server
	default:
		return nil, fmt.Errorf("no database is known for addresses that start with %q: %s", u.Scheme, mend)
	}
	for _, option := range options {
		option(d)
	}
	d.DB = d.source.open(d.observer)
	d.connections = newTurns(slots(d.DB.Stats().MaxOpenConnections), patience)
	if d.writer != nil {
		// One metric: a writer has waited, or was turned away, whatever it was for.
		d.writer.waited, d.writer.denied = d.connections.waited, d.connections.denied
	}
	d.observer.pool(d)
	return d, nil
}

// Driver is what an ent client is made from: ent.NewClient(ent.Driver(db.Driver())).
// Closing that client closes the database.
func (d *Database) Driver() *Driver {
	return &Driver{entsql.OpenDB(d.Dialect, d.DB), d.connections, &d.full}
}

// slots is how many of a pool's connections are for what goes through Driver. One, where there are some, is left to
// what does not: events are delivered also while requests take all they can get.
func slots(connections int) int {
	if connections > 2 {
		return connections - 1
	}
	return connections
}

// String names the kind and the place of the database, without the password.
func (d *Database) String() string { return d.name }

// File is the path of the file that holds the database, or empty where it is
// not in a file.
func (d *Database) File() string {
	if file, ok := d.source.(sqliteFile); ok && !file.memory() {
		return file.path
	}
	return ""
}

// Close closes the pool after its running queries have ended.
func (d *Database) Close() error {
	if err := errors.Join(d.beside.close(), d.DB.Close()); err != nil {
		return fmt.Errorf("close %s: %w", d, err)
	}
	return nil
}

// OpenForMigration opens the database once more, for changing its schema: on
// SQLite with foreign keys off, because copying a table would otherwise delete
// what refers to it; on PostgreSQL without a statement timeout. The second
// value gives it back.
func (d *Database) OpenForMigration(ctx context.Context) (*sql.DB, func() error, error) {
	if db := d.source.openForMigration(); db != nil {
		return db, db.Close, nil
	}
	// In memory there is one connection, so a setting of it is a setting of all.
	if _, err := d.DB.ExecContext(ctx, "PRAGMA foreign_keys = OFF"); err != nil {
		return nil, nil, err
	}
	return d.DB, func() error {
		_, err := d.DB.ExecContext(context.WithoutCancel(ctx), "PRAGMA foreign_keys = ON")
		return err
	}, nil
}

// AfterCommit has f called after every transaction that [InTx] commits. f must
// not block.
func (d *Database) AfterCommit(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commits = append(d.commits, f)
}

func (d *Database) committed() {
	d.mu.Lock()
	commits := d.commits
	d.mu.Unlock()
	for _, f := range commits {
		f()
	}
}
