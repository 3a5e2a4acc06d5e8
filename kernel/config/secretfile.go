package config

import "ashlar.dev/kernel/secretfile"

// ReadSecretFile is secretfile.Read for a secret of a configuration.
func ReadSecretFile(path string) (Secret, error) {
	secret, err := secretfile.Read(path)
	return Secret(secret), err
}
