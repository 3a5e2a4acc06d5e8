package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/sqltool"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
)

type diffCommand struct {
	Name             string   `help:"What the migration is for, in a few words: lower-case letters, digits and _." placeholder:"NAME"`
	Check            bool     `help:"Write nothing; fail where a migration is missing, or takes away what programs of the release before use and does not say why."`
	AllowDestructive bool     `help:"Also drop the columns and indexes that the schema no longer has. Without it they stay, because the release before still uses them (expand, then contract)."`
	PostgresDSN      string   `help:"A PostgreSQL server to compute with, as a role that may create databases. Without it the command starts one." env:"ASHLAR_ENT_POSTGRES_DSN" placeholder:"URL"`
	Folders          []string `arg:"" name:"folder" help:"Folders of services."`
}

var migrationName = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)

// dialects are the folders of migrations and ent's names of their dialects.
var dialects = []string{"sqlite", "postgres"}

func (c *diffCommand) Run(ctx context.Context) error {
	switch {
	case c.Check:
		c.Name = "check"
	case !migrationName.MatchString(c.Name):
		return fmt.Errorf("--name=%q: say what the migration is for in lower-case letters, digits and _, like add_user_locale", c.Name)
	}
	scratch, err := newScratch(ctx, c.PostgresDSN)
	if err != nil {
		return err
	}
	defer scratch.close()
	missing := 0
	var findings []string
	for _, folder := range c.Folders {
		s, err := openService(folder)
		if err != nil {
			return err
		}
		written, err := c.diff(ctx, s, scratch)
		if err != nil {
			return fmt.Errorf("%s: %w", s.folder, err)
		}
		missing += written
		if c.Check {
			found, err := linting{scratch: scratch}.service(ctx, s)
			if err != nil {
				return fmt.Errorf("%s: %w", s.folder, err)
			}
			findings = append(findings, found...)
		}
	}
	for _, finding := range findings {
		fmt.Fprintln(os.Stderr, finding)
	}
	if len(findings) > 0 {
		return fmt.Errorf("%d findings in migrations", len(findings))
	}
	if c.Check && missing > 0 {
		return errors.New("migrations are missing: run ashlar-ent diff --name=… and commit what it writes")
	}
	return nil
}

// diff computes the migrations for both dialects on copies of the folders, so
// that either both are written or none. It returns how many there are.
func (c *diffCommand) diff(ctx context.Context, s service, scratch *scratch) (int, error) {
	graph, err := s.graph()
	if err != nil {
		return 0, err
	}
	version, err := s.nextVersion()
	if err != nil {
		return 0, err
	}
	copies, err := os.MkdirTemp("", "ashlar-ent-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(copies) }()
	for _, name := range dialects {
		// Loaded anew for each: planning for a dialect changes the tables.
		tables, err := graph.Tables()
		if err != nil {
			return 0, err
		}
		folder := filepath.Join(copies, name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return 0, err
		}
		if err := copyFolder(s.migrations(name), folder); err != nil {
			return 0, err
		}
		if err := c.plan(ctx, scratch, name, folder, version, tables); err != nil {
			return 0, fmt.Errorf("migrations/%s: %w", name, err)
		}
	}
	written := 0
	for _, name := range dialects {
		file := filepath.Join(name, fmt.Sprintf("%d_%s.sql", version, c.Name))
		if _, err := os.Stat(filepath.Join(copies, file)); err != nil {
			continue
		}
		written++
		fmt.Println(filepath.Join(s.folder, "migrations", file))
	}
	if c.Check || written == 0 {
		return written, nil
	}
	_, err = replace(copies, filepath.Join(s.folder, "migrations"))
	return written, err
}

// plan writes the migration that leads from what is in folder to the tables
// into folder, if they differ.
func (c *diffCommand) plan(ctx context.Context, scratch *scratch, name, folder string, version int64, tables []*schema.Table) error {
	db, err := scratch.open(ctx, name)
	if err != nil {
		return err
	}
	defer db.close()
	dir, err := sqltool.NewGooseDir(folder)
	if err != nil {
		return err
	}
	entDialect := map[string]string{"sqlite": dialect.SQLite, "postgres": dialect.Postgres}[name]
	differ, err := schema.NewMigrate(entsql.OpenDB(entDialect, db.DB),
		schema.WithDir(dir),
		schema.WithFormatter(forwardOnly{version: version}),
		schema.WithMigrationMode(schema.ModeReplay),
		schema.WithIndent("  "),
		schema.WithDropColumn(true),
		schema.WithDropIndex(true),
		schema.WithDiffHook(destruction{name: name, allow: c.AllowDestructive}.hook),
	)
	if err != nil {
		return err
	}
	err = differ.NamedDiff(ctx, c.Name, tables...)
	if errors.Is(err, migrate.ErrChecksumMismatch) || errors.Is(err, migrate.ErrChecksumNotFound) {
		return fmt.Errorf("the migrations are not those that atlas.sum was made from: undo the edit of a migration that is released; for one that is not, run ashlar-ent hash: %w", err)
	}
	return err
}

// nextVersion is the time as goose likes it in names, or one more than the
// newest migration where a clock went back.
func (s service) nextVersion() (int64, error) {
	next, err := strconv.ParseInt(time.Now().UTC().Format("20060102150405"), 10, 64)
	if err != nil {
		return 0, err
	}
	for _, name := range dialects {
		files, err := filepath.Glob(filepath.Join(s.migrations(name), "*.sql"))
		if err != nil {
			return 0, err
		}
		for _, file := range files {
			digits, _, _ := strings.Cut(filepath.Base(file), "_")
			version, err := strconv.ParseInt(digits, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: a migration is named VERSION_what_it_is_for.sql", file)
			}
			next = max(next, version+1)
		}
	}
	return next, nil
}

// copyFolder copies the files of a folder that may be missing.
func copyFolder(from, to string) error {
	if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	_, err := replace(from, to)
	return err
}
