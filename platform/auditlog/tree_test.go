package auditlog_test

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"ashlar.dev/platform/auditlog"
)

// The tree is the library's, hash by hash, whether it grows in one go or is taken up again at any size.
func TestATreeIsTheLibrarys(t *testing.T) {
	t.Parallel()
	const most = 300
	var want library
	var grown auditlog.Tree
	require.Equal(t, tlog.Hash(sha256.Sum256(nil)), grown.Root())
	for n := range int64(most) {
		roots, err := want.ReadHashes(auditlog.Edge(n))
		require.NoError(t, err)
		resumed, err := auditlog.NewTree(n, roots)
		require.NoError(t, err)
		require.Equal(t, grown.Root(), resumed.Root())

		leaf := tlog.RecordHash(binary.BigEndian.AppendUint64(nil, uint64(n)))
		stored := want.add(n, leaf)
		other := grown.Clone()
		require.Equal(t, stored, grown.Add(leaf))
		require.Equal(t, stored, resumed.Add(leaf))
		require.Equal(t, n, other.Size(), "a clone does not grow with it")
		root, err := tlog.TreeHash(n+1, &want)
		require.NoError(t, err)
		require.Equal(t, root, grown.Root())
		require.Equal(t, n+1, grown.Size())
	}
}

func TestAnEdgeHasAsManyHashesAsItsSizeHasOnes(t *testing.T) {
	t.Parallel()
	require.Empty(t, auditlog.Edge(0))
	require.Equal(t, []int64{tlog.StoredHashIndex(62, 0)}, auditlog.Edge(1<<62))
	for size, hashes := range map[int64]int{-1: 0, 1: 0, 2: 2, 3: 1} {
		_, err := auditlog.NewTree(size, make([]tlog.Hash, hashes))
		require.Error(t, err, "%d hashes of %d leaves", hashes, size)
	}
}
