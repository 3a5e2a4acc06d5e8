package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ashlar.dev/kernel/config"
)

// SignIn returns the first administrator of the platform whose home folder dir is, for signing in, whether that platform
// runs or not. It changes nothing. The error is fs.ErrNotExist where there is no such folder, or no administrator yet.
func SignIn(dir string) (email string, password config.Secret, err error) {
	email, err = read(filepath.Join(dir, adminEmailFile))
	if err != nil {
		return "", "", err
	}
	text, err := read(filepath.Join(dir, adminPasswordFile))
	return email, config.Secret(text), err
}

func read(path string) (string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no platform has been started with this home folder: %w", err)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(content), "\r\n"), nil
}
