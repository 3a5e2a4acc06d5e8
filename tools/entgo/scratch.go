package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"ashlar.dev/ent/pgserver"
)

// scratch makes empty databases to replay migrations in.
type scratch struct {
	folder string // of SQLite files
	admin  *sql.DB
	config *pgx.ConnConfig
	server *pgserver.Server // nil where an address was given
	made   int
}

// scratchDatabase is one of them.
type scratchDatabase struct {
	*sql.DB
	drop func() error
}

// close drops the database; what cannot be dropped is of no consequence for
// the migration, so it is a notice.
func (d scratchDatabase) close() {
	if err := errors.Join(d.Close(), d.drop()); err != nil {
		fmt.Fprintln(os.Stderr, "ashlar-ent: remove a scratch database:", err)
	}
}

// newScratch uses the PostgreSQL server at dsn, or starts one.
func newScratch(ctx context.Context, dsn string) (*scratch, error) {
	s := &scratch{}
	if dsn == "" {
		server, err := pgserver.Start(ctx)
		if errors.Is(err, pgserver.ErrNotFound) {
			return nil, fmt.Errorf("migrations for PostgreSQL are computed with a PostgreSQL: %w; or give the address of one with --postgres-dsn", err)
		}
		if err != nil {
			return nil, err
		}
		s.server, dsn = server, server.URL("postgres")
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		// Not wrapped: pgx's error may quote the address with its password.
		s.close()
		return nil, errors.New("--postgres-dsn is not the address of a PostgreSQL: write postgres://user:password@host:port/database")
	}
	s.config, s.admin = config, stdlib.OpenDB(*config)
	if s.folder, err = os.MkdirTemp("", "ashlar-ent-"); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *scratch) close() {
	var errs []error
	if s.admin != nil {
		errs = append(errs, s.admin.Close())
	}
	if s.server != nil {
		errs = append(errs, s.server.Stop())
	}
	if s.folder != "" {
		errs = append(errs, os.RemoveAll(s.folder))
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, "ashlar-ent: tidy up:", err)
	}
}

// open makes an empty database for one of dialects.
func (s *scratch) open(ctx context.Context, name string) (scratchDatabase, error) {
	s.made++
	if name == "sqlite" {
		file := url.URL{Scheme: "file", Path: filepath.Join(s.folder, fmt.Sprintf("%d.db", s.made)), RawQuery: "_pragma=foreign_keys(1)&_pragma=synchronous(OFF)"}
		db, err := sql.Open("sqlite", file.String())
		return scratchDatabase{DB: db, drop: func() error { return nil }}, err
	}
	database := fmt.Sprintf("ashlar_ent_%d_%d", os.Getpid(), s.made)
	if _, err := s.admin.ExecContext(ctx, "CREATE DATABASE "+database+" TEMPLATE template0"); err != nil {
		return scratchDatabase{}, fmt.Errorf("create a scratch database: %w", err)
	}
	config := s.config.Copy()
	config.Database = database
	return scratchDatabase{DB: stdlib.OpenDB(*config), drop: func() error {
		_, err := s.admin.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE IF EXISTS "+database)
		return err
	}}, nil
}
