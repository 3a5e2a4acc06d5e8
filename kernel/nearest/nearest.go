// Package nearest finds what somebody who mistyped a word probably meant.
package nearest

import (
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// maxLength bounds the words that are compared, in characters: the work grows with the square of it.
const maxLength = 256

// To returns the candidate that is nearest to a word, by Levenshtein distance without regard to case, and "" where none
// is so near that it can have been meant: more than about a third of the word would have to change. Of candidates that
// are equally near it is the first.
func To(word string, candidates ...string) string {
	length := utf8.RuneCountInString(word)
	if length == 0 || length > maxLength {
		return ""
	}
	nearest, least := "", (length+2)/3+1
	folded := strings.ToLower(word)
	for _, candidate := range candidates {
		// Each character that one has more than the other is a step at least.
		if difference := utf8.RuneCountInString(candidate) - length; difference >= least || -difference >= least {
			continue
		}
		if distance := levenshtein.ComputeDistance(folded, strings.ToLower(candidate)); distance < least {
			nearest, least = candidate, distance
		}
	}
	return nearest
}
