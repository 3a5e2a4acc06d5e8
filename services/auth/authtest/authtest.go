// Package authtest has the auth service for tests of other services.
package authtest

import (
	"ashlar.dev/platform/service"
	"ashlar.dev/services/auth"
	"ashlar.dev/services/auth/internal/setting"
)

// Module returns the module of auth, except that hashing a password takes next to no time: tests sign in many people.
func Module(cfg auth.Config) service.Module { return auth.NewModule(cfg, setting.Cheap()) }
