package dbtest

import (
	"os"
	"path/filepath"
	"testing"

	"ashlar.dev/ent/pgserver"
	"ashlar.dev/kernel/config"
)

// What of a PostgreSQL server a small disk holds: a table that cannot grow is an error of one statement (53100), a
// write-ahead log that cannot grow ends the server.
const (
	Tables = "tables"
	Log    = "write-ahead log"
)

// SmallServer is a PostgreSQL server on a disk that a test can fill.
type SmallServer struct {
	*pgserver.Server

	// URL is the address of a database on it.
	URL config.Secret
	// Holds is what the disk holds.
	Holds string

	folder string
}

// EachSmallServer runs test with a server of its own, the disk of whose tables is small, and with one the disk of whose
// write-ahead log is; see [EachSmallDisk].
func EachSmallServer(t *testing.T, test func(*testing.T, *SmallServer)) {
	t.Helper()
	for _, holds := range []string{Tables, Log} {
		t.Run(holds, func(t *testing.T) {
			test(t, newSmallServer(t, holds))
		})
	}
}

func newSmallServer(t *testing.T, holds string) *SmallServer {
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
	server, address := Server(t, options)
	return &SmallServer{Server: server, URL: address, Holds: holds, folder: top}
}

// Fill fills the disk.
func (s *SmallServer) Fill(t *testing.T) {
	t.Helper()
	fill(t, s.folder)
}

// Free undoes Fill.
func (s *SmallServer) Free(t *testing.T) {
	t.Helper()
	free(t, s.folder)
}
