package services

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	localv1 "ashlar.dev/gen/go/ashlar/local/v1"
	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/platformctl/output"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func instance(service, id, version string, started time.Time, why string, dependsOn ...string) consul.Seen {
	return consul.Seen{
		Instance: discovery.Instance{ID: id, Service: service, Version: version, Address: "127.0.0.1:1", Metadata: map[string]string{
			discovery.MetadataStarted: started.Format(time.RFC3339), discovery.MetadataDependsOn: strings.Join(dependsOn, ","),
		}},
		Healthy: why == "", Why: why,
	}
}

func TestListPutsTogetherWhatConsulAndUpKnow(t *testing.T) {
	t.Parallel()
	all := collect([]consul.Seen{
		instance("notes", "notes-1", "1.0.0", now.Add(-90*time.Second), "", "identity", "authz"),
		instance("notes", "notes-2", "1.1.0", now.Add(-time.Hour), "ready: connection refused", "identity"),
		instance("authz", "authz-1", "1.0.0", now.Add(time.Minute), ""), // its clock is ahead
		instance("bills", "bills-1", "1.0.0", now, "ready: 503"),
		{Instance: discovery.Instance{ID: "old-1", Service: "old", Address: "127.0.0.1:1"}, Healthy: true},
	}, []*localv1.Unit{
		{Name: "authz", State: localv1.UnitState_UNIT_STATE_READY},
		{Name: "orders", State: localv1.UnitState_UNIT_STATE_DOWN, DependsOn: []string{"authz"}},
	}, now)
	states := map[string]string{}
	for _, s := range all {
		states[s.Name] = s.State
	}
	require.Equal(t, map[string]string{"notes": degraded, "authz": healthy, "bills": unhealthy, "old": healthy, "orders": "down"}, states)

	var out strings.Builder
	require.NoError(t, output.Flag{}.Show(&out, serviceList{all, ""}))
	require.Equal(t, `SERVICE  VERSION       STATE      HEALTHY  ADDRESS                 UPTIME  DEPENDS ON
authz    1.0.0         healthy    1/1      127.0.0.1:1             0s      -
bills    1.0.0         unhealthy  0/1      127.0.0.1:1             0s      -
notes    1.0.0, 1.1.0  degraded   1/2      127.0.0.1:1 and 1 more  1h0m0s  authz, identity
old      -             healthy    1/1      127.0.0.1:1             -       -
orders   -             down       0/0      -                       -       authz
`, out.String())

	out.Reset()
	require.NoError(t, output.Flag{}.Show(&out, instanceList{all, ""}))
	require.Contains(t, out.String(), "notes    notes-2   1.1.0    unhealthy  127.0.0.1:1  1h0m0s  ready: connection refused\n")
	require.Contains(t, out.String(), "orders   -         -        down       -            -       -\n")

	out.Reset()
	require.NoError(t, output.Flag{Output: "json"}.Show(&out, serviceList{all, ""}))
	var read []Service
	require.NoError(t, json.Unmarshal([]byte(out.String()), &read))
	require.Equal(t, all, read)
}

func TestAnEmptyListSaysWhere(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, output.Flag{}.Show(&out, serviceList{nil, "Consul at x has no service of this platform."}))
	require.Equal(t, "Consul at x has no service of this platform.\n", out.String())
	out.Reset()
	require.NoError(t, output.Flag{Output: "json"}.Show(&out, serviceList{collect(nil, nil, now), ""}))
	require.Equal(t, "[]\n", out.String())
}
