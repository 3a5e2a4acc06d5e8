package profile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"ashlar.dev/platform/home"
)

const (
	folderMode = 0o700
	fileMode   = 0o600
	// othersMode are the permissions that nobody but the owner may have.
	othersMode = 0o077
	// maxBytes bounds a profile.
	maxBytes = 1 << 20
	// lockInterval is the time between two attempts to get a lock that another command holds.
	lockInterval = 20 * time.Millisecond
)

// Store is the folder of profiles. It is safe for concurrent use, by any number of processes.
type Store struct{ dir string }

// DefaultDir is the folder where nobody says otherwise.
func DefaultDir() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no folder for profiles: %w; name one with ASHLAR_CONFIG_HOME", err)
	}
	return filepath.Join(dir, "ashlar"), nil
}

// Open returns the store of a folder, DefaultDir where it is empty. It makes nothing; a folder that others can look into
// is refused.
func Open(dir string) (*Store, error) {
	if dir == "" {
		var err error
		if dir, err = DefaultDir(); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &Store{dir}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("profiles: %s is not a folder", dir)
	}
	return &Store{dir}, private(dir, info)
}

// private refuses what somebody else owns or can read.
func private(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&othersMode != 0 {
		return fmt.Errorf("profiles: others can read %s, and tokens may be there: chmod go= %s", path, path)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("profiles: %s belongs to another user (%d)", path, owner.Uid)
	}
	return nil
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name+".json") }

// Load returns a profile, an empty one where there is none of the name.
func (s *Store) Load(name string) (*Profile, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	path := s.path(name)
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return &Profile{Name: name}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	if err := private(path, info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	if len(text) > maxBytes {
		return nil, fmt.Errorf("profile %s: %s has more than %d bytes", name, path, maxBytes)
	}
	p, err := decode(name, text)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %s: %w", name, path, err)
	}
	return p, nil
}

// Update changes a profile: it gives change the one that is stored, and stores what change makes of it, unless it fails.
// Others who update it wait so long, until their context ends; those who load it see it before or after.
func (s *Store) Update(ctx context.Context, name string, change func(*Profile) error) (err error) {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, folderMode); err != nil {
		return fmt.Errorf("profiles: %w", err)
	}
	// A file of its own, because the profile itself is replaced. It stays: who removed it would let two hold it.
	lock := flock.New(filepath.Join(s.dir, name+".lock"), flock.SetPermissions(fileMode))
	if _, err := lock.TryLockContext(ctx, lockInterval); err != nil {
		return fmt.Errorf("profile %s: wait for another command that changes it: %w", name, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	p, err := s.Load(name)
	if err != nil {
		return err
	}
	before, err := p.encode()
	if err != nil {
		return fmt.Errorf("profile %s: %w", name, err)
	}
	if err := change(p); err != nil {
		return err
	}
	after, err := p.encode()
	if err != nil {
		return fmt.Errorf("profile %s: %w", name, err)
	}
	if bytes.Equal(before, after) {
		return nil
	}
	if err := home.WriteFile(s.path(name), string(after)+"\n"); err != nil {
		return fmt.Errorf("profile %s: %w", name, err)
	}
	return nil
}

// Names returns the names of the profiles that are there, sorted.
func (s *Store) Names() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(s.dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	var names []string
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".json"); CheckName(name) == nil {
			names = append(names, name)
		}
	}
	return names, nil
}
