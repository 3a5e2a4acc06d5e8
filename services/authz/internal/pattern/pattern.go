// Package pattern matches permissions with the patterns that roles hold: `*`, `module.*`, `module.resource.*`, or one
// permission.
package pattern

import "strings"

// Covers tells whether a pattern permits all that another pattern, or a permission, permits.
func Covers(pattern, other string) bool {
	if pattern == "*" || pattern == other {
		return true
	}
	prefix, wild := strings.CutSuffix(pattern, "*")
	// The prefix ends in a dot, so that notes.* does not cover notesarchive.x.y.
	return wild && strings.HasSuffix(prefix, ".") && len(other) > len(prefix) && strings.HasPrefix(other, prefix)
}

// AnyCovers tells whether one of the patterns covers another.
func AnyCovers(patterns []string, other string) bool {
	for _, pattern := range patterns {
		if Covers(pattern, other) {
			return true
		}
	}
	return false
}

// FirstUncovered returns the first of others that no pattern covers.
func FirstUncovered(patterns, others []string) (string, bool) {
	for _, other := range others {
		if !AnyCovers(patterns, other) {
			return other, true
		}
	}
	return "", false
}
