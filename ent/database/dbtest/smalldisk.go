package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"modernc.org/sqlite"

	"ashlar.dev/kernel/config"
)

// SmallDisk is a disk that a test can fill, for one SQLite database.
type SmallDisk struct {
	folder string
	kind   disk
}

// disk is how the disk is made small.
type disk interface {
	fill(t *testing.T, file string)
	free(t *testing.T, file string)
	// mount is whether files of any kind find it full.
	mount() bool
}

// EachSmallDisk runs test with a bound on the pages of the file, which works everywhere, and on a file system of its own,
// for which a process needs the right to mount one; without, it is skipped, or fails where CI=true.
func EachSmallDisk(t *testing.T, test func(*testing.T, *SmallDisk)) {
	t.Helper()
	t.Run("pages", func(t *testing.T) {
		folder := t.TempDir()
		few.add(folder)
		test(t, &SmallDisk{folder, pages{}})
	})
	t.Run("mount", func(t *testing.T) {
		folder := t.TempDir()
		mount(t, folder, "4m")
		test(t, &SmallDisk{folder, mounted{}})
	})
}

// URL is the address of the database on the disk.
func (d *SmallDisk) URL() config.Secret {
	return fileURL(d.file())
}

func (d *SmallDisk) file() string { return filepath.Join(d.folder, "test.db") }

// Fill fills the disk. The database must be there.
func (d *SmallDisk) Fill(t *testing.T) {
	t.Helper()
	d.kind.fill(t, d.file())
}

// Free undoes Fill.
func (d *SmallDisk) Free(t *testing.T) {
	t.Helper()
	d.kind.free(t, d.file())
}

// Mounted says whether the disk is a file system of its own: only then a second file finds it full.
func (d *SmallDisk) Mounted() bool { return d.kind.mount() }

// ReadOnly makes the disk one that nobody can write, as after a failure; only one that is mounted can be made so, and
// nobody may have a file on it open.
func (d *SmallDisk) ReadOnly(t *testing.T) {
	t.Helper()
	if err := remountReadOnly(d.folder); err != nil {
		t.Fatal(err)
	}
}

// pages bounds the pages of a file: SQLite itself says that the disk is full.
type pages struct{}

// maxPages is enough for the tables of a service, and filled in no time.
const maxPages = 400

func (pages) mount() bool { return false }

func (pages) fill(t *testing.T, file string) {
	t.Helper()
	exec(t, file, "CREATE TABLE ballast (x blob)")
	// Down to the last page.
	for _, size := range []int{100_000, 4_000, 1} {
		for exec(t, file, fmt.Sprintf("INSERT INTO ballast VALUES (zeroblob(%d))", size)) == nil {
		}
	}
}

func (pages) free(t *testing.T, file string) {
	t.Helper()
	if err := exec(t, file, "DROP TABLE ballast"); err != nil {
		t.Fatal(err)
	}
}

// exec runs a statement on a connection of its own.
func exec(t *testing.T, file, statement string) error {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_busy_timeout=20000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(t.Context(), statement)
	return err
}

// few are the folders whose databases have few pages.
var few folders

type folders struct {
	mu    sync.Mutex
	names []string
}

// add has every connection to a file in the folder be bound.
func (f *folders) add(folder string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names == nil {
		sqlite.RegisterConnectionHook(f.bind)
	}
	f.names = append(f.names, folder)
}

func (f *folders) bind(conn sqlite.ExecQuerierContext, dsn string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range f.names {
		if strings.Contains(dsn, name) {
			_, err := conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", maxPages), nil)
			return err
		}
	}
	return nil
}

// mounted is a file system of its own.
type mounted struct{}

func (mounted) mount() bool { return true }

func (mounted) fill(t *testing.T, file string) {
	t.Helper()
	fill(t, filepath.Dir(file))
}

func (mounted) free(t *testing.T, file string) {
	t.Helper()
	free(t, filepath.Dir(file))
}
