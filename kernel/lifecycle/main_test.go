package lifecycle_test

import (
	"log/slog"
	"testing"

	"ashlar.dev/kernel/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var discard = slog.New(slog.DiscardHandler)
