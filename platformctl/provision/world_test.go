package provision_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/kernel/config"
	"ashlar.dev/platformctl/provision"
)

// world is an empty database of a server, whose superuser the test is, and what is to be there. Roles are the server's, so
// each world has names of its own.
type world struct {
	provision.Plan

	t       *testing.T
	address config.Secret // the superuser's
	folder  string
}

func newWorld(t *testing.T, services ...string) *world {
	t.Helper()
	w := &world{t: t, address: dbtest.PostgresURL(t), folder: filepath.Join(t.TempDir(), "databases")}
	u, err := url.Parse(w.address.Reveal())
	require.NoError(t, err)
	w.RolePrefix = "p" + strings.TrimPrefix(u.Path, "/test_")
	for _, name := range services {
		w.Services = append(w.Services, provision.Service{Name: name, Schema: name, File: w.file(name)})
	}
	// Roles stay when their database goes.
	w.t.Cleanup(func() {
		for _, s := range w.Services {
			for _, statement := range []string{"DROP OWNED BY %s CASCADE", "DROP ROLE %s"} {
				_ = w.try(w.address, fmt.Sprintf(statement, w.Role(s.Name)))
			}
		}
	})
	return w
}

func (w *world) file(service string) string { return filepath.Join(w.folder, service+".dsn") }

// run provisions as whoever the address is of.
func (w *world) run(address config.Secret) ([]provision.Outcome, error) {
	w.t.Helper()
	admin, err := provision.ParseAdmin(address)
	require.NoError(w.t, err)
	return provision.Run(w.t.Context(), admin, w.Plan)
}

// provisioned is a world in which that has been done.
func provisioned(t *testing.T, services ...string) *world {
	t.Helper()
	w := newWorld(t, services...)
	_, err := w.run(w.address)
	require.NoError(t, err)
	return w
}

// of is the address of a service, as its file says.
func (w *world) of(service string) config.Secret {
	w.t.Helper()
	content, err := os.ReadFile(w.file(service))
	require.NoError(w.t, err)
	return config.Secret(strings.TrimSpace(string(content)))
}

// try runs statements, as whoever the address is of, in one session.
func (w *world) try(address config.Secret, statements ...string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, address.Reveal())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// do is try for what has to work.
func (w *world) do(address config.Secret, statements ...string) {
	w.t.Helper()
	require.NoError(w.t, w.try(address, statements...))
}

// ask returns the one value of a query.
func ask[T any](w *world, address config.Secret, query string) T {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), address.Reveal())
	require.NoError(w.t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	var value T
	require.NoError(w.t, conn.QueryRow(w.t.Context(), query).Scan(&value))
	return value
}

// as is the superuser's address with another user in it.
func (w *world) as(user, password string) config.Secret {
	w.t.Helper()
	u, err := url.Parse(w.address.Reveal())
	require.NoError(w.t, err)
	u.User = url.UserPassword(user, password)
	return config.Secret(u.String())
}

// code is the one of a server's refusal.
func code(t *testing.T, err error) string {
	t.Helper()
	var refusal *pgconn.PgError
	require.ErrorAs(t, err, &refusal)
	return refusal.Code
}
