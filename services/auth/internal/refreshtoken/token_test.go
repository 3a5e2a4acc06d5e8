package refreshtoken_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/services/auth/internal/refreshtoken"
)

func TestTokensOfASession(t *testing.T) {
	key := []byte(strings.Repeat("k", 32))
	first := refreshtoken.New()
	second, third := first.Next(key), first.Next(key).Next(key)
	assert.Equal(t, second, first.Next(key), "the same for whoever derives it")
	assert.NotEqual(t, second, first.Next([]byte(strings.Repeat("K", 32))))
	hashes := map[string]bool{}
	for _, token := range []refreshtoken.Token{first, second, third} {
		assert.Equal(t, first.FamilyHash(), token.FamilyHash())
		hashes[string(token.Hash())] = true
		read, err := refreshtoken.Parse(token.String())
		require.NoError(t, err)
		assert.Equal(t, token, read)
	}
	assert.Len(t, hashes, 3)
	assert.NotEqual(t, first.FamilyHash(), refreshtoken.New().FamilyHash())
	assert.NotContains(t, fmt.Sprintf("%#v", first), "0x")
}

func FuzzParse(f *testing.F) {
	valid := refreshtoken.New().String()
	for _, s := range []string{valid, "", "rt_", valid[:len(valid)-1], valid + "A", strings.ToUpper(valid), "rt_" + strings.Repeat("\n", 64)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token, err := refreshtoken.Parse(s)
		if err != nil {
			assert.ErrorIs(t, err, refreshtoken.ErrMalformed)
			return
		}
		assert.Equal(t, s, token.String(), "one token has one spelling")
	})
}
