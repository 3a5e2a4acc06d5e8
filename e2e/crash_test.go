package e2e

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	authzv1 "ashlar.dev/gen/go/ashlar/authz/v1"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
)

// request is a procedure with a message for it.
type request struct {
	procedure string
	message   proto.Message
	public    bool // it needs no token
}

func (r request) from(p *platform, who person) call {
	c := call{url: p.url(), procedure: r.procedure, message: r.message}
	if !r.public {
		c.token = who.token
	}
	return c
}

// Each service is killed in turn. Callers of it get unavailable in their own protocol and in time, the others go on, and
// when it is there again calls succeed, with the gateway as it is.
func TestAServiceThatDies(t *testing.T) {
	all := t
	s := newSettings(t)
	s.flags = []string{"--no-restart"}
	p := up(t, s)
	admin := p.admin(t)
	org := newOrganization(t, p.url(), admin)
	var (
		me          = request{procedure: whoAmI, message: &authv1.WhoAmIRequest{}}
		enter       = request{procedure: login, message: &authv1.LoginRequest{Email: adminEmail, Password: p.password(t)}, public: true}
		list        = request{procedure: listOrganizations, message: &identityv1.ListOrganizationsRequest{}}
		create      = request{procedure: createOrganization, message: &identityv1.CreateOrganizationRequest{DisplayName: "Acme"}}
		permissions = request{procedure: listPermissions, message: &authzv1.ListPermissionsRequest{}}
		events      = request{procedure: queryEvents, message: &auditv1.QueryEventsRequest{OrganizationId: org}}
		rename      = request{procedure: updateOrganization, message: &identityv1.UpdateOrganizationRequest{
			Organization: &identityv1.Organization{Id: org, DisplayName: "Apex"},
			UpdateMask:   &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
		}}
	)
	for _, c := range []struct {
		service     string
		unavailable []request // without it
		works       []request // all the same
	}{
		{"auth", []request{me, enter}, []request{list, create, permissions, events, rename}},
		// Auth asks identity who somebody is, and says so when it cannot.
		{"identity", []request{list, create, rename, me, enter}, []request{permissions, events}},
		// Without authz nobody knows who may do what: refused, not permitted.
		{"authz", []request{permissions, events, rename}, []request{me, enter, list}},
		{"audit", []request{events}, []request{me, enter, list, create, rename}},
	} {
		t.Run(c.service, func(t *testing.T) {
			for _, r := range append(append([]request{}, c.unavailable...), c.works...) {
				a := speeches[0].send(t, r.from(p, admin))
				require.Empty(t, a.code, "%s before: %s", r.procedure, a)
			}
			require.NoError(t, syscall.Kill(p.rows[c.service].pid, syscall.SIGKILL))
			require.NoError(t, eventually(failWithin, func() error { return gone(p.rows[c.service].pid) }))

			everySpeech(t, func(t *testing.T, s speech) {
				for _, r := range c.unavailable {
					begun := time.Now()
					a := s.send(t, r.from(p, admin))
					assert.Equal(t, "unavailable", a.code, "%s: %s", r.procedure, a)
					assert.NotEmpty(t, a.info().GetReason(), "%s: %s", r.procedure, a)
					assert.Less(t, time.Since(begun), callTimeout, r.procedure)
				}
				for _, r := range c.works {
					a := s.send(t, r.from(p, admin))
					assert.Empty(t, a.code, "%s: %s", r.procedure, a)
				}
			})

			// By hand, as the file says that `up` has left for it.
			again := startProgram(all, environ(), "/bin/sh", "-c", p.script(c.service))
			all.Cleanup(func() { // before `up` ends, and Consul with it
				again.signal(all, os.Interrupt)
				assert.Zero(all, again.wait(all, stopWithin), "%s%s", again.stdout, again.stderr)
			})
			everySpeech(t, func(t *testing.T, s speech) {
				for _, r := range append(append([]request{}, c.unavailable...), c.works...) {
					assert.NoError(t, eventually(startWithin, succeeds(t.Context(), s, r.from(p, admin))), r.procedure)
				}
			})
			if c.service == "audit" {
				// What happened without it is on the record when it is back.
				assert.NoError(t, eventually(auditWithin, func() error { return recorded(t, p, admin, org, "organization.update", len(speeches)) }))
			}
		})
	}
}

// succeeds returns a try of a call, which is unavailable until it succeeds.
func succeeds(ctx context.Context, s speech, c call) func() error {
	return func() error {
		a, err := s.try(ctx, c)
		if err == nil && a.code != "" {
			err = fmt.Errorf("%s: %s", c.procedure, a)
		}
		return err
	}
}

// recorded tells whether the audit record has at least n successful events of an action in an organization.
func recorded(t testing.TB, p *platform, who person, org, action string, n int) error {
	var found auditv1.QueryEventsResponse
	invoke(t, p.url(), who.token, queryEvents, &auditv1.QueryEventsRequest{
		OrganizationId: org, Action: action, Outcome: auditv1.Outcome_OUTCOME_SUCCESS, PageSize: 200,
	}, &found)
	if len(found.GetEvents()) < n {
		return fmt.Errorf("%d events %s are on the record, not %d", len(found.GetEvents()), action, n)
	}
	return nil
}

// crash kills the process of a service.
func (p *platform) crash(t testing.TB, service string) {
	t.Helper()
	require.NoError(t, syscall.Kill(p.rows[service].pid, syscall.SIGKILL))
}

// revived waits until `up` says that a service that has crashed has another process, which is ready.
func (p *platform) revived(t testing.TB, service string) {
	t.Helper()
	back := regexp.MustCompile(`(?m)^` + service + ` +ready again at (\S+), process (\d+),`)
	require.NoError(t, eventually(startWithin, func() error {
		if all := back.FindAllStringSubmatch(p.stdout.String(), -1); all != nil {
			latest := all[len(all)-1]
			if pid, err := strconv.Atoi(latest[2]); err != nil || pid != p.rows[service].pid {
				p.rows[service] = row{address: latest[1], pid: pid}
				return err
			}
		}
		return fmt.Errorf("`up` does not say that %s is back:\n%s", service, p.stdout)
	}))
}

// What dies is started again: a service, and the gateway at its old address.
func TestUpStartsAgainWhatDied(t *testing.T) {
	p := up(t, newSettings(t))
	admin := p.admin(t)
	for _, c := range []struct {
		service string
		request request
	}{
		{"identity", request{procedure: listOrganizations, message: &identityv1.ListOrganizationsRequest{}}},
		{"gateway", request{procedure: whoAmI, message: &authv1.WhoAmIRequest{}}},
	} {
		t.Run(c.service, func(t *testing.T) {
			p.crash(t, c.service)
			p.revived(t, c.service)
			if c.service == "gateway" {
				assert.Equal(t, p.gateway, p.rows[c.service].address)
			}
			everySpeech(t, func(t *testing.T, s speech) {
				assert.NoError(t, eventually(failWithin, succeeds(t.Context(), s, c.request.from(p, admin))))
			})
		})
	}
	p.stop(t)
}

// kill -9 of `up` itself leaves nothing running.
func TestNothingOutlivesUp(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a process that its parent has died")
	}
	p := up(t, newSettings(t))
	p.kill()
	for name, r := range p.rows {
		assert.NoError(t, eventually(failWithin, func() error { return gone(r.pid) }), name)
	}
	// And the next `up` on the same home is not in its way.
	again := up(t, p.settings)
	again.admin(t)
	again.stop(t)
}
