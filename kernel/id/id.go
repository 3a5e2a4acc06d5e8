// Package id makes the typed ids of resources: a prefix that tells the kind, an underscore, and a UUIDv7 (RFC 9562,
// section 5.7) in Crockford's base32, lower case. Ids made later sort after ids made earlier.
package id

import (
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// encoding keeps the order of the bytes, because its alphabet is sorted.
var encoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// suffixLen is how many characters 16 bytes take.
const suffixLen = 26

// Kind is the prefix of one kind of resource, such as "usr".
type Kind string

// The kinds that more than one service knows.
const (
	User         Kind = "usr"
	Organization Kind = "org"
	Session      Kind = "ses"
	Event        Kind = "evt"
	Grant        Kind = "grn"
)

// New returns a new id of the kind. It is safe for concurrent use, and panics where the system has no randomness.
func New(kind Kind) string {
	u := uuid.Must(uuid.NewV7())
	return string(kind) + "_" + encoding.EncodeToString(u[:])
}

// Check tells whether s is an id of the kind.
func Check(kind Kind, s string) error {
	suffix, ok := strings.CutPrefix(s, string(kind)+"_")
	if !ok || len(suffix) != suffixLen {
		return fmt.Errorf("not an id of the form %s_…", kind)
	}
	if _, err := encoding.DecodeString(suffix); err != nil {
		return fmt.Errorf("not an id of the form %s_…", kind)
	}
	return nil
}
