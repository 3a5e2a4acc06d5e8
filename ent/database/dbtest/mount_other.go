//go:build !linux

package dbtest

import (
	"errors"
	"testing"
)

func mountSmall(*testing.T, string, string) error { return errors.ErrUnsupported }

func remountReadOnly(string) error { return errors.ErrUnsupported }
