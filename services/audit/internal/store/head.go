package store

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"
	"golang.org/x/mod/sumdb/tlog"

	"ashlar.dev/platform/auditlog"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/ent/treehead"
)

// headID is the id of the one row of tree_heads.
const headID = "log"

// ErrDamaged says that the log in the database is not what was signed: somebody has changed the database behind the
// service's back, or has set it back to an earlier state.
var ErrDamaged = errors.New("the audit log in the database is not what this service signed: " +
	"keep a copy of the database, find out who changed it, and restore a backup (docs/audit.md)")

// errNoHead says that a log that was begun has no end.
var errNoHead = damaged("its newest checkpoint is gone")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}

// head is the end of the log: the newest checkpoint, and the tree that it is about. The zero value knows of nothing.
type head struct {
	signed string
	at     auditlog.Checkpoint
	tree   auditlog.Tree
}

// Checkpoint returns the newest checkpoint, signed, and what it says.
func (s *Store) Checkpoint(ctx context.Context) (string, auditlog.Checkpoint, error) {
	signed, err := readHead(ctx, s.client.TreeHead)
	if err != nil {
		return "", auditlog.Checkpoint{}, err
	}
	if known := s.known(); known.signed == signed {
		return signed, known.at, nil
	}
	at, err := s.signer.Open(signed)
	if err != nil {
		return "", auditlog.Checkpoint{}, damaged("%w", err)
	}
	return signed, at, nil
}

func readHead(ctx context.Context, heads *ent.TreeHeadClient) (string, error) {
	row, err := heads.Get(ctx, headID)
	if ent.IsNotFound(err) {
		return "", errNoHead
	}
	if err != nil {
		return "", err
	}
	return row.Checkpoint, nil
}

// lockHead returns the row of the log's end, and takes the right to add leaves until the transaction ends. Sequences are
// given out when a row is written, and seen when it is committed: one append at a time keeps the two in the same order, and
// the tree grows at one end. On SQLite it is so anyway.
func (s *Store) lockHead(ctx context.Context, tx *ent.Tx) (*ent.TreeHead, error) {
	query := tx.TreeHead.Query().Where(treehead.ID(headID))
	if s.db.Dialect == dialect.Postgres {
		query.ForUpdate()
	}
	return query.Only(ctx)
}

// lockedHead is lockHead for a log that was begun; see head.
func (s *Store) lockedHead(ctx context.Context, tx *ent.Tx) (head, error) {
	row, err := s.lockHead(ctx, tx)
	if ent.IsNotFound(err) {
		return head{}, errNoHead
	}
	if err != nil {
		return head{}, err
	}
	return s.head(ctx, tx, row.Checkpoint)
}

// head returns the end of the log that a checkpoint says, after it made sure that it is what was signed, and that the log
// begins with all that this instance has seen of it. So nobody who can write the database, and has not the key, gets a
// signature to a log that he changed.
func (s *Store) head(ctx context.Context, tx *ent.Tx, signed string) (head, error) {
	known := s.known()
	if known.signed == signed {
		return head{signed, known.at, known.tree.Clone()}, nil
	}
	at, err := s.signer.Open(signed)
	if err != nil {
		return head{}, damaged("%w", err)
	}
	if at.Size < known.at.Size {
		return head{}, damaged("it has %d events, and had %d", at.Size, known.at.Size)
	}
	read := treeReader(ctx, tx.TreeHash)
	roots, err := read.ReadHashes(auditlog.Edge(at.Size))
	if err != nil {
		return head{}, err
	}
	tree, err := auditlog.NewTree(at.Size, roots)
	if err != nil {
		return head{}, err
	}
	if tree.Root() != at.Root {
		return head{}, damaged("the hashes of its %d events are not those that were signed", at.Size)
	}
	if known.at.Size > 0 {
		proof, err := tlog.ProveTree(at.Size, known.at.Size, read)
		if err != nil {
			return head{}, err
		}
		if tlog.CheckTree(proof, at.Size, at.Root, known.at.Size, known.at.Root) != nil {
			return head{}, damaged("it does not begin with the %d events that it had before", known.at.Size)
		}
	}
	return head{signed, at, tree}, nil
}

func (s *Store) known() head {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest
}

// remember notes the end of the log, after it was committed, and wakes those who wait for it to grow.
func (s *Store) remember(h head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest.signed != "" && h.at.Size <= s.newest.at.Size {
		return
	}
	s.newest = h
	s.wake()
}
