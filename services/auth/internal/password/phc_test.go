package password

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reference is a vector of the reference implementation's own tests, for the password "password".
const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestParseRefusesWhatItDidNotWrite(t *testing.T) {
	const salt, tag = "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for name, encoded := range map[string]string{
		"empty":              "",
		"plain text":         "password",
		"argon2i":            "$argon2i$v=19$m=65536,t=2,p=1$" + salt + "$" + tag,
		"bcrypt":             "$2b$12$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuabcdefghijklm",
		"version 16":         "$argon2id$v=16$m=65536,t=2,p=1$" + salt + "$" + tag,
		"no version":         "$argon2id$m=65536,t=2,p=1$" + salt + "$" + tag,
		"memory zero":        "$argon2id$v=19$m=0,t=2,p=1$" + salt + "$" + tag,
		"memory too much":    "$argon2id$v=19$m=262145,t=2,p=1$" + salt + "$" + tag,
		"memory for threads": "$argon2id$v=19$m=15,t=2,p=2$" + salt + "$" + tag,
		"memory overflow":    "$argon2id$v=19$m=4294967296,t=2,p=1$" + salt + "$" + tag,
		"no passes":          "$argon2id$v=19$m=65536,t=0,p=1$" + salt + "$" + tag,
		"too many passes":    "$argon2id$v=19$m=65536,t=17,p=1$" + salt + "$" + tag,
		"too many threads":   "$argon2id$v=19$m=65536,t=2,p=17$" + salt + "$" + tag,
		"other order":        "$argon2id$v=19$t=2,m=65536,p=1$" + salt + "$" + tag,
		"a fourth":           "$argon2id$v=19$m=65536,t=2,p=1,keyid=AAAA$" + salt + "$" + tag,
		"leading zero":       "$argon2id$v=19$m=065536,t=2,p=1$" + salt + "$" + tag,
		"sign":               "$argon2id$v=19$m=+65536,t=2,p=1$" + salt + "$" + tag,
		"short salt":         "$argon2id$v=19$m=65536,t=2,p=1$c29tZQ$" + tag,
		"padded salt":        "$argon2id$v=19$m=65536,t=2,p=1$" + salt + "=$" + tag,
		"line break in salt": "$argon2id$v=19$m=65536,t=2,p=1$c29t\nZXNhbHQ$" + tag,
		"short hash":         "$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$CTFhFdXP",
		"no hash":            "$argon2id$v=19$m=65536,t=2,p=1$" + salt,
		"more behind":        reference + "$" + tag,
		"very long":          reference + strings.Repeat("A", maxEncoded),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(encoded)
			assert.ErrorIs(t, err, ErrMalformed)
			_, _, err = NewHasher(cheap).Verify(t.Context(), encoded, "password")
			if encoded != "" { // which stands for nobody
				assert.ErrorIs(t, err, ErrMalformed)
			}
		})
	}
}

func TestParseReadsWhatStringWrites(t *testing.T) {
	h, err := parse(reference)
	require.NoError(t, err)
	assert.Equal(t, Params{Memory: 65536, Passes: 2, Threads: 1}, h.Params)
	assert.Equal(t, []byte("somesalt"), h.salt)
	assert.Equal(t, reference, h.String())
}

func FuzzParse(f *testing.F) {
	f.Add(reference)
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, encoded string) {
		h, err := parse(encoded)
		if err != nil {
			assert.ErrorIs(t, err, ErrMalformed)
			return
		}
		assert.Equal(t, encoded, h.String())
		assert.LessOrEqual(t, h.Memory, uint32(maxMemory))
		assert.LessOrEqual(t, h.Passes, uint32(maxPasses))
	})
}
