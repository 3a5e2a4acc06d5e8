package home

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const secret = "a password of many words"

func TestFirstRunDecidesAboutTheAdministrator(t *testing.T) {
	for _, test := range []struct {
		name                                string
		email, password                     string // of the first run
		laterEmail, laterPassword           string
		wantEmail, wantPassword, wantNotice string // of the second; no wanted password: one that is made up
	}{
		{name: "nothing said", wantEmail: DefaultAdminEmail},
		{name: "the same twice", email: "a@b.example", password: secret, laterEmail: "a@b.example", laterPassword: secret, wantEmail: "a@b.example", wantPassword: secret},
		{name: "said once", email: "a@b.example", password: secret, wantEmail: "a@b.example", wantPassword: secret},
		{name: "another email", laterEmail: "c@d.example", wantEmail: DefaultAdminEmail, wantNotice: "ASHLAR_ADMIN_EMAIL is not followed: the first administrator was made as " + DefaultAdminEmail},
		{name: "another password", password: secret, laterPassword: "q", wantEmail: DefaultAdminEmail, wantPassword: secret, wantNotice: "ASHLAR_ADMIN_PASSWORD is not followed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := &Home{dir: t.TempDir(), shown: ".ashlar"}
			first, err := h.Admin(test.email, test.password)
			require.NoError(t, err)
			require.Empty(t, first.Notices)
			require.Equal(t, test.password == "", first.MadeUp != "")

			second, err := h.Admin(test.laterEmail, test.laterPassword)
			require.NoError(t, err)
			require.Equal(t, test.wantEmail, second.Email)
			require.Empty(t, second.MadeUp, "a password is shown once")
			kept, err := os.ReadFile(second.PasswordFile)
			require.NoError(t, err)
			if test.wantPassword == "" {
				test.wantPassword = first.MadeUp
				require.GreaterOrEqual(t, len(first.MadeUp), 20)
			}
			require.Equal(t, test.wantPassword+"\n", string(kept))
			if test.wantNotice == "" {
				require.Empty(t, second.Notices)
			} else {
				require.Len(t, second.Notices, 1)
				require.Contains(t, second.Notices[0], test.wantNotice)
				require.NotContains(t, second.Notices[0], test.laterPassword+"\n")
			}
		})
	}
}

// A first value that auth would refuse must not be kept: no later one would be followed.
func TestWhatAuthWouldRefuseIsNotKept(t *testing.T) {
	for name, test := range map[string]struct{ email, password, says string }{
		"a short password":      {"", "fourteen chars", "ASHLAR_ADMIN_PASSWORD has 14 characters: it needs at least 15"},
		"a long password":       {"", strings.Repeat("é", 513), "ASHLAR_ADMIN_PASSWORD has 1026 bytes"},
		"no text":               {"", strings.Repeat("\xff", 20), "UTF-8"},
		"a blank password":      {"", strings.Repeat(" ", 20), "ASHLAR_ADMIN_PASSWORD is blank"},
		"two lines":             {"", secret + "\n" + secret, "more than one line"},
		"no address":            {"admin", secret, `"admin" is no email address`},
		"a name and an address": {"Ann <ann@b.example>", secret, "is no email address"},
		"a long address":        {strings.Repeat("a", 250) + "@b.example", secret, "is no email address"},
		"good and bad":          {"ann@b.example", "short", "ASHLAR_ADMIN_PASSWORD"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &Home{dir: t.TempDir(), shown: ".ashlar"}
			_, err := h.Admin(test.email, test.password)
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), test.password)

			a, err := h.Admin("ann@b.example", "fünfzehn Zeichen")
			require.NoError(t, err)
			require.Equal(t, "ann@b.example", a.Email)
			require.Empty(t, a.Notices)
		})
	}
}

func TestEmptyPasswordFileIsNoPassword(t *testing.T) {
	h := &Home{dir: t.TempDir()}
	require.NoError(t, os.WriteFile(h.Path("admin-password"), []byte("\n"), 0o600))
	_, err := h.Admin("", "")
	require.ErrorContains(t, err, "is empty: remove it")
}

func TestLockHasOneHolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, lockFile)
	pid, err := Holder(dir)
	require.NoError(t, err)
	require.Zero(t, pid)

	held, err := takeLock(path, ".ashlar")
	require.NoError(t, err)
	pid, err = Holder(dir)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), pid)
	_, err = takeLock(path, ".ashlar")
	require.Equal(t, InUseError{Dir: ".ashlar", PID: os.Getpid()}, err)

	held.release()
	pid, err = Holder(dir)
	require.NoError(t, err)
	require.Zero(t, pid)
	held, err = takeLock(path, ".ashlar")
	require.NoError(t, err)
	held.release()

	// What somebody wrote who was killed counts for nothing.
	require.NoError(t, os.WriteFile(path, []byte("1234\n"), 0o600))
	pid, err = Holder(dir)
	require.NoError(t, err)
	require.Zero(t, pid)
}

func TestHomeThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Open(file)
	require.ErrorContains(t, err, "name another one with ASHLAR_HOME")
}
