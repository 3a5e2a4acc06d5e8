package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery/consul/consultest"
)

// auditWithin is how long an event may take to be on the record.
const auditWithin = 30 * time.Second

// The README's walk, word for word; again after Ctrl-C and a second `up`; and Consul knows nobody in between.
func TestTheWalkOfTheReadme(t *testing.T) {
	needs(t, "bash", "curl", "jq")
	built(t, "buf")
	agent := consultest.Start(t)
	s := newSettings(t)
	s.consul = agent.Addr
	for _, visit := range []string{"first", "second"} {
		p := up(t, s)
		own, err := ownServices(agent.Addr)
		require.NoError(t, err)
		require.Equal(t, services, own)

		takeWalk(t, p, visit == "second")

		p.stop(t)
		own, err = ownServices(agent.Addr)
		require.NoError(t, err)
		require.Empty(t, own, "services in Consul's catalog after Ctrl-C")
		assert.NotContains(t, catalog(t, agent.Addr), "identity")
	}
}

// catalog is what `consul catalog services` prints.
func catalog(t testing.TB, consul string) []string {
	t.Helper()
	printed, err := exec.Command(consultest.Binary(t), "catalog", "services", "-http-addr="+consul).CombinedOutput()
	require.NoError(t, err, "%s", printed)
	return strings.Fields(string(printed))
}

// takeWalk does what a reader does. Blocks are recognized by what they call, so that the README can be rearranged.
func takeWalk(t *testing.T, p *platform, again bool) {
	t.Helper()
	sh := newShell(t)
	var admin, bob, org string
	seen := map[string]bool{}
	for _, text := range inLanguage(walk(t, p.url(), p.home), "sh") {
		printed := sh.run(text)
		about := func(words ...string) bool {
			for _, word := range words {
				if !strings.Contains(text, word) {
					return false
				}
			}
			seen[words[0]] = true
			return true
		}
		context := fmt.Sprintf("the block\n%s\nprinted\n%s", text, printed)
		switch {
		case about("buf curl"):
			assert.Equal(t, bob, member(t, printed, "userId"), context)
		case about("/v1/me"):
			assert.Equal(t, bob, member(t, printed, "userId"), context)
		case about("QueryEvents"):
			asked := 1
			require.NoError(t, eventually(auditWithin, func() error {
				return onRecord(printed, admin, bob, org, func() {
					printed = sh.run(text) // events arrive a moment later
					asked++
				})
			}))
			t.Logf("the record was complete when it was asked %d times", asked)
		case about("GrantRole", "UpdateOrganization"):
			objects := values(t, printed)
			require.NotEmpty(t, objects, context)
			organization, _ := objects[len(objects)-1]["organization"].(map[string]any)
			assert.Equal(t, "Apex", organization["displayName"], context)
			bob = strings.TrimSpace(sh.run(`echo "$bob_id"`))
			assert.True(t, strings.HasPrefix(bob, "usr_"), bob)
		case about("UpdateOrganization"):
			refused(t, printed, org)
		case about("SignUp"):
			if again {
				assert.Equal(t, "already_exists", member(t, printed, "code"), context)
			} else {
				assert.True(t, strings.HasPrefix(member(t, printed, "userId"), "usr_"), context)
			}
			assert.Greater(t, len(sh.run(`echo "$bob"`)), 100, "Bob's access token")
		case about("CreateOrganization"):
			assert.Empty(t, printed, context)
			org = strings.TrimSpace(sh.run(`echo "$org"`))
			require.True(t, strings.HasPrefix(org, "org_"), org)
		case about("admin-password"):
			admin = member(t, printed, "userId")
			assert.Equal(t, adminEmail, member(t, printed, "email"), context)
		default:
			assert.Empty(t, printed, context)
		}
	}
	for _, step := range []string{"admin-password", "CreateOrganization", "SignUp", "UpdateOrganization", "GrantRole", "QueryEvents", "buf curl", "/v1/me"} {
		assert.True(t, seen[step], "no block of the README is about %s", step)
	}
}

// refused checks the error that Bob gets: it says what he lacks, for people and for programs.
func refused(t *testing.T, printed, org string) {
	t.Helper()
	var said struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Details []struct {
			Type  string `json:"type"`
			Debug struct {
				Reason   string            `json:"reason"`
				Metadata map[string]string `json:"metadata"`
			} `json:"debug"`
		} `json:"details"`
	}
	require.NoError(t, json.Unmarshal([]byte(printed), &said), printed)
	assert.Equal(t, "permission_denied", said.Code)
	assert.Contains(t, said.Message, "identity.organization.update")
	require.NotEmpty(t, said.Details, printed)
	assert.Equal(t, "google.rpc.ErrorInfo", said.Details[0].Type)
	assert.Equal(t, "PERMISSION_DENIED", said.Details[0].Debug.Reason)
	assert.Equal(t, map[string]string{"permission": "identity.organization.update", "organization": org}, said.Details[0].Debug.Metadata)

	var raw answer
	require.NoError(t, understandConnect(&raw, []byte(printed)))
	assert.Equal(t, "PERMISSION_DENIED", raw.info().GetReason())
}

// onRecord checks the lines of the audit record; where some are not there yet, it asks again for the next time.
func onRecord(printed, admin, bob, org string, again func()) error {
	var got []string
	for line := range strings.Lines(printed) {
		columns := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(columns) != 5 {
			continue
		}
		if _, err := time.Parse(time.RFC3339Nano, columns[0]); err != nil {
			return err
		}
		got = append(got, strings.Join(columns[1:4], " "))
		if strings.HasPrefix(columns[1], "organization.") && columns[4] != org {
			return fmt.Errorf("resource %q is not the organization %s", columns[4], org)
		}
	}
	for _, want := range []string{
		"organization.create OUTCOME_SUCCESS " + admin,
		"access.deny OUTCOME_DENIED " + bob,
		"grant.create OUTCOME_SUCCESS " + admin,
		"organization.update OUTCOME_SUCCESS " + bob,
	} {
		if !slices.Contains(got, want) {
			again()
			return fmt.Errorf("the record does not hold %q:\n%s", want, printed)
		}
	}
	return nil
}

// values reads the JSON objects that a block printed, one after the other.
func values(t testing.TB, printed string) []map[string]any {
	t.Helper()
	var objects []map[string]any
	decoder := json.NewDecoder(strings.NewReader(printed))
	for decoder.More() {
		var object map[string]any
		require.NoError(t, decoder.Decode(&object), printed)
		objects = append(objects, object)
	}
	return objects
}

// member returns a string of the last JSON object that a block printed.
func member(t testing.TB, printed, name string) string {
	t.Helper()
	objects := values(t, printed)
	require.NotEmpty(t, objects, printed)
	text, _ := objects[len(objects)-1][name].(string)
	return text
}

func TestConsulListsEveryService(t *testing.T) {
	p := shared(t)
	listed := catalog(t, p.consul)
	for _, name := range services {
		assert.Contains(t, listed, name)
	}
}

// The password of the first administrator is shown once, and kept where only its owner can read it.
func TestThePasswordIsKeptSafe(t *testing.T) {
	p := shared(t)
	info, err := os.Stat(filepath.Join(p.home, "admin-password"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	assert.Contains(t, p.stdout.String(), p.password(t))
	logs, err := filepath.Glob(filepath.Join(p.home, "logs", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	for _, log := range logs {
		content, err := os.ReadFile(log)
		require.NoError(t, err)
		assert.NotContains(t, string(content), p.password(t), log)
	}
}
