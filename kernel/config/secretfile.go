package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// maxSecretBytes bounds a file with a secret.
const maxSecretBytes = 4096

// ReadSecretFile reads a secret from a file that only its owner can read. Line ends after the secret are not part of it.
// The error is fs.ErrNotExist where there is no such file; none shows the content.
func ReadSecretFile(path string) (secret Secret, err error) {
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
	text, err := io.ReadAll(io.LimitReader(file, maxSecretBytes+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxSecretBytes {
		return "", fmt.Errorf("%s has more than %d bytes", path, maxSecretBytes)
	}
	return Secret(strings.TrimRight(string(text), "\r\n")), nil
}

// missingError is fs.ErrNotExist in the words that messages go on from.
type missingError struct{ path string }

func (e missingError) Error() string { return e.path + " does not exist" }

func (missingError) Is(target error) bool { return target == fs.ErrNotExist }
