package provision

import (
	"encoding/base64"
	"regexp"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database/dbtest"
)

// The server computes the same from the same password and salt.
func TestVerifierIsTheServersOwn(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), dbtest.PostgresURL(t).Reveal())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	password := newPassword()
	for _, statement := range []string{"BEGIN", "SET LOCAL password_encryption = 'scram-sha-256'", "CREATE ROLE verified PASSWORD '" + password + "'"} {
		_, err = conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	var kept string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT rolpassword FROM pg_authid WHERE rolname = 'verified'").Scan(&kept))
	parts := regexp.MustCompile(`^SCRAM-SHA-256\$(\d+):([^$]+)\$`).FindStringSubmatch(kept)
	require.Len(t, parts, 3)
	iterations, err := strconv.Atoi(parts[1])
	require.NoError(t, err)
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	require.NoError(t, err)
	computed, err := verifierOf(password, salt, iterations)
	require.NoError(t, err)
	require.Equal(t, kept, computed)
	require.Equal(t, scramIterations, iterations)
	require.Len(t, salt, scramSaltBytes)

	one, err := verifier(password)
	require.NoError(t, err)
	other, err := verifier(password)
	require.NoError(t, err)
	require.NotEqual(t, one, other, "each has a salt of its own")
}
