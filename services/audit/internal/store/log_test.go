package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/auditlog"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/internal/store"
)

// checkpoint returns the newest one, as whoever has the log's key reads it.
func checkpoint(t *testing.T, s *store.Store) auditlog.Checkpoint {
	t.Helper()
	signed, at, err := s.Checkpoint(t.Context())
	require.NoError(t, err)
	opened, err := auditlog.OpenCheckpoint(signed, s.VerifierKey())
	require.NoError(t, err)
	require.Equal(t, opened, at)
	return opened
}

// verify does what an outsider does who may read everything.
func verify(t *testing.T, s *store.Store, seen ...auditlog.Checkpoint) error {
	t.Helper()
	signed, _, err := s.Checkpoint(t.Context())
	require.NoError(t, err)
	now, err := auditlog.OpenCheckpoint(signed, s.VerifierKey())
	require.NoError(t, err)
	v, err := auditlog.NewVerifier(now, seen...)
	if err != nil {
		return err
	}
	for after := int64(0); !v.Complete(); {
		rows, err := s.EventsAfter(t.Context(), store.Filter{}, after, 0, 7)
		require.NoError(t, err)
		if len(rows) == 0 {
			break
		}
		for _, row := range rows {
			after = row.ID
			if v.Complete() {
				break
			}
			if err := v.Add(store.Message(row)); err != nil {
				return err
			}
		}
	}
	return v.Finish()
}

// The log is of the events as they are read, and the same in both dialects.
func TestTheLogIsOfTheEvents(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		empty := checkpoint(t, s)
		require.Zero(t, empty.Size)
		require.NoError(t, verify(t, s))

		strange := event(0, func(e *ent.Event) {
			e.OccurredAt = time.Date(1, 1, 1, 0, 0, 0, 123_456_789, time.FixedZone("east", 0))
			e.Attributes = map[string]string{"": "", "b\x00": "\"<&>\u2028", "a": "𝄞\n", "broken": "\xff"}
		})
		var seen []auditlog.Checkpoint
		require.NoError(t, s.Append(t.Context(), []*ent.Event{strange}))
		for i, batch := range [][]*ent.Event{events(1, 2), events(1, 5), events(3, 4), events(4, 40), events(0, 200)} {
			require.NoError(t, s.Append(t.Context(), batch), "%d", i)
			seen = append(seen, checkpoint(t, s))
			require.NoError(t, verify(t, s, seen...))
		}
		require.Equal(t, int64(200), seen[4].Size)
		require.Equal(t, seen[1], seen[2], "where nothing is new, nothing is signed")
		require.Equal(t, "4ld3VOzi1HbtBuEqzo2rV5a+XKsdWzCtFbdHMDjRVtA=", seen[4].Root.String())
	})
}

func TestProofs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *store.Store) {
		var points []auditlog.Checkpoint
		for i := range 20 {
			require.NoError(t, s.Append(t.Context(), events(i*3, i*3+3)))
			points = append(points, checkpoint(t, s))
		}
		rows, err := s.EventsAfter(t.Context(), store.Filter{}, 0, 0, 100)
		require.NoError(t, err)
		for i, now := range points {
			indexes := make([]int64, now.Size)
			for j := range indexes {
				indexes[j] = int64(j)
			}
			proofs, err := s.ProveInclusion(t.Context(), now.Size, indexes)
			require.NoError(t, err)
			for j, proof := range proofs {
				require.NoError(t, auditlog.CheckInclusion(now, store.Message(rows[j]), proofMessage(proof)))
			}
			for _, old := range points[:i+1] {
				proof, err := s.ProveConsistency(t.Context(), now.Size, old.Size)
				require.NoError(t, err)
				require.NoError(t, auditlog.CheckConsistency(now, old, proofMessage(proof).GetHashes()))
			}
		}
		proof, err := s.ProveConsistency(t.Context(), 60, 0)
		require.NoError(t, err)
		require.Empty(t, proof)
	})
}

