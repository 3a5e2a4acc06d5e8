package dbtest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/kernel/config"
)

// MigratedSQLiteURL is the address of a SQLite file, in a folder of the test, to
// which migrations are applied already. They are applied once in a test binary;
// each test gets a copy of the outcome.
func MigratedSQLiteURL(t testing.TB, migrations fs.FS) config.Secret {
	t.Helper()
	key, err := fingerprint(migrations)
	if err != nil {
		t.Fatal(err)
	}
	made, _ := templates.LoadOrStore(key, sync.OnceValues(func() ([]byte, error) { return template(migrations) }))
	content, err := made.(func() ([]byte, error))() //nolint:forcetypeassert // nothing else is stored
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return fileURL(path)
}

// templates has, by the fingerprint of migrations, what makes a file that has them.
var templates sync.Map

// fingerprint is the same for migrations that do the same.
func fingerprint(migrations fs.FS) (string, error) {
	files, err := fs.Glob(migrations, "sqlite/*")
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, file := range files { // in the order of their names
		content, err := fs.ReadFile(migrations, file)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(hash, "%q %d\n%s", file, len(content), content)
	}
	return string(hash.Sum(nil)), nil
}

func template(migrations fs.FS) ([]byte, error) {
	folder, err := os.MkdirTemp("", "dbtest-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "template.db")
	ctx := context.Background() // the outcome is for all tests, so none of them ends it
	db, err := database.Open(ctx, config.Secret("sqlite://"+filepath.ToSlash(path)))
	if err != nil {
		return nil, err
	}
	if err := migrate.Apply(ctx, db, migrations, slog.New(slog.DiscardHandler)); err != nil {
		_ = db.Close()
		return nil, err
	}
	// The last connection that closes leaves everything in the one file.
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
