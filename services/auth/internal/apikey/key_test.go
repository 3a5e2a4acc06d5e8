package apikey

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/id"
)

func TestSecret(t *testing.T) {
	t.Parallel()
	keyID := id.New(authn.APIKey)
	s := New(keyID, []byte("key"))
	assert.Equal(t, s, New(keyID, []byte("key")))
	assert.NotEqual(t, s, New(keyID, []byte("another")))
	assert.NotEqual(t, s.Hash(), New(id.New(authn.APIKey), []byte("key")).Hash())

	got, err := Parse(s.String())
	require.NoError(t, err)
	assert.Equal(t, s, got)
	assert.NotContains(t, fmt.Sprintf("%#v", s), s.String())
	assert.LessOrEqual(t, len(s.String()), 256, "what the RPC takes")
}

func FuzzParse(f *testing.F) {
	good := New(id.New(authn.APIKey), []byte("key")).String()
	for _, text := range []string{"", good, good + "\n", strings.ToUpper(good), good[:len(good)-1], good + "A", "ak_", "ak_.", strings.Replace(good, ".", "", 1)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Equal(t, text, s.String(), "a secret can be written in one way only")
		require.NoError(t, id.Check(authn.APIKey, s.ID))
	})
}
