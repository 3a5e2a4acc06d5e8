package local

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"ashlar.dev/kernel/workload"
)

// defaultAdminEmail is the first administrator where nobody says otherwise.
const defaultAdminEmail = "admin@ashlar.dev"

// home is the folder of everything that is kept.
type home struct {
	dir   string // absolute
	shown string // as the person wrote it
	lock  *lock
}

// openHome makes the folder where it is missing, and takes it for this process until close.
func openHome(dir string) (*home, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("home folder %s: %w", dir, err)
	}
	h := &home{dir: abs, shown: dir}
	for _, folder := range []string{"", "env", "logs"} {
		if err := os.MkdirAll(h.path(folder), 0o700); err != nil {
			return nil, fmt.Errorf("home folder %s: %w; name another one with ASHLAR_HOME", dir, err)
		}
	}
	h.lock, err = takeLock(h.path(lockFile), dir)
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (h *home) close() { h.lock.release() }

// path is the absolute path of a file in the folder.
func (h *home) path(elements ...string) string {
	return filepath.Join(append([]string{h.dir}, elements...)...)
}

// show is the path of a file in the folder as a person would write it.
func (h *home) show(elements ...string) string {
	return filepath.Join(append([]string{h.shown}, elements...)...)
}

// log is the path of a process's log.
func (h *home) log(process string) string { return h.path("logs", process+".log") }

// clusterKey returns the path of the cluster key, which is made where it is missing and must be a good one.
func (h *home) clusterKey() (string, error) {
	path := h.path("cluster.key")
	if err := workload.CreateClusterKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make the cluster key: %w", err)
	}
	_, err := workload.ReadClusterKey(path)
	return path, err
}

// sqlite is the address of a service's database file.
func (h *home) sqlite(service string) string {
	return (&url.URL{Scheme: "sqlite", Path: filepath.ToSlash(h.path(service + ".db"))}).String()
}

// admin is the first administrator.
type admin struct {
	email        string
	passwordFile string // absolute
	madeUp       string // the password, if this run made it up
	notices      []string
}

// admin returns the first administrator. The first run on a home decides about it, because it is made only once: what
// email and password say later is not followed, and that is noted.
func (h *home) admin(email, password string) (admin, error) {
	a := admin{passwordFile: h.path("admin-password")}
	kept, _, err := h.keep("admin-email", cmp.Or(email, defaultAdminEmail))
	if err != nil {
		return admin{}, err
	}
	a.email = kept
	if email != "" && email != kept {
		a.notices = append(a.notices, fmt.Sprintf("ASHLAR_ADMIN_EMAIL is not followed: the first administrator was made as %s (%s)", kept, h.show("admin-email")))
	}
	fresh := cmp.Or(password, rand.Text())
	kept, made, err := h.keep("admin-password", fresh)
	if err != nil {
		return admin{}, err
	}
	switch {
	case made && password == "":
		a.madeUp = fresh
	case password != "" && password != kept:
		a.notices = append(a.notices, fmt.Sprintf("ASHLAR_ADMIN_PASSWORD is not followed: the first administrator was made with the password in %s", h.show("admin-password")))
	}
	return a, nil
}

// keep returns the content of a file, without the line's end; where there is no such file it makes one that holds
// value. A crash leaves either no file or a whole one.
func (h *home) keep(name, value string) (kept string, made bool, err error) {
	path := h.path(name)
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
	return value, true, writeFile(path, value+"\n")
}

// writeFile writes a whole file that only its owner can read, or nothing.
func writeFile(path, content string) error {
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
