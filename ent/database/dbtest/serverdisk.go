package dbtest

import (
	"os"
	"path/filepath"
	"testing"

	"ashlar.dev/ent/pgserver"
)

// What of a PostgreSQL server a small disk holds: a table that cannot grow is an error of one statement (53100), a
// write-ahead log that cannot grow ends the server.
const (
	Tables = "tables"
	Log    = "write-ahead log"
)

// ServerDisk is a disk that a test can fill, under a PostgreSQL server.
type ServerDisk struct{ folder string }

// EachServerDisk runs test with a server of its own, the disk of whose tables is small, and with one the disk of whose
// write-ahead log is; see [EachSmallDisk].
func EachServerDisk(t *testing.T, test func(t *testing.T, holds string, server *pgserver.Server, disk *ServerDisk)) {
	t.Helper()
	for _, holds := range []string{Tables, Log} {
		t.Run(holds, func(t *testing.T) {
			server, disk := serverOnSmallDisk(t, holds)
			test(t, holds, server, disk)
		})
	}
}

func serverOnSmallDisk(t *testing.T, holds string) (*pgserver.Server, *ServerDisk) {
	t.Helper()
	top, err := os.MkdirTemp("", "ashlar-disk-") //nolint:usetesting // the user that the server runs as cannot look into t.TempDir
	if err == nil {
		t.Cleanup(func() {
			if err := os.RemoveAll(top); err != nil {
				t.Error(err)
			}
		})
		err = os.Chmod(top, 0o711)
	}
	if err != nil {
		t.Fatal(err)
	}
	mount(t, top, "100m")
	folder := filepath.Join(top, "server")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	options := pgserver.Options{Data: folder}
	if holds == Log {
		options = pgserver.Options{Log: folder}
	}
	return Server(t, options), &ServerDisk{top}
}

// Fill fills the disk.
func (d *ServerDisk) Fill(t *testing.T) {
	t.Helper()
	fill(t, d.folder)
}

// Free undoes Fill.
func (d *ServerDisk) Free(t *testing.T) {
	t.Helper()
	free(t, d.folder)
}
