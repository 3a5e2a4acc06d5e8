package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
	atlas "ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlite"
	"ariga.io/atlas/sql/sqltool"

	"ashlar.dev/ent/migrate/directive"
)

// linting says what of a migration programs of the release before could miss.
// Nothing is taken from the text that can be seen in the database before and
// after: SQLite copies a table to change it, and drops the old one.
type linting struct {
	scratch *scratch
}

// service checks all migrations of a service, and returns what is wrong.
func (l linting) service(ctx context.Context, s service) ([]string, error) {
	var findings []string
	said := map[string]map[string]*directive.Contract{}
	for _, name := range dialects {
		found, contracts, err := l.folder(ctx, name, s.migrations(name))
		if err != nil {
			return nil, err
		}
		for _, finding := range found {
			findings = append(findings, filepath.Join(s.migrations(name), finding))
		}
		said[name] = contracts
	}
	// A program moves between the dialects with its code, and both have the same history.
	for file, one := range said["sqlite"] {
		other, both := said["postgres"][file]
		if both && (one == nil) != (other == nil) || both && one != nil && one.Since != other.Since {
			findings = append(findings, fmt.Sprintf("%s: ashlar:contract says another thing for SQLite than for PostgreSQL", filepath.Join(s.folder, "migrations", "*", file)))
		}
	}
	slices.Sort(findings)
	return findings, nil
}

// folder checks the migrations of one dialect.
func (l linting) folder(ctx context.Context, name, path string) (findings []string, contracts map[string]*directive.Contract, err error) {
	contracts = map[string]*directive.Contract{}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, contracts, nil
	}
	dir, err := sqltool.NewGooseDir(path)
	if err != nil {
		return nil, nil, err
	}
	files, err := dir.Files()
	if err != nil {
		return nil, nil, err
	}
	db, err := l.scratch.open(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	defer db.close()
	look, err := newLook(name, db.DB)
	if err != nil {
		return nil, nil, err
	}
	before, err := look.inspect(ctx)
	if err != nil {
		return nil, nil, err
	}
	earlier := map[int64]bool{}
	for _, file := range files {
		contract, err := directive.Read(string(file.Bytes()))
		if err != nil {
			findings = append(findings, fmt.Sprintf("%s: %v", file.Name(), err))
			continue
		}
		contracts[file.Name()] = contract
		if contract != nil && contract.Since != 0 && !earlier[contract.Since] {
			findings = append(findings, fmt.Sprintf("%s: since=%d is no migration before this one", file.Name(), contract.Since))
		}
		if version, err := strconv.ParseInt(file.Version(), 10, 64); err == nil {
			earlier[version] = true
		}
		removed, err := apply(ctx, db.DB, file)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
		after, err := look.inspect(ctx)
		if err != nil {
			return nil, nil, err
		}
		changes, err := look.compare(before, after)
		if err != nil {
			return nil, nil, err
		}
		if contract == nil {
			for _, change := range append(removed, changes...) {
				findings = append(findings, fmt.Sprintf("%s: %s: programs of the release before may fail on that. Expand first, and contract a release later, "+
					"or say why with the comment -- ashlar:contract since=VERSION: why (docs/migrations.md)", file.Name(), change))
			}
		}
		findings = append(findings, withoutTransaction(file)...)
		before = after
	}
	return findings, contracts, nil
}

var (
	deletes    = regexp.MustCompile(`(?is)^(delete\s+from|truncate)\b`)
	noTx       = regexp.MustCompile(`(?im)^--\s*\+goose\s+no\s+transaction\s*$`)
	repeatable = regexp.MustCompile(`(?is)^(create\s+(unique\s+)?index\s+concurrently|drop\s+index\s+concurrently\s+if\s+exists)\b`)
)

// apply runs a migration, and says which of its statements take rows away: that
// does not show in a database without rows.
func apply(ctx context.Context, db *sql.DB, file migrate.File) ([]string, error) {
	statements, err := file.Stmts()
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	var removed []string
	for _, statement := range statements {
		if deletes.MatchString(bare(statement)) {
			removed = append(removed, "rows are deleted")
		}
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	return removed, nil
}

// bare is a statement without the comments before it.
func bare(statement string) string {
	for {
		statement = strings.TrimSpace(statement)
		comment, rest, _ := strings.Cut(statement, "\n")
		if !strings.HasPrefix(comment, "--") {
			return statement
		}
		statement = rest
	}
}

// withoutTransaction refuses what a crash would leave half done.
func withoutTransaction(file migrate.File) []string {
	if !noTx.Match(file.Bytes()) {
		return nil
	}
	statements, err := file.Stmts()
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", file.Name(), err)}
	}
	for i, statement := range statements {
		if !repeatable.MatchString(bare(statement)) || i == 0 && !strings.HasPrefix(strings.ToLower(bare(statement)), "drop") {
			return []string{file.Name() + ": NO TRANSACTION: a crash leaves a part of it. It may have DROP INDEX CONCURRENTLY IF EXISTS, followed by CREATE INDEX CONCURRENTLY, and nothing else"}
		}
	}
	return nil
}

// look sees what is in a database.
type look struct {
	name   string
	db     *sql.DB
	driver migrate.Driver
}

// seen is what was there at some time.
type seen struct {
	schema *atlas.Schema
	// others are what Atlas does not see: triggers, functions, views, by their name.
	others map[string]bool
}

