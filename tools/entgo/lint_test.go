package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/pgserver"
)

const made = `CREATE TABLE p (id bigint NOT NULL PRIMARY KEY);
CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, a varchar(10) NOT NULL, b text NULL);
CREATE INDEX t_a ON t (a);`

// copied is how SQLite changes a table.
func copied(columns, names string) string {
	return "CREATE TABLE new_t (" + columns + ");\nINSERT INTO new_t (" + names + ") SELECT " + names + " FROM t;\nDROP TABLE t;\nALTER TABLE new_t RENAME TO t;\n"
}

// What lint says of a migration that follows made. Where both dialects do the same, sql is for both.
func TestLint(t *testing.T) {
	server, err := pgserver.Start(t.Context())
	if errors.Is(err, pgserver.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	scratch, err := newScratch(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	t.Cleanup(scratch.close)
	whole := "id bigint NOT NULL PRIMARY KEY, a varchar(10) NOT NULL, b text NULL"
	for name, test := range map[string]struct {
		sql, sqlite, postgres string
		finding               string // none: it expands
	}{
		"a table":                    {sql: "CREATE TABLE u (id bigint NOT NULL PRIMARY KEY, n text NOT NULL);\nCREATE UNIQUE INDEX u_n ON u (n);"},
		"an index":                   {sql: "CREATE INDEX t_b ON t (b);"},
		"a column":                   {sql: "ALTER TABLE t ADD COLUMN c text NULL;\nUPDATE t SET c = a;"},
		"a column with a default":    {sql: "ALTER TABLE t ADD COLUMN c bigint NOT NULL DEFAULT 1;"},
		"a column, unique":           {sql: "ALTER TABLE t ADD COLUMN c text NULL;\nCREATE UNIQUE INDEX t_c ON t (c);"},
		"a wider type":               {postgres: "ALTER TABLE t ALTER COLUMN a TYPE varchar(20);", sqlite: copied("id bigint NOT NULL PRIMARY KEY, a varchar(20) NOT NULL, b text NULL", "id, a, b") + "CREATE INDEX t_a ON t (a);"},
		"a copy":                     {postgres: "SELECT 1;", sqlite: copied(whole, "id, a, b") + "CREATE INDEX t_a ON t (a);"},
		"a trigger that deletes":     {postgres: "SELECT 1;", sqlite: "-- +goose StatementBegin\nCREATE TRIGGER x AFTER INSERT ON t BEGIN\n  DELETE FROM p;\nEND;\n-- +goose StatementEnd"},
		"why":                        {sql: "-- ashlar:contract since=1: nobody reads it\nDROP TABLE t;"},
		"a table goes":               {sql: "DROP TABLE t;", finding: "the table t goes"},
		"a table is renamed":         {sql: "ALTER TABLE t RENAME TO u;", finding: "the table t goes"},
		"a column goes":              {sql: "ALTER TABLE t DROP COLUMN b;", finding: "the column b goes"},
		"a column is renamed":        {sql: "ALTER TABLE t RENAME COLUMN b TO c;", finding: "the column b goes"},
		"a column without a default": {postgres: "ALTER TABLE t ADD COLUMN c text NOT NULL;", sqlite: copied(whole+", c text NOT NULL", "id, a, b") + "CREATE INDEX t_a ON t (a);", finding: "the new column c is NOT NULL"},
		"a column that may not be":   {postgres: "ALTER TABLE t ALTER COLUMN b SET NOT NULL;", sqlite: copied("id bigint NOT NULL PRIMARY KEY, a varchar(10) NOT NULL, b text NOT NULL", "id, a, b") + "CREATE INDEX t_a ON t (a);", finding: "the column b becomes NOT NULL"},
		"a narrower type":            {postgres: "ALTER TABLE t ALTER COLUMN a TYPE varchar(5);", finding: "not wider"}, // SQLite keeps no lengths
		"another type":               {postgres: "ALTER TABLE t ALTER COLUMN b TYPE bigint USING 1;", sqlite: copied("id bigint NOT NULL PRIMARY KEY, a varchar(10) NOT NULL, b bigint NULL", "id, a, b") + "CREATE INDEX t_a ON t (a);", finding: "not wider"},
		"unique":                     {sql: "CREATE UNIQUE INDEX t_b ON t (b);", finding: "makes unique what was not"},
		"an index goes":              {sql: "DROP INDEX t_a;", finding: "the index t_a goes"},
		"a copy that loses an index": {postgres: "DROP INDEX t_a;", sqlite: copied(whole, "id, a, b"), finding: "the index t_a goes"},
		"rows go":                    {sql: "DELETE FROM t WHERE b IS NULL;", finding: "rows are deleted"},
		"a directive that cannot be": {sql: "-- ashlar:contract\nDROP TABLE t;", finding: "cannot be read"},
		"since nothing":              {sql: "-- ashlar:contract since=3: why\nDROP TABLE t;", finding: "since=3 is no migration before this one"},
		"no transaction":             {sql: "-- +goose NO TRANSACTION\nCREATE TABLE u (n bigint);", finding: "NO TRANSACTION"},
	} {
		for _, dialect := range dialects {
			t.Run(name+"/"+dialect, func(t *testing.T) {
				sql := map[string]string{"sqlite": test.sqlite, "postgres": test.postgres}[dialect]
				if test.sql != "" {
					sql = test.sql
				}
				if sql == "" {
					t.Skip("the dialect has nothing like it")
				}
				folder := t.TempDir()
				write(t, filepath.Join(folder, "1_made.sql"), "-- +goose Up\n"+made+"\n")
				write(t, filepath.Join(folder, "2_next.sql"), "-- +goose Up\n"+sql+"\n")
				findings, _, err := linting{scratch: scratch}.folder(t.Context(), dialect, folder)
				require.NoError(t, err)
				if test.finding == "" {
					require.Empty(t, findings)
					return
				}
				require.Contains(t, strings.Join(findings, "\n"), "2_next.sql")
				require.Contains(t, strings.Join(findings, "\n"), test.finding)
			})
		}
	}
}
