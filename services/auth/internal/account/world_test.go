package account_test

import (
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/migrate"
	"ashlar.dev/ent/outbox"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/service"
	"ashlar.dev/platform/trail"
	"ashlar.dev/services/auth/internal/account"
	"ashlar.dev/services/auth/internal/password"
	"ashlar.dev/services/auth/internal/peertest"
	"ashlar.dev/services/auth/internal/store"
	"ashlar.dev/services/auth/migrations"
)

var cheap = password.Params{Memory: 64, Passes: 1, Threads: 1}

// world is auth's accounts on one database, beside an identity and an authz.
type world struct {
	*account.Desk

	people  *account.People
	clients *rpc.Clients
	store   *store.Store
	db      *database.Database
	sweeper *account.Sweeper
	peers   *peertest.Peers

	mu  sync.Mutex
	now time.Time
}

func each(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		log := slog.New(slog.DiscardHandler)
		require.NoError(t, migrate.Apply(t.Context(), db, migrations.FS, log))
		env := service.NewLocalEnvironment(workload.NewClusterKey())
		w := &world{db: db, now: time.Now(), peers: peertest.Join(t, env)}
		w.store = store.New(db, trail.New("auth", outbox.New(db, log, nil), db.DB, log, prometheus.NewRegistry()), w.clock)
		telemetry, err := telemetry.New(t.Context(), telemetry.Config{}, telemetry.Process{Service: "auth"}, io.Discard)
		require.NoError(t, err)
		t.Cleanup(func() { _ = telemetry.Shutdown(t.Context()) })
		w.clients, err = env.Clients("auth", telemetry)
		require.NoError(t, err)
		w.people = account.NewPeople(w.clients)
		w.Desk = account.NewDesk(w.people, w.store, password.NewHasher(cheap), log)
		w.sweeper = account.NewSweeper(w.people, w.store, log)
		test(t, w)
	})
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

const (
	ada    = "ada@example.com"
	first  = "the first password of hers"
	second = "the second password of hers"
)

func applicant(secret string) account.Applicant {
	return account.Applicant{Email: ada, Password: secret, DisplayName: "Ada"}
}

// pending returns the users whose sign-up is pending.
func (w *world) pending(t *testing.T) []string {
	t.Helper()
	found, err := w.store.PendingSince(t.Context(), -time.Minute, 100)
	require.NoError(t, err)
	return found
}

// signsIn tells whether a password is a user's.
func (w *world) signsIn(t *testing.T, userID, secret string) bool {
	t.Helper()
	right, err := w.Check(t.Context(), userID, secret)
	require.NoError(t, err)
	return right
}