// Ten instances open an empty database and append at the same time: one log comes of it.
func TestManyInstancesMakeOneLog(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		migrated(t, dbtest.Open(t, url))
		var working sync.WaitGroup
		stores := make([]*store.Store, 10)
		for i := range stores {
			stores[i] = instance(t, dbtest.Open(t, url))
			working.Go(func() {
				if err := stores[i].Open(t.Context()); err != nil {
					t.Error(err)
					return
				}
				for j := range 10 {
					// Each is delivered by two instances.
					if err := stores[i].Append(t.Context(), events(1000*(i/2)+3*j, 1000*(i/2)+3*j+3)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		working.Wait()
		require.Equal(t, int64(150), checkpoint(t, stores[0]).Size)
		for _, s := range stores {
			require.Equal(t, stores[0].VerifierKey(), s.VerifierKey())
			require.NoError(t, verify(t, s))
		}
	})
}

// Whoever changes the database behind the service's back is found out by whoever verifies; and the service signs nothing
// more where it can tell itself.
func TestTampering(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		statements []string
		says       string // by a verifier who has seen the log before
		appends    bool   // this instance goes on
		opens      bool   // another one starts
	}{
		"an event is edited": {
			[]string{"UPDATE events SET actor_id = 'usr_bob' WHERE leaf_index = 3"}, "are not those that were", true, true,
		},
		"an attribute is edited": {
			[]string{`UPDATE events SET attributes = '{"title":"two"}' WHERE leaf_index = 3`}, "are not those that were", true, true,
		},
		"the last events are deleted": {
			[]string{"DELETE FROM events WHERE leaf_index >= 8"}, "the events at places 8 to 9 are missing at its end", true, true,
		},
		"one is deleted": {
			[]string{"DELETE FROM events WHERE leaf_index = 4"}, "the event at place 4 is missing", true, true,
		},
		"one is deleted and the others move up": {
			[]string{
				"DELETE FROM events WHERE leaf_index = 4", "UPDATE events SET leaf_index = -leaf_index WHERE leaf_index > 4",
				"UPDATE events SET leaf_index = -leaf_index - 1 WHERE leaf_index < 0",
			}, "are not those that were seen before", true, true,
		},
		"two change places": {
			[]string{
				"UPDATE events SET leaf_index = -1 WHERE leaf_index = 4", "UPDATE events SET leaf_index = 4 WHERE leaf_index = 5",
				"UPDATE events SET leaf_index = 5 WHERE leaf_index = -1",
			}, "the event at place 4 is missing", true, true,
		},
		"two change their contents": {
			[]string{
				"UPDATE events SET actor_id = 'usr_bob' WHERE leaf_index = 4", "UPDATE events SET event_id = 'evt_x' WHERE leaf_index = 4",
				"UPDATE events SET event_id = 'evt_0004' WHERE leaf_index = 5", "UPDATE events SET event_id = 'evt_0005' WHERE leaf_index = 4",
			}, "are not those that were seen before", true, true,
		},
		"one is put at the end": {
			[]string{copyOfEvent(3, "evt_forged", 10)}, "", false, false,
		},
		"a hash of the tree is changed": {
			[]string{"UPDATE tree_hashes SET hash = (SELECT hash FROM tree_hashes WHERE id = 1) WHERE id = 14"}, "", true, false,
		},
		"a hash of the tree is deleted": {
			[]string{"DELETE FROM tree_hashes WHERE id = 14"}, "", true, false,
		},
		"the checkpoint is changed": {
			[]string{"UPDATE tree_heads SET checkpoint = REPLACE(checkpoint, '10', '11')"}, "signature", false, false,
		},
		"the checkpoint is deleted": {
			[]string{"DELETE FROM tree_heads"}, "gone", false, true, // as a new log with another key
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
				db := dbtest.Open(t, url)
				migrated(t, db)
				s := opened(t, db)
				require.NoError(t, s.Append(t.Context(), events(0, 6)))
				seen := []auditlog.Checkpoint{checkpoint(t, s)}
				require.NoError(t, s.Append(t.Context(), events(6, 10)))
				seen = append(seen, checkpoint(t, s))
				require.NoError(t, verify(t, s, seen...))

				for _, statement := range test.statements {
					result, err := db.DB.ExecContext(t.Context(), statement)
					require.NoError(t, err)
					n, err := result.RowsAffected()
					require.NoError(t, err)
					require.Positive(t, n, statement)
				}

				if _, _, err := s.Checkpoint(t.Context()); err != nil {
					require.ErrorIs(t, err, store.ErrDamaged)
					require.ErrorContains(t, err, test.says)
				} else if err := verify(t, s, seen...); test.says == "" {
					require.NoError(t, err, "no event that was signed is changed")
				} else {
					require.ErrorIs(t, err, auditlog.ErrTampered)
					require.ErrorContains(t, err, test.says)
				}
				outcome(t, test.opens, instance(t, dbtest.Open(t, url)).Open(t.Context()))
				if name != "the checkpoint is deleted" {
					outcome(t, test.appends, s.Append(t.Context(), events(50, 52)))
				}
			})
		})
	}
}

func outcome(t *testing.T, ok bool, err error) {
	t.Helper()
	if ok {
		require.NoError(t, err)
	} else {
		require.ErrorIs(t, err, store.ErrDamaged)
	}
}

// copyOfEvent inserts an event by hand.
func copyOfEvent(from int, id string, to int) string {
	return fmt.Sprintf(`INSERT INTO events (event_id, occurred_at, service, procedure, action, actor_kind, actor_id, session_id, organization_id,
		resource, outcome, reason, trace_id, attributes, leaf_index) SELECT '%s', occurred_at, service, procedure, action, actor_kind, 'usr_mallory',
		session_id, organization_id, resource, outcome, reason, trace_id, attributes, %d FROM events WHERE leaf_index = %d`, id, to, from)
}

