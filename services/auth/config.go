package auth

import (
	"errors"
	"fmt"
	"io/fs"

	"ashlar.dev/kernel/config"
	"ashlar.dev/platform/service"
)

// Config is what the process can be told beside what every process can.
type Config struct {
	service.Config

	AdminEmail        string        `help:"Address of the first administrator, who is made at start where there is none, and given the role once. Taking it away takes no rights away." placeholder:"EMAIL"`
	AdminPassword     config.Secret `help:"The first administrator's password, at least 15 characters; set it by environment. It counts when the account is made, and tells whose one is that is there already; once the role is given, changing it later changes nothing." placeholder:"PASSWORD"`
	AdminPasswordFile string        `help:"File with that password, mode 0600, instead." placeholder:"FILE"`
}

// checkAdmin tells whether the first administrator is configured, and what is wrong with that. It reads no file.
func (c Config) checkAdmin() (bool, error) {
	given := c.AdminPassword != "" || c.AdminPasswordFile != ""
	switch {
	case c.AdminEmail == "" && !given:
		return false, nil
	case c.AdminEmail == "":
		return false, errors.New("first administrator: there is a password and no address: set ASHLAR_ADMIN_EMAIL")
	case !given:
		return false, errors.New("first administrator: there is an address and no password: set ASHLAR_ADMIN_PASSWORD or ASHLAR_ADMIN_PASSWORD_FILE")
	case c.AdminPassword != "" && c.AdminPasswordFile != "":
		return false, errors.New("first administrator: ASHLAR_ADMIN_PASSWORD and ASHLAR_ADMIN_PASSWORD_FILE are both set: take one away")
	}
	return true, nil
}

// adminPassword returns the first administrator's password.
func (c Config) adminPassword() (config.Secret, error) {
	if c.AdminPasswordFile == "" {
		return c.AdminPassword, nil
	}
	password, err := config.ReadSecretFile(c.AdminPasswordFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("first administrator: the password file %w: write it, mode 0600, or correct ASHLAR_ADMIN_PASSWORD_FILE", err)
	}
	if err != nil {
		return "", fmt.Errorf("first administrator: the password file: %w", err)
	}
	return password, nil
}
