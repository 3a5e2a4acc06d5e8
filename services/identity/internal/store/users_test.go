package store_test

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/ent/outbox"
	"ashlar.dev/platform/trail"
	"ashlar.dev/services/identity/internal/store"
	"ashlar.dev/services/identity/migrations"
)

// An id and a request key can be of two people: the request decides, and nothing is made or changed.
func TestCreateUserAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		log, metrics := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
		require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, log))
		s := store.New(db, trail.New("identity", outbox.New(db, log, metrics), db.DB, log, metrics))
		ada, err := s.CreateUser(t.Context(), store.NewUser{ID: "usr_ada", Email: "ada@example.com", DisplayName: "Ada", RequestKey: "key_ada"})
		require.NoError(t, err)
		bob, err := s.CreateUser(t.Context(), store.NewUser{ID: "usr_bob", Email: "bob@example.com", DisplayName: "Bob", RequestKey: "key_bob"})
		require.NoError(t, err)
		for name, test := range map[string]struct {
			again store.NewUser
			want  string
			err   error
		}{
			"a key of one and an id of another": {again: store.NewUser{ID: ada.ID, Email: "ada@example.com", RequestKey: "key_bob"}, want: bob.ID},
			"the key alone":                     {again: store.NewUser{Email: "eve@example.com", RequestKey: "key_ada"}, want: ada.ID},
			"the id alone":                      {again: store.NewUser{ID: ada.ID, Email: "ADA@example.com"}, want: ada.ID},
			"the id with a new key":             {again: store.NewUser{ID: ada.ID, Email: "ada@example.com", RequestKey: "key_new"}, want: ada.ID},
			"the id with another address":       {again: store.NewUser{ID: ada.ID, Email: "eve@example.com"}, err: store.ErrEmailTaken},
			"the same, with a new key":          {again: store.NewUser{ID: ada.ID, Email: "eve@example.com", RequestKey: "key_new"}, err: store.ErrEmailTaken},
			"an address of another":             {again: store.NewUser{Email: "ada@example.com", RequestKey: "key_new"}, err: store.ErrEmailTaken},
		} {
			got, err := s.CreateUser(t.Context(), test.again)
			require.ErrorIs(t, err, test.err, name)
			if test.err == nil {
				require.Equal(t, test.want, got.ID, name)
			}
		}
		all, err := s.Users(t.Context(), "", "", 10)
		require.NoError(t, err)
		require.Len(t, all, 2)
	})
}