func newLook(name string, db *sql.DB) (*look, error) {
	open := sqlite.Open
	if name == "postgres" {
		open = postgres.Open
	}
	driver, err := open(db)
	return &look{name: name, db: db, driver: driver}, err
}

func (l *look) inspect(ctx context.Context) (s seen, err error) {
	if s.schema, err = l.driver.InspectSchema(ctx, "", nil); err != nil {
		return s, err
	}
	query := "SELECT type || ' ' || name FROM sqlite_master WHERE type IN ('trigger', 'view')"
	if l.name == "postgres" {
		query = `SELECT 'trigger ' || t.tgname || ' of ' || c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
				JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND n.nspname = current_schema()
			UNION ALL SELECT 'function ' || p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = current_schema()
			UNION ALL SELECT 'view ' || viewname FROM pg_views WHERE schemaname = current_schema()`
	}
	rows, err := l.db.QueryContext(ctx, query)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	s.others = map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return s, err
		}
		s.others[name] = true
	}
	return s, rows.Err()
}

// compare returns what programs that know before could miss after.
func (l *look) compare(before, after seen) ([]string, error) {
	changes, err := l.driver.SchemaDiff(before.schema, after.schema)
	if err != nil {
		return nil, err
	}
	var missed []string
	for _, change := range changes {
		switch change := change.(type) {
		case *atlas.AddTable:
		case *atlas.DropTable:
			missed = append(missed, fmt.Sprintf("the table %s goes", change.T.Name))
		case *atlas.ModifyTable:
			fresh := added(change.Changes)
			for _, part := range change.Changes {
				if index, ok := part.(*atlas.AddIndex); ok && over(index.I, fresh) {
					continue // programs of the release before leave it empty
				}
				if what := contracts(part); what != "" {
					missed = append(missed, fmt.Sprintf("the table %s: %s", change.T.Name, what))
				}
			}
		default:
			missed = append(missed, fmt.Sprintf("the schema changes in a way that is not known (%T)", change))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.others)) {
		if !after.others[name] {
			missed = append(missed, fmt.Sprintf("the %s goes", name))
		}
	}
	return missed, nil
}

// added are the columns among changes that are new and may be empty.
func added(changes []atlas.Change) map[string]bool {
	names := map[string]bool{}
	for _, change := range changes {
		if add, ok := change.(*atlas.AddColumn); ok && add.C.Type.Null && add.C.Default == nil {
			names[add.C.Name] = true
		}
	}
	return names
}

// over says whether one of the columns of an index is among names.
func over(index *atlas.Index, names map[string]bool) bool {
	return slices.ContainsFunc(index.Parts, func(part *atlas.IndexPart) bool { return part.C != nil && names[part.C.Name] })
}

// contracts says what a change of a table takes away, or nothing where it only
// adds.
func contracts(change atlas.Change) string {
	switch change := change.(type) {
	case *atlas.AddColumn:
		if !change.C.Type.Null && change.C.Default == nil && !generated(change.C) {
			return fmt.Sprintf("the new column %s is NOT NULL and has no default", change.C.Name)
		}
		return ""
	case *atlas.DropColumn:
		return fmt.Sprintf("the column %s goes", change.C.Name)
	case *atlas.ModifyColumn:
		return modified(change)
	case *atlas.AddIndex:
		if change.I.Unique {
			return fmt.Sprintf("the index %s makes unique what was not", change.I.Name)
		}
		return ""
	case *atlas.DropIndex:
		return fmt.Sprintf("the index %s goes", change.I.Name)
	case *atlas.AddForeignKey:
		// SQLite cannot add one to a table, so a column that comes with one looks like that, too.
		return fmt.Sprintf("the foreign key %s is new", change.F.Symbol)
	case *atlas.ModifyAttr, *atlas.AddAttr, *atlas.DropAttr:
		return ""
	}
	return fmt.Sprintf("it changes in its constraints (%T)", change)
}

func modified(change *atlas.ModifyColumn) string {
	name := change.To.Name
	switch {
	case change.Change.Is(atlas.ChangeNull) && !change.To.Type.Null:
		return fmt.Sprintf("the column %s becomes NOT NULL", name)
	case change.Change.Is(atlas.ChangeType) && !widens(change.From.Type.Type, change.To.Type.Type):
		return fmt.Sprintf("the type of the column %s changes to one that is not wider", name)
	case change.Change.Is(atlas.ChangeDefault) && change.To.Default == nil && !change.To.Type.Null:
		return fmt.Sprintf("the column %s is NOT NULL and loses its default", name)
	case change.Change.Is(atlas.ChangeGenerated):
		return fmt.Sprintf("the column %s is computed in another way", name)
	}
	return ""
}

// generated says whether the database makes the values itself.
func generated(c *atlas.Column) bool {
	for _, attr := range c.Attrs {
		switch attr.(type) {
		case *atlas.GeneratedExpr, *postgres.Identity:
			return true
		}
	}
	return false
}

// widens says whether every value of from is one of to.
func widens(from, to atlas.Type) bool {
	switch from := from.(type) {
	case *atlas.IntegerType:
		sizes := []string{"smallint", "integer", "bigint"}
		to, ok := to.(*atlas.IntegerType)
		return ok && slices.Index(sizes, to.T) >= slices.Index(sizes, from.T) && slices.Contains(sizes, from.T)
	case *atlas.StringType:
		to, ok := to.(*atlas.StringType)
		return ok && (to.Size == 0 || from.Size != 0 && to.Size >= from.Size) && to.T != "character" && to.T != "char"
	}
	return false
}
