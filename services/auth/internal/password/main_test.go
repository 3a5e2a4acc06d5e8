package password

import (
	"testing"

	"ashlar.dev/kernel/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
