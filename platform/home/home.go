// Package home keeps the folder in which a platform that was started on this machine has its state: the cluster key, the
// first administrator, a SQLite file for each service, logs. One process has it at a time.
package home

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/workload"
)

// DefaultDir is the folder where nobody says otherwise, and DirVariable is the environment variable that says so.
const (
	DefaultDir  = ".ashlar"
	DirVariable = "ASHLAR_HOME"
)

// DefaultAdminEmail is the first administrator where nobody says otherwise.
const DefaultAdminEmail = "admin@ashlar.dev"

// What is kept about the first administrator.
const (
	adminEmailFile    = "admin-email"
	adminPasswordFile = "admin-password"
)

// What auth takes: the rules of SignUpRequest in ashlar.auth.v1.
const (
	minPasswordRunes = 15
	maxPasswordBytes = 1024
	maxEmailRunes    = 254
)

// Home is the folder. It is held by this process until Close.
type Home struct {
	dir   string // absolute
	shown string // as the person wrote it
	lock  *lock
}

// Open makes the folder where it is missing, and takes it for this process. It fails with an InUseError where another
// process has it.
func Open(dir string) (*Home, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("home folder %s: %w", dir, err)
	}
	h := &Home{dir: abs, shown: dir}
	for _, folder := range []string{"", "env", "logs"} {
		if err := os.MkdirAll(h.Path(folder), 0o700); err != nil {
			return nil, fmt.Errorf("home folder %s: %w; name another one with %s", dir, err, DirVariable)
		}
	}
	h.lock, err = takeLock(h.Path(lockFile), dir)
	if err != nil {
		return nil, err
	}
	return h, nil
}

// Close gives the folder back.
func (h *Home) Close() { h.lock.release() }

// Path is the absolute path of a file in the folder.
func (h *Home) Path(elements ...string) string {
	return filepath.Join(append([]string{h.dir}, elements...)...)
}

// Show is the path of a file in the folder as a person would write it.
func (h *Home) Show(elements ...string) string {
	return filepath.Join(append([]string{h.shown}, elements...)...)
}

// ClusterKey returns the path of the cluster key, which is made where it is missing, and the key.
func (h *Home) ClusterKey() (string, workload.ClusterKey, error) {
	path := h.Path("cluster.key")
	if err := workload.CreateClusterKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", workload.ClusterKey{}, fmt.Errorf("make the cluster key: %w", err)
	}
	key, err := workload.ReadClusterKey(path)
	return path, key, err
}

// SQLite is the address of a service's database file.
func (h *Home) SQLite(service string) config.Secret {
	return config.Secret((&url.URL{Scheme: "sqlite", Path: filepath.ToSlash(h.Path(service + ".db"))}).String())
}

// Admin is the first administrator.
type Admin struct {
	Email string
	// PasswordFile is the absolute path of the file that holds the password.
	PasswordFile string
	// MadeUp is the password, if this call made it up: it is shown once.
	MadeUp string
	// Notices tell of settings that are not followed.
	Notices []string
}

// Admin returns the first administrator. The first call on a home decides about it, because it is made only once: what
// email and password say later is not followed, and that is noted. What auth would refuse is refused here, before it is
// kept.
func (h *Home) Admin(email, password string) (Admin, error) {
	if err := errors.Join(h.check(adminEmailFile, email, checkEmail), h.check(adminPasswordFile, password, checkPassword)); err != nil {
		return Admin{}, err
	}
	a := Admin{PasswordFile: h.Path(adminPasswordFile)}
	kept, _, err := h.keep(adminEmailFile, cmp.Or(email, DefaultAdminEmail))
	if err != nil {
		return Admin{}, err
	}
	a.Email = kept
	if email != "" && email != kept {
		a.Notices = append(a.Notices, fmt.Sprintf("ASHLAR_ADMIN_EMAIL is not followed: the first administrator was made as %s (%s)", kept, h.Show(adminEmailFile)))
	}
	fresh := cmp.Or(password, rand.Text())
	kept, made, err := h.keep(adminPasswordFile, fresh)
	if err != nil {
		return Admin{}, err
	}
	switch {
	case made && password == "":
		a.MadeUp = fresh
	case password != "" && password != kept:
		a.Notices = append(a.Notices, fmt.Sprintf("ASHLAR_ADMIN_PASSWORD is not followed: the first administrator was made with the password in %s", h.Show(adminPasswordFile)))
	}
	return a, nil
}

// check looks at a value that is about to be kept in a file; one that is not given, or comes too late, is good.
func (h *Home) check(name, value string, rule func(string) error) error {
	if value == "" {
		return nil
	}
	if _, err := os.Stat(h.Path(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return rule(value)
}

func checkEmail(email string) error {
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || utf8.RuneCountInString(email) > maxEmailRunes {
		return fmt.Errorf("ASHLAR_ADMIN_EMAIL: %q is no email address of at most %d characters, such as %s", email, maxEmailRunes, DefaultAdminEmail)
	}
	return nil
}

func checkPassword(password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < minPasswordRunes:
		return fmt.Errorf("ASHLAR_ADMIN_PASSWORD has %d characters: it needs at least %d, as every password does", n, minPasswordRunes)
	case len(password) > maxPasswordBytes:
		return fmt.Errorf("ASHLAR_ADMIN_PASSWORD has %d bytes: it can have at most %d, as every password can", len(password), maxPasswordBytes)
	case !utf8.ValidString(password):
		return errors.New("ASHLAR_ADMIN_PASSWORD is not text in UTF-8")
	case strings.ContainsAny(password, "\r\n") || strings.TrimSpace(password) == "":
		return errors.New("ASHLAR_ADMIN_PASSWORD is blank or has more than one line: it is kept as one line of a file")
	}
	return nil
}

// keep returns the content of a file, without the line's end; where there is no such file it makes one that holds
// value. A crash leaves either no file or a whole one.
func (h *Home) keep(name, value string) (kept string, made bool, err error) {
	path := h.Path(name)
	content, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(content)) == "" {
		return "", false, fmt.Errorf("%s is empty: remove it, and it is made again", path)
	}
	if err == nil {
		return strings.TrimRight(string(content), "\r\n"), false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	return value, true, WriteFile(path, value+"\n")
}

// WriteFile writes a whole file that only its owner can read, or nothing.
func WriteFile(path, content string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.WriteString(content)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
