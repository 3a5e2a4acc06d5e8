package store

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/sqlgraph"
	"golang.org/x/mod/sumdb/tlog"

	"ashlar.dev/ent/database"
	"ashlar.dev/kernel/sealedkey"
	"ashlar.dev/platform/auditlog"
	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/ent/event"
	"ashlar.dev/services/audit/ent/treehash"
)

// DefaultOrigin is the name of a log that was given no other.
const DefaultOrigin = "ashlar/audit"

// adoptBatch is how many events of a database from before there was a log get their hashes in one transaction.
const adoptBatch = 1000

// ErrWrongClusterKey says that the key of the log was sealed under another cluster key, or was changed.
var ErrWrongClusterKey = errors.New("the cluster key is not the one that the audit log's key was sealed with: start with that cluster key; " +
	"if it is lost, delete the row of the table tree_heads: the log gets another key, and all who verify it have to be told")

// Open begins the log where there is none, with the events that are there already, and makes sure that the one that is
// there is what was signed. Any number of instances may do so at once; one that was interrupted is gone on with. It fails
// with ErrDamaged or ErrWrongClusterKey.
func (s *Store) Open(ctx context.Context) error {
	for {
		opened, err := s.openOnce(ctx)
		if opened || err != nil {
			return err
		}
	}
}

// openOnce opens the log, or takes one more batch of old events into it.
func (s *Store) openOnce(ctx context.Context) (opened bool, err error) {
	var signer *auditlog.Signer
	var end head
	var begins bool
	err = database.InTx(ctx, s.db, s.client.Tx, func(tx *ent.Tx) error {
		signer, begins = nil, false
		row, err := s.lockHead(ctx, tx)
		switch {
		case ent.IsNotFound(err):
			begins = true
			signer, end, err = s.begin(ctx, tx)
			return err
		case err != nil:
			return err
		}
		if signer, err = s.unseal(row); err != nil {
			return err
		}
		// Nobody uses the store before it is open.
		s.signer = signer
		if end, err = s.head(ctx, tx, row.Checkpoint); err != nil {
			return err
		}
		// The order has it read the index, whatever it guesses about how many there are.
		strays, err := tx.Event.Query().Where(event.LeafIndexGTE(end.at.Size)).Order(event.ByLeafIndex()).Exist(ctx)
		if err == nil && strays {
			err = damaged("there are events after its %d events that it has not recorded", end.at.Size)
		}
		return err
	})
	if begins && sqlgraph.IsConstraintError(err) {
		// Another instance was faster: there is no row yet that they could take turns by, and what both would write has keys.
		return false, nil
	}
	if err != nil || signer == nil {
		return false, err
	}
	s.signer = signer
	s.remember(end)
	return true, nil
}

// unseal returns the signer of the log that is there.
func (s *Store) unseal(row *ent.TreeHead) (*auditlog.Signer, error) {
	if s.origin != "" && s.origin != row.Origin {
		return nil, fmt.Errorf("the audit log in this database is %s, and ASHLAR_AUDIT_ORIGIN says %s: a log keeps its name", row.Origin, s.origin)
	}
	if len(row.PublicKey) != ed25519.PublicKeySize {
		return nil, damaged("its public key has %d bytes", len(row.PublicKey))
	}
	key, err := s.sealer.Open(row.Origin, row.PublicKey, row.SealedPrivateKey)
	switch {
	case errors.Is(err, sealedkey.ErrWrongKey):
		return nil, ErrWrongClusterKey
	case err != nil:
		return nil, damaged("its key: %w", err)
	}
	return auditlog.NewSigner(row.Origin, key)
}

// begin takes a batch of events that are there already into the tree. When there are no more, it makes the key and signs:
// until then there is no log, so that events that somebody puts beside it later are never taken for old ones.
func (s *Store) begin(ctx context.Context, tx *ent.Tx) (*auditlog.Signer, head, error) {
	tree, err := unsignedTree(ctx, tx)
	if err != nil {
		return nil, head{}, err
	}
	first := tree.Size()
	rows, err := tx.Event.Query().Where(event.LeafIndexGTE(first)).Order(event.ByLeafIndex()).Limit(adoptBatch).All(ctx)
	if err != nil {
		return nil, head{}, err
	}
	var hashes []tlog.Hash
	for i, row := range rows {
		if row.LeafIndex != first+int64(i) {
			return nil, head{}, damaged("the event at place %d is missing", first+int64(i))
		}
		hashes = append(hashes, tree.Add(auditlog.LeafHash(Message(row)))...)
	}
	if err := s.writeHashes(ctx, tx, tlog.StoredHashIndex(0, first), hashes); err != nil {
		return nil, head{}, err
	}
	if len(rows) == adoptBatch {
		return nil, head{}, nil
	}
	return s.sign(ctx, tx, tree)
}

// sign makes the key of the log, and its first checkpoint.
func (s *Store) sign(ctx context.Context, tx *ent.Tx, tree auditlog.Tree) (*auditlog.Signer, head, error) {
	origin := s.origin
	if origin == "" {
		origin = DefaultOrigin
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, head{}, err
	}
	signer, err := auditlog.NewSigner(origin, private)
	if err != nil {
		return nil, head{}, err
	}
	signed, err := signer.Sign(tree.Size(), tree.Root())
	if err != nil {
		return nil, head{}, err
	}
	err = tx.TreeHead.Create().SetID(headID).SetOrigin(origin).SetCheckpoint(signed).
		SetPublicKey(public).SetSealedPrivateKey(s.sealer.Seal(origin, private)).Exec(ctx)
	return signer, head{signed, auditlog.Checkpoint{Origin: origin, Size: tree.Size(), Root: tree.Root()}, tree}, err
}

// unsignedTree returns the tree as far as it is stored.
func unsignedTree(ctx context.Context, tx *ent.Tx) (auditlog.Tree, error) {
	last, err := tx.TreeHash.Query().Order(treehash.ByID(sql.OrderDesc())).FirstID(ctx)
	if ent.IsNotFound(err) {
		return auditlog.Tree{}, nil
	}
	if err != nil {
		return auditlog.Tree{}, err
	}
	level, n := tlog.SplitStoredHashIndex(last)
	size := (n + 1) << level
	if tlog.StoredHashCount(size) != last+1 {
		return auditlog.Tree{}, damaged("the last hash of its tree is missing")
	}
	roots, err := treeReader(ctx, tx.TreeHash).ReadHashes(auditlog.Edge(size))
	if err != nil {
		return auditlog.Tree{}, err
	}
	return auditlog.NewTree(size, roots)
}
