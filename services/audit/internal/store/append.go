package store

import (
	"context"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql/sqlgraph"
	"golang.org/x/mod/sumdb/tlog"

	"ashlar.dev/ent/database"
	"ashlar.dev/platform/auditlog"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/ent/event"
	"ashlar.dev/services/audit/ent/treehead"
)

// Append adds events, all or none, in their order: each becomes the next leaf of the log, and the log's new end is signed,
// all in one transaction. An event whose id is there already is left as it is. Whoever sees an event sees all that have a
// lower sequence: so a reader that goes on where it stopped misses none. It fails with ErrDamaged where the log is not what
// was signed.
func (s *Store) Append(ctx context.Context, events []*ent.Event) error {
	batch := prepare(events)
	var after head
	err := database.InTx(ctx, s.db, s.client.Tx, func(tx *ent.Tx) error {
		after = head{}
		// Before anything else is read: this waits for its turn.
		end, err := s.lockedHead(ctx, tx)
		if err != nil {
			return err
		}
		unknown, err := withoutKnown(ctx, tx, batch)
		if err != nil || len(unknown) == 0 {
			return err
		}
		after = end
		return s.grow(ctx, tx, &after, unknown)
	})
	if err == nil && after.signed != "" {
		s.remember(after)
	}
	return err
}

// leaf is an event that is to be appended.
type leaf struct {
	event *ent.Event
	hash  tlog.Hash
}

// prepare returns the leaves of events as they will be stored, each id once.
func prepare(events []*ent.Event) []leaf {
	batch := make([]leaf, 0, len(events))
	seen := make(map[string]bool, len(events))
	for _, e := range events {
		e = stored(e)
		if seen[e.EventID] {
			continue
		}
		seen[e.EventID] = true
		batch = append(batch, leaf{e, auditlog.LeafHash(Message(e))})
	}
	return batch
}

func withoutKnown(ctx context.Context, tx *ent.Tx, batch []leaf) ([]leaf, error) {
	ids := make([]string, len(batch))
	for i, l := range batch {
		ids[i] = l.event.EventID
	}
	known, err := tx.Event.Query().Where(event.EventIDIn(ids...)).Select(event.FieldEventID).Strings(ctx)
	if err != nil || len(known) == 0 {
		return batch, err
	}
	there := make(map[string]bool, len(known))
	for _, id := range known {
		there[id] = true
	}
	var unknown []leaf
	for _, l := range batch {
		if !there[l.event.EventID] {
			unknown = append(unknown, l)
		}
	}
	return unknown, nil
}

// grow adds leaves to the log and signs its new end, which it leaves in h.
func (s *Store) grow(ctx context.Context, tx *ent.Tx, h *head, batch []leaf) error {
	first := h.tree.Size()
	rows := make([]*ent.EventCreate, len(batch))
	var hashes []tlog.Hash
	for i, l := range batch {
		rows[i] = create(tx.Event, l.event).SetLeafIndex(first + int64(i))
		hashes = append(hashes, h.tree.Add(l.hash)...)
	}
	if err := tx.Event.CreateBulk(rows...).Exec(ctx); err != nil {
		return foreign(err, first)
	}
	if err := s.writeHashes(ctx, tx, tlog.StoredHashIndex(0, first), hashes); err != nil {
		return foreign(err, first)
	}
	signed, err := s.signer.Sign(h.tree.Size(), h.tree.Root())
	if err != nil {
		return err
	}
	// Not UpdateOneID, which would read it back.
	if err := tx.TreeHead.Update().Where(treehead.ID(headID)).SetCheckpoint(signed).Exec(ctx); err != nil {
		return err
	}
	h.signed, h.at = signed, auditlog.Checkpoint{Origin: s.signer.Origin(), Size: h.tree.Size(), Root: h.tree.Root()}
	return nil
}

// foreign explains what a place is taken by that the log says is free.
func foreign(err error, size int64) error {
	if sqlgraph.IsConstraintError(err) {
		return damaged("there is something after its %d events that it has not recorded: %w", size, err)
	}
	return err
}

// stored returns an event as it is stored, the same in both dialects: its leaf is made from that.
func stored(e *ent.Event) *ent.Event {
	attributes := make(map[string]string, len(e.Attributes))
	for key, value := range e.Attributes {
		attributes[storable(key)] = storable(value)
	}
	return &ent.Event{
		EventID: storable(e.EventID),
		// What PostgreSQL keeps.
		OccurredAt: e.OccurredAt.UTC().Truncate(time.Microsecond),
		Service:    storable(e.Service), Procedure: storable(e.Procedure), Action: storable(e.Action),
		ActorKind: e.ActorKind, ActorID: storable(e.ActorID), SessionID: storable(e.SessionID),
		OrganizationID: storable(e.OrganizationID), Resource: storable(e.Resource),
		Outcome: e.Outcome, Reason: storable(e.Reason), TraceID: storable(e.TraceID), Attributes: attributes,
	}
}

func create(events *ent.EventClient, e *ent.Event) *ent.EventCreate {
	return events.Create().
		SetEventID(e.EventID).SetOccurredAt(e.OccurredAt).
		SetService(e.Service).SetProcedure(e.Procedure).SetAction(e.Action).
		SetActorKind(e.ActorKind).SetActorID(e.ActorID).SetSessionID(e.SessionID).
		SetOrganizationID(e.OrganizationID).SetResource(e.Resource).
		SetOutcome(e.Outcome).SetReason(e.Reason).SetTraceID(e.TraceID).SetAttributes(e.Attributes)
}

// storable returns s without what a database cannot hold: NUL, which PostgreSQL's text has no place for, and what is no
// UTF-8. One such event, made by whoever sends a strange request, would hold up all that come after it in the outbox.
func storable(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}
