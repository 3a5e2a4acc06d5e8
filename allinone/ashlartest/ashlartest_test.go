package ashlartest_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	"ashlar.dev/allinone/ashlartest"
	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/gen/go/ashlar/auth/v1/authv1connect"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
	"ashlar.dev/gen/go/ashlar/identity/v1/identityv1connect"
	"ashlar.dev/kernel/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// refused tells whether a call was refused for want of a permission.
func refused(t *testing.T, err error) {
	t.Helper()
	require.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), "%v", err)
}

func tell(t *testing.T, p *ashlartest.Platform) {
	t.Helper()
	acme, other := p.Organization(t, "Acme"), p.Organization(t, "Other")
	ada := p.SignIn(t, ashlartest.Role("pads.writer", acme))
	require.NoError(t, write(t.Context(), ada.Client(), acme))
	refused(t, write(t.Context(), ada.Client(), other))
	require.NoError(t, write(t.Context(), p.SignIn(t, ashlartest.RoleEverywhere("pads.writer")).Client(), other))
	require.NoError(t, write(t.Context(), p.Administrator(t).Client(), other))
	refused(t, write(t.Context(), p.SignIn(t).Client(), acme))
	require.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(write(t.Context(), p.Anonymous(), acme)))

	event := p.AwaitEvent(t, ashlartest.Action("pad.write"))
	require.Equal(t, "pads", event.GetService())
	denied := p.AwaitEvent(t, func(e *auditv1.Event) bool {
		return e.GetOutcome() == auditv1.Outcome_OUTCOME_DENIED && e.GetActor().GetId() == ada.UserID
	})
	require.Equal(t, other, denied.GetOrganizationId())
	require.Equal(t, "pads.pad.write", denied.GetAttributes()["permission"])
}

func TestAPlatform(t *testing.T) {
	t.Parallel()
	p := ashlartest.Start(t, pads{})
	tell(t, p)

	// The core services are real, too.
	org := p.Organization(t, "Members")
	bob := p.SignIn(t, ashlartest.Member(org))
	mine, err := identityv1connect.NewOrganizationServiceClient(bob.Client()).ListOrganizations(t.Context(), &identityv1.ListOrganizationsRequest{})
	require.NoError(t, err)
	require.Len(t, mine.GetOrganizations(), 1)
	require.Equal(t, org, mine.GetOrganizations()[0].GetId())
	who, err := authv1connect.NewAuthServiceClient(bob.Client()).WhoAmI(t.Context(), &authv1.WhoAmIRequest{})
	require.NoError(t, err)
	require.Equal(t, bob.UserID, who.GetUserId())
	require.Equal(t, bob.Email, who.GetEmail())

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL()+"/healthz", http.NoBody)
	require.NoError(t, err)
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	_, _ = io.Copy(io.Discard, response.Body)
	require.NoError(t, response.Body.Close())
}

func TestAPlatformOnPostgres(t *testing.T) {
	t.Parallel()
	tell(t, ashlartest.StartWith(t, ashlartest.Options{Postgres: true}, pads{}))
}

// Platforms share nothing: what is done in one is not seen in another, and they do not mind each other.
func TestManyPlatforms(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			p := ashlartest.Start(t, pads{})
			admin := identityv1connect.NewOrganizationServiceClient(p.Administrator(t).Client())
			for range i {
				p.Organization(t, "Acme")
			}
			mine, err := admin.ListOrganizations(t.Context(), &identityv1.ListOrganizationsRequest{})
			require.NoError(t, err)
			require.Len(t, mine.GetOrganizations(), i)
			tell(t, p)
		})
	}
}

// A test may take longer than a token is good for.
func TestTheAdministratorSignsInAgain(t *testing.T) {
	t.Parallel()
	p := ashlartest.Start(t)
	first := p.Administrator(t)
	require.Same(t, first, p.Administrator(t))
	p.AgeAdministrator(5 * time.Minute)
	again := p.Administrator(t)
	require.NotEqual(t, first.Token, again.Token)
	require.Equal(t, first.UserID, again.UserID)
	require.Same(t, again, p.Administrator(t))
	p.Organization(t, "Acme")
}

// Many people can sign in: what prepares a test is not held up by the limits of the gateway.
func TestManyPeople(t *testing.T) {
	t.Parallel()
	p := ashlartest.Start(t)
	seen := map[string]bool{}
	for range 80 {
		seen[p.SignIn(t).UserID] = true
	}
	require.Len(t, seen, 80)
}

// How long it takes until a platform is ready: go test -v -run TestReady shows it.
func TestReady(t *testing.T) {
	if !testing.Verbose() {
		t.Skip("only measured with -v, because otherwise nobody would see it")
	}
	var ready, stopped, signedIn []time.Duration
	for i := range 7 {
		var end time.Time
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Cleanup(func() { stopped = append(stopped, time.Since(end)) })
			begun := time.Now()
			p := ashlartest.Start(t, pads{})
			ready = append(ready, time.Since(begun))
			org := p.Organization(t, "Acme")
			begun = time.Now()
			p.SignIn(t, ashlartest.Role("pads.writer", org))
			signedIn = append(signedIn, time.Since(begun))
			end = time.Now()
		})
	}
	t.Logf("ready after %s (the first, which applies the migrations: %s); one more person with a role: %s; stopped in %s",
		median(ready[1:]), ready[0].Round(time.Millisecond), median(signedIn), median(stopped))
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2].Round(time.Millisecond)
}

func TestExample(t *testing.T) { testYourService(t) }
