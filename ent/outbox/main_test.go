package outbox_test

import (
	"os"
	"testing"

	"ashlar.dev/kernel/leaktest"
)

func TestMain(m *testing.M) {
	if os.Getenv(victim) != "" {
		beVictim()
		return
	}
	leaktest.Main(m)
}
