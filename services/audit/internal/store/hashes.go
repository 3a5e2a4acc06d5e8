package store

import (
	"context"

	"entgo.io/ent/dialect"
	"golang.org/x/mod/sumdb/tlog"

	"ashlar.dev/services/audit/ent"
	"ashlar.dev/services/audit/ent/treehash"
)

// hashesPerQuery bounds the parameters of one statement.
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

// insertHashes are the statements that insert any number of hashes at once: the first index, and the hashes. Ent would make
// another statement for each number of rows, which PostgreSQL would have to plan each time.
var insertHashes = map[string]string{
	// The hashes are an array.
	dialect.Postgres: `INSERT INTO tree_hashes (id, hash) SELECT $1::bigint + place - 1, hash FROM unnest($2::bytea[]) WITH ORDINALITY AS made (hash, place)`,
	// The hashes are one after the other.
	dialect.SQLite: `WITH RECURSIVE made (place) AS (SELECT 0 UNION ALL SELECT place + 1 FROM made WHERE (place + 2) * 32 <= length($2))
		INSERT INTO tree_hashes (id, hash) SELECT $1 + place, substr($2, place * 32 + 1, 32) FROM made`,
}

// writeHashes stores hashes, one after the other from an index on.
func (s *Store) writeHashes(ctx context.Context, tx *ent.Tx, first int64, made []tlog.Hash) error {
	if len(made) == 0 {
		return nil
	}
	var hashes any
	if s.db.Dialect == dialect.Postgres {
		array := make([][]byte, len(made))
		for i := range made {
			array[i] = made[i][:]
		}
		hashes = array
	} else {
		joined := make([]byte, 0, len(made)*tlog.HashSize)
		for _, hash := range made {
			joined = append(joined, hash[:]...)
		}
		hashes = joined
	}
	_, err := tx.ExecContext(ctx, insertHashes[s.db.Dialect], first, hashes)
	return err
}
