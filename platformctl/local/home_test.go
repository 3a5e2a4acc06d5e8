package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/platformctl/exit"
)

func splitLines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

func TestFirstRunDecidesAboutTheAdministrator(t *testing.T) {
	for _, test := range []struct {
		name                                string
		email, password                     string // of the first run
		laterEmail, laterPassword           string
		wantEmail, wantPassword, wantNotice string // of the second; no wanted password: one that is made up
	}{
		{name: "nothing said", wantEmail: defaultAdminEmail},
		{name: "the same twice", email: "a@b.example", password: "p w", laterEmail: "a@b.example", laterPassword: "p w", wantEmail: "a@b.example", wantPassword: "p w"},
		{name: "said once", email: "a@b.example", password: "p", wantEmail: "a@b.example", wantPassword: "p"},
		{name: "another email", laterEmail: "c@d.example", wantEmail: defaultAdminEmail, wantNotice: "ASHLAR_ADMIN_EMAIL is not followed: the first administrator was made as " + defaultAdminEmail},
		{name: "another password", password: "p", laterPassword: "q", wantEmail: defaultAdminEmail, wantPassword: "p", wantNotice: "ASHLAR_ADMIN_PASSWORD is not followed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := &home{dir: t.TempDir(), shown: ".ashlar"}
			first, err := h.admin(test.email, test.password)
			require.NoError(t, err)
			require.Empty(t, first.notices)
			require.Equal(t, test.password == "", first.madeUp != "")

			second, err := h.admin(test.laterEmail, test.laterPassword)
			require.NoError(t, err)
			require.Equal(t, test.wantEmail, second.email)
			require.Empty(t, second.madeUp, "a password is shown once")
			kept, err := os.ReadFile(second.passwordFile)
			require.NoError(t, err)
			if test.wantPassword == "" {
				test.wantPassword = first.madeUp
				require.GreaterOrEqual(t, len(first.madeUp), 20)
			}
			require.Equal(t, test.wantPassword+"\n", string(kept))
			if test.wantNotice == "" {
				require.Empty(t, second.notices)
			} else {
				require.Len(t, second.notices, 1)
				require.Contains(t, second.notices[0], test.wantNotice)
				require.NotContains(t, second.notices[0], test.laterPassword+"\n")
			}
		})
	}
}

func TestEmptyPasswordFileIsNoPassword(t *testing.T) {
	h := &home{dir: t.TempDir()}
	require.NoError(t, os.WriteFile(h.path("admin-password"), []byte("\n"), 0o600))
	_, err := h.admin("", "")
	require.ErrorContains(t, err, "is empty: remove it")
}

func TestLockHasOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), lockFile)
	pid, err := lockHolder(path)
	require.NoError(t, err)
	require.Zero(t, pid)

	held, err := takeLock(path, ".ashlar")
	require.NoError(t, err)
	pid, err = lockHolder(path)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), pid)
	_, err = takeLock(path, ".ashlar")
	require.ErrorContains(t, err, "runs on .ashlar: stop it with `platformctl down`")
	require.Equal(t, exit.InUse, exit.Code(err))

	held.release()
	pid, err = lockHolder(path)
	require.NoError(t, err)
	require.Zero(t, pid)
	held, err = takeLock(path, ".ashlar")
	require.NoError(t, err)
	held.release()

	// What somebody wrote who was killed counts for nothing.
	require.NoError(t, os.WriteFile(path, []byte("1234\n"), 0o600))
	pid, err = lockHolder(path)
	require.NoError(t, err)
	require.Zero(t, pid)
}

func TestHomeThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := openHome(file)
	require.ErrorContains(t, err, "name another one with ASHLAR_HOME")
}
