package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// named are names of metrics as pages write them: `ashlar_gateway_streams` in full, `_streams` beside others of the
// gateway, and `go_…` for all that begin so.
var named = regexp.MustCompile("[`,; ](_?[a-z]+(?:_[a-z]+)*_?)(…?)[`{]")

// documented tells whether a page tells of a metric.
func documented(t testing.TB) func(metric string) bool {
	t.Helper()
	full, beginnings := map[string]bool{}, []string{}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	for _, page := range pages {
		for _, found := range named.FindAllStringSubmatch(read(t, page), -1) {
			name := found[1]
			if strings.HasPrefix(name, "_") {
				name = "ashlar_gateway" + name
			}
			if found[2] != "" {
				beginnings = append(beginnings, name)
			} else {
				full[name] = true
			}
		}
	}
	return func(metric string) bool {
		return full[metric] || slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(metric, b) })
	}
}

// Each metric that a process shows is in the documentation.
func TestMetricsThatProcessesShow(t *testing.T) {
	p := shared(t)
	known := documented(t)
	var addresses []string
	require.NoError(t, eventually(seenWithin, func() error { // Consul knows what it has asked once
		checks := string(fetch(t, "http://"+p.consul+"/v1/agent/checks"))
		addresses = regexp.MustCompile(`http://[0-9.:]+/readyz`).FindAllString(checks, -1)
		slices.Sort(addresses)
		if addresses = slices.Compact(addresses); len(addresses) < len(services) {
			return fmt.Errorf("of %d services %d were asked whether they are ready", len(services), len(addresses))
		}
		return nil
	}))
	all := map[string]bool{}
	for _, address := range addresses {
		metrics := string(fetch(t, strings.TrimSuffix(address, "readyz")+"metrics"))
		for _, line := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(metrics, -1) {
			all[line[1]] = true
		}
	}
	for metric := range all {
		assert.True(t, known(metric), "no page in docs/ tells of %s", metric)
	}
	for _, metric := range []string{"ashlar_gateway_upstream_limit", "ashlar_database_up", "ashlar_outbox_events", "rpc_server_call_duration_seconds"} {
		assert.Contains(t, all, metric, "the processes were asked")
	}
}

// A metric that counts what never happens is shown by no process, but it is in the source.
func TestMetricsOfTheSource(t *testing.T) {
	known := documented(t)
	name := regexp.MustCompile(`"(ashlar_[a-z_]+)"`)
	found := 0
	for _, folder := range []string{"kernel", "ent", "platform", "services", "gateway"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, literal := range name.FindAllSubmatch(source, -1) {
				metric := string(literal[1])
				found++
				// What ends so is the beginning of others, which processes show; what is one with `_` has `…` on a page.
				if !strings.HasSuffix(metric, "_") && !known(metric+"_") {
					assert.True(t, known(metric), "no page in docs/ tells of %s", metric)
				}
			}
			return err
		}))
	}
	assert.Greater(t, found, 20)
}