// A database that is set back to an earlier state has an older checkpoint with a good signature. Whoever has seen the newer
// one finds out: verifiers, and an instance that was running. What it signs on top of the older one does not help.
func TestSettingBack(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		db := dbtest.Open(t, url)
		migrated(t, db)
		s := opened(t, db)
		require.NoError(t, s.Append(t.Context(), events(0, 6)))
		old, _, err := s.Checkpoint(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.Append(t.Context(), events(6, 10)))
		seen := checkpoint(t, s)

		for _, statement := range []string{
			"DELETE FROM events WHERE leaf_index >= 6", "DELETE FROM tree_hashes WHERE id >= 10",
			"UPDATE tree_heads SET checkpoint = '" + old + "'",
		} {
			_, err := db.DB.ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
		err = verify(t, s, seen)
		require.ErrorIs(t, err, auditlog.ErrTampered)
		require.ErrorContains(t, err, "it has 6 events, and had 10")
		err = s.Append(t.Context(), events(20, 21))
		require.ErrorIs(t, err, store.ErrDamaged)
		require.ErrorContains(t, err, "it has 6 events, and had 10")

		fresh := opened(t, dbtest.Open(t, url))
		require.NoError(t, fresh.Append(t.Context(), events(20, 30)), "it cannot know")
		require.NoError(t, verify(t, fresh))
		require.ErrorIs(t, verify(t, fresh, seen), auditlog.ErrTampered)
		err = s.Append(t.Context(), events(40, 41))
		require.ErrorIs(t, err, store.ErrDamaged)
		require.ErrorContains(t, err, "it does not begin with the 10 events that it had before")
	})
}

func TestWhoMayOpen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.Database) {
		migrated(t, db)
		defer lostKey(t, db)
		unnamed, err := store.New(db, store.Config{SealKey: sealKey})
		require.NoError(t, err)
		require.NoError(t, unnamed.Open(t.Context()))
		require.Equal(t, store.DefaultOrigin, checkpoint(t, unnamed).Origin)

		require.ErrorContains(t, instance(t, db).Open(t.Context()), "a log keeps its name")
		stranger, err := store.New(db, store.Config{SealKey: workload.NewClusterKey().Derive("test")})
		require.NoError(t, err)
		require.ErrorIs(t, stranger.Open(t.Context()), store.ErrWrongClusterKey)
		_, err = store.New(db, store.Config{SealKey: sealKey, Origin: "two words"})
		require.ErrorContains(t, err, "it may have no spaces")
		_, err = store.New(db, store.Config{SealKey: sealKey[:5]})
		require.Error(t, err)

		again, err := store.New(db, store.Config{SealKey: sealKey, Origin: store.DefaultOrigin})
		require.NoError(t, err)
		require.NoError(t, again.Open(t.Context()))
		require.Equal(t, unnamed.VerifierKey(), again.VerifierKey())
		var sealed []byte
		require.NoError(t, db.DB.QueryRowContext(t.Context(), "SELECT sealed_private_key FROM tree_heads").Scan(&sealed))
		require.Len(t, sealed, 12+32+16, "nonce, seed and tag")
	})
}

// Who waits for the log to grow is woken by what its own instance appends, and by what another one does.
func TestGrowth(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url config.Secret) {
		migrated(t, dbtest.Open(t, url))
		one, two := opened(t, dbtest.Open(t, url)), opened(t, dbtest.Open(t, url))
		watcher := store.NewWatcher(two, discard())
		require.NoError(t, watcher.Start(t.Context()))
		defer func() { require.NoError(t, watcher.Stop(context.Background())) }()
		ours, theirs := one.Grown(), two.Grown()
		require.NoError(t, one.Append(t.Context(), events(0, 1)))
		for _, grown := range []<-chan struct{}{ours, theirs} {
			select {
			case <-grown:
			case <-time.After(time.Minute):
				t.Fatal(errors.New("not woken"))
			}
		}
	})
}

// Where the cluster key is lost the log gets another key, and is the same log.
func lostKey(t *testing.T, db *database.Database) {
	t.Helper()
	old, err := store.New(db, store.Config{SealKey: sealKey})
	require.NoError(t, err)
	require.NoError(t, old.Open(t.Context()))
	require.NoError(t, old.Append(t.Context(), events(0, 5)))
	before := checkpoint(t, old)
	_, err = db.DB.ExecContext(t.Context(), "DELETE FROM tree_heads")
	require.NoError(t, err)

	fresh, err := store.New(db, store.Config{SealKey: workload.NewClusterKey().Derive("test")})
	require.NoError(t, err)
	require.NoError(t, fresh.Open(t.Context()))
	require.NotEqual(t, old.VerifierKey(), fresh.VerifierKey())
	require.Equal(t, before, checkpoint(t, fresh))
	require.NoError(t, fresh.Append(t.Context(), events(5, 9)))
	require.NoError(t, verify(t, fresh, before))
}
