package database

import (
	"context"
	"database/sql"
	"sync"
)

// beside is a connection beside the pool, for looking at the database: a pool that is used up says nothing about the
// database, and one whose statements all hang must not hide that.
type beside struct {
	mu     sync.Mutex
	db     *sql.DB
	closed bool
}

// Up says whether the database answers and can be written as far as can be seen without writing; if not, why, and what
// to do about it. That its disk is full it knows from writes that have failed in the last ten seconds. It makes at most one
// connection, beside the pool, and keeps it.
func (d *Database) Up(ctx context.Context) error {
	db, err := d.besidePool()
	if err != nil {
		return err
	}
	if err := d.source.look(ctx, db); err != nil {
		return err
	}
	return d.Explain(d.full.lately())
}

func (d *Database) besidePool() (*sql.DB, error) {
	d.beside.mu.Lock()
	defer d.beside.mu.Unlock()
	switch {
	case d.beside.closed:
		return nil, sql.ErrConnDone
	case d.beside.db == nil:
		d.beside.db = d.source.openBeside()
	}
	if d.beside.db == nil {
		return d.DB, nil
	}
	return d.beside.db, nil
}

// close closes it, if it was opened, and keeps it from being opened again.
func (b *beside) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.db == nil {
		return nil
	}
	return b.db.Close()
}
