package local

import (
	"context"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// part is a unit whose processes are never started, and counts how often somebody clears up after one.
type part struct{ cleared int }

func (p *part) next(context.Context) (instance, error)    { return p, nil }
func (p *part) alone() bool                               { return false }
func (p *part) command() (*exec.Cmd, error)               { return exec.Command("false"), nil }
func (p *part) await(ctx context.Context) (string, error) { return "", ctx.Err() }
func (p *part) waitsFor(context.Context) string           { return "" }
func (p *part) lost(context.Context)                      { p.cleared++ }
func (p *part) orderly(*process) bool                     { return false }

func TestWhatIsNeededByWhom(t *testing.T) {
	t.Parallel()
	list := []program{
		{name: "audit", dependsOn: []string{"authz"}}, {name: "authz"}, {name: "identity", dependsOn: []string{"authz"}},
		{name: "auth", dependsOn: []string{"identity", "authz"}}, {name: "notes", dependsOn: []string{"authz"}}, {name: "gateway", gateway: true},
	}
	for name, test := range map[string]struct {
		run, stop []string
		says      string // empty: they can be stopped
	}{
		"a core service":                   {[]string{"audit", "authz", "identity", "auth", "notes", "gateway"}, []string{"auth"}, "auth is needed by notes: "},
		"the other one":                    {[]string{"audit", "authz", "identity", "auth", "notes", "gateway"}, []string{"audit"}, "audit is needed by identity, notes: "},
		"a declared dependency":            {[]string{"authz", "identity", "auth", "gateway"}, []string{"identity"}, "identity is needed by auth: "},
		"with all that need it":            {[]string{"audit", "authz", "identity", "auth", "notes", "gateway"}, []string{"identity", "auth", "notes"}, ""},
		"while those who need it are down": {[]string{"audit", "authz", "auth", "gateway"}, []string{"audit"}, ""},
		"one that nobody needs":            {[]string{"audit", "authz", "identity", "auth", "notes", "gateway"}, []string{"notes", "gateway"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &running{session: &session{programs: list}}
			for _, each := range list {
				p.services = append(p.services, newUnit(each.name, "", &part{}, each.dependsOn...))
			}
			for _, u := range p.units(test.run) {
				u.want(true)
			}
			err := p.inUse(test.stop)
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, errInUse)
			require.ErrorContains(t, err, test.says)
		})
	}
}

func quiet() *supervisor { return &supervisor{out: newConsole(io.Discard, nil)} }

func TestWhatWasStoppedLastStaysDown(t *testing.T) {
	t.Parallel()
	u := newUnit("notes", "", &part{})
	u.want(true)
	require.NoError(t, u.take(t.Context()))
	lowered := make(chan error, 1)
	go func() { lowered <- quiet().lower(t.Context(), u) }()
	require.Eventually(t, func() bool { return !u.runs() }, time.Minute, time.Millisecond)
	u.want(true) // somebody who waited longer for the turn
	u.give()
	require.NoError(t, <-lowered)
	require.False(t, u.runs())
}

// Its keeper does not come to it any more.
func TestWhoStopsADeadProcessClearsUpAfterIt(t *testing.T) {
	t.Parallel()
	instance := &part{}
	dead := &process{name: "notes", instance: instance, done: make(chan struct{})}
	close(dead.done)
	u := newUnit("notes", "", instance)
	u.want(true)
	u.set(dead)
	require.NoError(t, quiet().lower(t.Context(), u))
	assert.Equal(t, 1, instance.cleared)
	assert.Nil(t, u.process())
}
