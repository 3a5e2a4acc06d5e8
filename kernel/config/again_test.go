package config_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/config"
)

// changing is a configuration of which a part can change.
type changing struct {
	settings

	Limit  int           `name:"the-limit" reload:""`
	Longer time.Duration `reload:""`
}

func TestCompare(t *testing.T) {
	before := changing{settings: settings{ListenAddr: "a", Origins: []string{"x"}, Password: "hunter2"}, Limit: 1}
	same := before
	same.Origins = []string{"x"}
	none, err := config.Compare(before, same)
	require.NoError(t, err)
	require.Equal(t, config.Differences{}, none)

	after := before
	after.ListenAddr, after.Origins, after.Password, after.Limit, after.Longer = "b", []string{"x", "y"}, "hunter3", 2, time.Second
	differences, err := config.Compare(before, after)
	require.NoError(t, err)
	require.Equal(t, config.Differences{
		Reloadable: []string{"the-limit", "longer"}, Fixed: []string{"listen-addr", "origins", "password"},
	}, differences)
	require.Equal(t, "a", before.ListenAddr, "comparing changes nothing")
}

func TestFiles(t *testing.T) {
	t.Setenv("ASHLAR_CONFIG", "")
	s, err := parse(t)
	require.NoError(t, err)
	require.Empty(t, s.Files())
	named := file(t, "timeout: 1s\n")
	s, err = parse(t, "--config", named)
	require.NoError(t, err)
	require.Equal(t, []string{named}, s.Files())
	other := file(t, "loud: true\n")
	t.Setenv("ASHLAR_CONFIG", other)
	s, err = parse(t, "--config", named)
	require.NoError(t, err)
	require.Equal(t, []string{other, named}, s.Files(), "both count")
	require.True(t, s.Loud)
	require.Equal(t, time.Second, s.Timeout)
}

// A file that is gone by the time it is read anew must not count as an empty one.
func TestAFileThatIsGone(t *testing.T) {
	named := file(t, "timeout: 1s\n")
	_, err := parse(t, "--config", named)
	require.NoError(t, err)
	require.NoError(t, os.Remove(named))
	_, err = parse(t, "--config", named)
	require.ErrorContains(t, err, named)
}
