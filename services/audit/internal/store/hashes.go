package store

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/ent/treehash"
)

// hashesPerQuery bounds the parameters of one statement: two for each hash, and SQLite takes 32,766.
const hashesPerQuery = 1000

// treeReader reads hashes of the tree. It fails with ErrDamaged where one is missing.
func treeReader(ctx context.Context, hashes *ent.TreeHashClient) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found, err := readHashes(ctx, hashes, indexes)
		if err != nil {
			return nil, err
		}
		return found.ReadHashes(indexes)
	})
}

// heldHashes are hashes in memory, by where they are stored.
type heldHashes map[int64]tlog.Hash

// ReadHashes implements tlog.HashReader.
func (h heldHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hash, ok := h[index]
		if !ok {
			return nil, damaged("hash %d of its tree is missing", index)
		}
		out[i] = hash
	}
	return out, nil
}

func readHashes(ctx context.Context, hashes *ent.TreeHashClient, indexes []int64) (heldHashes, error) {
	found := make(heldHashes, len(indexes))
	for len(indexes) > 0 {
		n := min(len(indexes), hashesPerQuery)
		rows, err := hashes.Query().Where(treehash.IDIn(indexes[:n]...)).All(ctx)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if len(row.Hash) != tlog.HashSize {
				return nil, damaged("hash %d of its tree has %d bytes", row.ID, len(row.Hash))
			}
			found[row.ID] = tlog.Hash(row.Hash)
		}
		indexes = indexes[n:]
	}
	return found, nil
}

// writeHashes stores hashes, one after the other from an index on.
func writeHashes(ctx context.Context, hashes *ent.TreeHashClient, first int64, all []tlog.Hash) error {
	for len(all) > 0 {
		n := min(len(all), hashesPerQuery)
		rows := make([]*ent.TreeHashCreate, n)
		for i, hash := range all[:n] {
			rows[i] = hashes.Create().SetID(first + int64(i)).SetHash(hash[:])
		}
		if err := hashes.CreateBulk(rows...).Exec(ctx); err != nil {
			return err
		}
		first, all = first+int64(n), all[n:]
	}
	return nil
}
