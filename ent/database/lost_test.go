package database_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/ent/internal/example/ent"
)

// The connection is cut at some point of a transaction.
func TestInTxLosesItsConnection(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cut  cut
		runs int
		// unknown is whether it cannot be told what became of it, done what did.
		unknown, done bool
	}{
		"at its beginning":           {cut: cut{at: "begin", times: 1}, runs: 1, done: true},
		"before its work":            {cut: cut{at: "INSERT", times: 1}, runs: 2, done: true},
		"after its work":             {cut: cut{at: "INSERT", times: 1, after: true}, runs: 2, done: true},
		"as often as it is tried":    {cut: cut{at: "INSERT", times: 100}, runs: 5},
		"before COMMIT was received": {cut: cut{at: "commit", times: 100}, runs: 1, unknown: true},
		"after COMMIT was received":  {cut: cut{at: "commit", times: 100, after: true}, runs: 1, unknown: true, done: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := dbtest.PostgresURL(t)
			client := notes(t, dbtest.Open(t, direct))
			p, address := throughProxy(t, direct)
			db := dbtest.Open(t, address)
			behind := ent.NewClient(ent.Driver(db.Driver()))
			woken := 0
			db.AfterCommit(func() { woken++ })
			p.cutAt(test.cut)

			runs := 0
			err := database.InTx(t.Context(), db, behind.Tx, func(tx *ent.Tx) error {
				runs++
				return tx.Note.Create().SetID("note_1").SetTitle("one").Exec(t.Context())
			})
			assert.Equal(t, test.runs, runs)
			assert.Equal(t, test.unknown, database.IsOutcomeUnknown(err), "%v", err)
			if test.unknown || !test.done {
				require.True(t, database.IsUnavailable(err), "%v", err)
			} else {
				require.NoError(t, err)
			}
			done, err := client.Note.Query().Exist(t.Context())
			require.NoError(t, err)
			assert.Equal(t, test.done, done)
			// Who delivers events looks where there may be some.
			if test.unknown || test.done {
				assert.Equal(t, 1, woken)
			} else {
				assert.Zero(t, woken)
			}

			// The pool is good again.
			p.cutAt(cut{})
			require.NoError(t, database.InTx(t.Context(), db, behind.Tx, func(tx *ent.Tx) error {
				return tx.Note.Create().SetID("note_2").SetTitle("two").Exec(t.Context())
			}))
		})
	}
}

// A caller leaves, and the server does not answer when the transaction is rolled back: its connection goes, within a bound.
func TestARollbackThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	p, address := throughProxy(t, dbtest.PostgresURL(t))
	db := dbtest.Open(t, address+"&pool_max_conns=1")
	p.cutAt(cut{at: "rollback", times: 1, stalls: true})
	ctx, leave := context.WithCancel(t.Context())
	tx, err := db.DB.BeginTx(ctx, nil)
	require.NoError(t, err)
	leave()
	var n int
	require.NoError(t, db.DB.QueryRowContext(t.Context(), "SELECT 1").Scan(&n), "there is one connection, which is another one now")
	require.Error(t, tx.Rollback())
	require.Equal(t, 1, db.DB.Stats().OpenConnections)
}
