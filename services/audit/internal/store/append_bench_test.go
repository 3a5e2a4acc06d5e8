package store_test

import (
	"fmt"
	"testing"
	"time"

	"ashlar.dev/ent/database"
	"ashlar.dev/ent/database/dbtest"
	"ashlar.dev/services/audit/ent"
	entevent "ashlar.dev/services/audit/ent/event"
)

// BenchmarkAppend compares appending to the log with what it was before there was one: a transaction that inserts events.
func BenchmarkAppend(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *database.Database{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			for _, size := range []int{1, 100, 1000} {
				b.Run(fmt.Sprintf("batch=%d/tree=no", size), func(b *testing.B) {
					db := open(b)
					migrated(b, db)
					client := ent.NewClient(ent.Driver(db.Driver()))
					index := int64(0)
					run(b, size, func(batch []*ent.Event) error {
						return database.InTx(b.Context(), db, client.Tx, func(tx *ent.Tx) error {
							if db.Dialect == "postgres" {
								if _, err := tx.ExecContext(b.Context(), "SELECT pg_advisory_xact_lock(1)"); err != nil {
									return err
								}
							}
							rows := make([]*ent.EventCreate, len(batch))
							for i, e := range batch {
								rows[i] = insert(tx.Event, e).SetLeafIndex(index)
								index++
							}
							return tx.Event.CreateBulk(rows...).OnConflictColumns(entevent.FieldEventID).DoNothing().Exec(b.Context())
						})
					})
				})
				b.Run(fmt.Sprintf("batch=%d/tree=yes", size), func(b *testing.B) {
					db := open(b)
					migrated(b, db)
					s := opened(b, db)
					run(b, size, func(batch []*ent.Event) error { return s.Append(b.Context(), batch) })
				})
			}
		})
	}
}

func run(b *testing.B, size int, appendBatch func([]*ent.Event) error) {
	b.Helper()
	n := 0
	start := time.Now()
	for b.Loop() {
		if err := appendBatch(events(n, n+size)); err != nil {
			b.Fatal(err)
		}
		n += size
	}
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), "events/s")
}

func insert(client *ent.EventClient, e *ent.Event) *ent.EventCreate {
	return client.Create().SetEventID(e.EventID).SetOccurredAt(e.OccurredAt).SetService(e.Service).SetProcedure(e.Procedure).
		SetAction(e.Action).SetActorKind(e.ActorKind).SetActorID(e.ActorID).SetSessionID(e.SessionID).SetOrganizationID(e.OrganizationID).
		SetResource(e.Resource).SetOutcome(e.Outcome).SetReason(e.Reason).SetTraceID(e.TraceID).SetAttributes(e.Attributes)
}
