package e2e

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
)

// read returns what is in a file.
func read(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

// unzipped returns what is in a compressed file.
func unzipped(t testing.TB, path string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(read(t, path)))
	require.NoError(t, err)
	content, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(content)
}

// fetch returns what is at an address.
func fetch(t testing.TB, address string) []byte {
	t.Helper()
	response, err := http.Get(address)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", body)
	return body
}

// The call in the docs, word for word.
func TestTheCallOfTheDocs(t *testing.T) {
	p := shared(t)
	needs(t, "curl")
	owner := p.admin(t)
	org := newOrganization(t, p.url(), owner)
	var created notesv1.CreateNoteResponse
	invoke(t, p.url(), owner.token, createNote, &notesv1.CreateNoteRequest{OrganizationId: org, Title: "Milk"}, &created)

	blocks := inLanguage(section(t, "docs/gateway.md", "REST"), "sh")
	require.Len(t, blocks, 1)
	sh := newShell(t)
	sh.run(fmt.Sprintf("gateway=%s org=%s id=%s token=%s", p.url(), org, created.GetNote().GetId(), owner.token))
	assert.Equal(t, "Bread", member(t, sh.run(blocks[0]), "title"))
}

// The document of the whole platform is an OpenAPI 3.1 document, says somebody else.
func TestOpenAPIIsValid(t *testing.T) {
	p := shared(t)
	folder := project(t)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "openapi.json"), fetch(t, p.url()+"/openapi.json"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "validate.mjs"), []byte(`
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
const validator = new Validator();
const { valid, errors } = await validator.validate(JSON.parse(readFileSync("openapi.json", "utf8")));
console.log(JSON.stringify({ valid, version: validator.version, errors }));
`), 0o600))
	var said struct {
		Valid   bool   `json:"valid"`
		Version string `json:"version"`
		Errors  any    `json:"errors"`
	}
	printed := inFolder(t, folder, "node", "validate.mjs")
	require.NoError(t, json.Unmarshal([]byte(printed), &said), printed)
	assert.True(t, said.Valid, "%v", said.Errors)
	assert.Equal(t, "3.1", said.Version)
}

// The page shows what the document has, in a browser that loads only what the gateway gives.
func TestThePageShowsWhatCanBeCalled(t *testing.T) {
	p := shared(t)
	needs(t, "chromium")
	args := []string{
		"--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-extensions", "--user-data-dir=" + t.TempDir(),
		"--virtual-time-budget=30000", "--enable-logging=stderr", "--dump-dom", p.url() + "/docs",
	}
	if os.Geteuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...) // which root cannot have
	}
	cmd := exec.CommandContext(t.Context(), "chromium", args...)
	var page, log strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.Env = &page, &log, environ()
	require.NoError(t, cmd.Run(), "%s", &log)
	for _, service := range []string{"ashlar.auth.v1.AuthService", "acme.notes.v1.NoteService"} {
		assert.Contains(t, page.String(), service)
	}
	assert.NotContains(t, page.String(), "PolicyService", "it is internal")
	assert.NotContains(t, log.String(), "CONSOLE", "nothing went wrong, and nothing was kept from loading")
}

// What is checked in of the page is what npm gives for the version that is pinned.
func TestThePageIsAsNpmGivesIt(t *testing.T) {
	given := filepath.Join(root, "tools", "ts", "node_modules", "swagger-ui-dist")
	if _, err := os.Stat(given); err != nil {
		missing(t, "tools/ts/node_modules is missing: `./taskw gen:proto` installs it")
	}
	kept := filepath.Join(root, "gateway", "internal", "openapi", "page", "swagger-ui")
	for _, name := range []string{"swagger-ui-bundle.js", "swagger-ui.css"} {
		assert.Equal(t, read(t, filepath.Join(given, name)), unzipped(t, filepath.Join(kept, name+".gz")), name)
	}
	for _, name := range []string{"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} {
		assert.Equal(t, read(t, filepath.Join(given, name)), read(t, filepath.Join(kept, name)), name)
	}
}
