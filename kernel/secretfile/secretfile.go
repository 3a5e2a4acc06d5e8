// Package secretfile reads secrets from files that only their owner can read. It must not know what they are for.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// maxBytes bounds a file with a secret.
const maxBytes = 4096

// Read reads a secret from a file that only its owner can read. Line ends after the secret are not part of it.
// The error is fs.ErrNotExist where there is no such file; none shows the content.
func Read(path string) (secret string, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", missingError{path}
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// Of the file that was opened: the name may stand for another one by now.
	info, err := file.Stat()
	switch {
	case err != nil:
		return "", err
	case info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("others can read %s (mode %04o): chmod 600 %s", path, info.Mode().Perm(), path)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxBytes {
		return "", fmt.Errorf("%s has more than %d bytes", path, maxBytes)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// missingError is fs.ErrNotExist in the words that messages go on from.
type missingError struct{ path string }

func (e missingError) Error() string { return e.path + " does not exist" }

func (missingError) Is(target error) bool { return target == fs.ErrNotExist }
