package auditlog

import (
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Tree is the right edge of a growing Merkle tree: the roots of its largest complete subtrees, of which a tree of n leaves
// has as many as n has ones in binary. That is all that is needed to add leaves and to know the root. The zero value is
// the empty tree. It is not safe for concurrent use; a copy by Clone is a tree of its own.
type Tree struct {
	size int64
	// roots are those of the complete subtrees, the leftmost and largest first.
	roots []tlog.Hash
}

// Edge returns where the roots of the complete subtrees of a tree of this size are stored (tlog.StoredHashIndex), in the
// order that NewTree takes them.
func Edge(size int64) []int64 {
	indexes := []int64{}
	for start := int64(0); start < size; {
		level := bits.Len64(uint64(size-start)) - 1
		indexes = append(indexes, tlog.StoredHashIndex(level, start>>level))
		start += 1 << level
	}
	return indexes
}

// NewTree returns the tree of this size whose complete subtrees have these roots: those that are stored at Edge(size).
func NewTree(size int64, roots []tlog.Hash) (Tree, error) {
	if size < 0 || bits.OnesCount64(uint64(size)) != len(roots) {
		return Tree{}, fmt.Errorf("%d hashes are not the edge of a tree of %d leaves", len(roots), size)
	}
	return Tree{size, slices.Clone(roots)}, nil
}

// Clone returns a tree that grows apart from this one.
func (t *Tree) Clone() Tree { return Tree{t.size, slices.Clone(t.roots)} }

// Size returns the number of leaves.
func (t *Tree) Size() int64 { return t.size }

// Add adds a leaf and returns the hashes that it makes complete: its own and those of the subtrees that end with it. They
// are to be stored one after the other, from tlog.StoredHashIndex(0, index of the leaf) on.
func (t *Tree) Add(leaf tlog.Hash) []tlog.Hash {
	made := []tlog.Hash{leaf}
	for complete := t.size; complete&1 == 1; complete >>= 1 {
		left := t.roots[len(t.roots)-1]
		t.roots = t.roots[:len(t.roots)-1]
		made = append(made, tlog.NodeHash(left, made[len(made)-1]))
	}
	t.roots = append(t.roots, made[len(made)-1])
	t.size++
	return made
}

// Root returns the root hash; that of the empty tree is SHA-256 of nothing (RFC 6962, section 2.1).
func (t *Tree) Root() tlog.Hash {
	if len(t.roots) == 0 {
		return emptyRoot
	}
	root := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		root = tlog.NodeHash(t.roots[i], root)
	}
	return root
}
