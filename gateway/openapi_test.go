package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/api/annotations"

	"ashlar.dev/gateway"
	"ashlar.dev/gen/go/acme/notes/v1/notesv1connect"
)

func published(c *gateway.Config) { c.OpenAPI = true }

// openapi is the part of a document that these tests look at.
type openapi struct {
	OpenAPI string                               `json:"openapi"`
	Paths   map[string]map[string]map[string]any `json:"paths"`
	Tags    []struct {
		Name string `json:"name"`
	} `json:"tags"`
}

// document waits until the document has a path, and returns the document.
func (w *world) document(path string) (openapi, *http.Response) {
	w.t.Helper()
	var d openapi
	var response *http.Response
	require.Eventually(w.t, func() bool {
		var body string
		response, body = w.rest(http.MethodGet, "/openapi.json", "", nil)
		d = openapi{}
		return response.StatusCode == http.StatusOK && json.Unmarshal([]byte(body), &d) == nil && d.Paths[path] != nil
	}, within, 5*time.Millisecond, path)
	return d, response
}

// The document has all that can be called, by each way in which it can be, and who may; and nothing else.
func TestOpenAPI(t *testing.T) {
	w, _ := newShelf(t, published)
	w.add(bound(t, "echo", "acme.echo.v1", map[string]*annotations.HttpRule{
		"Secret": bindGet("/v1/secret"), "Look": bindGet("/v1/look/{fields=a/*/b/**}:peek"),
	}))
	w.routable(look, true)
	d, response := w.document(look)
	assert.Equal(t, "3.1.0", d.OpenAPI)
	assert.Equal(t, "application/json", response.Header.Get("Content-Type"))

	create := d.Paths["/v1/organizations/{organization_id}/notes"]["post"]
	assert.Equal(t, map[string]any{"kind": "permission", "permission": "notes.note.write", "organizationField": "organization_id"}, create["x-ashlar-access"])
	assert.Equal(t, []any{map[string]any{"bearer": []any{}}}, create["security"])
	assert.NotContains(t, text(t, create["requestBody"]), "organizationId", "it is in the path")
	assert.Contains(t, text(t, create["requestBody"]), `"maxLength":200`)
	list := d.Paths["/v1/organizations/{organization_id}/notes"]["get"]
	assert.Contains(t, text(t, list["parameters"]), `"name":"pageSize"`)
	assert.NotContains(t, text(t, list["parameters"]), `"name":"organizationId"`)
	assert.NotContains(t, d.Paths, "/v1/organizations/{note.organization_id}/notes/{note.id}", "the same path has one name")
	assert.Contains(t, d.Paths["/v1/organizations/{organization_id}/notes/{note_id}"], "patch")
	assert.Contains(t, d.Paths, notesv1connect.NoteServiceWatchNotesProcedure)
	assert.Contains(t, d.Paths[notesv1connect.NoteServiceGetNoteProcedure], "get")
	assert.NotContains(t, d.Paths[notesv1connect.NoteServiceCreateNoteProcedure], "get")
	assert.Equal(t, []any{}, d.Paths[look]["post"]["security"])
	assert.NotContains(t, d.Paths, secret)
	assert.NotContains(t, d.Paths, "/v1/secret")
	assert.Contains(t, d.Paths, "/v1/look/a/{segment_4}/b/{segment_6}:peek")

	// Asked again, it is not sent again.
	response, body := w.rest(http.MethodGet, "/openapi.json", "", http.Header{"If-None-Match": {response.Header.Get("Etag")}})
	assert.Equal(t, http.StatusNotModified, response.StatusCode)
	assert.Empty(t, body)

	_, asYAML := w.rest(http.MethodGet, "/openapi.yaml", "", nil)
	var same openapi
	require.NoError(t, yaml.Unmarshal([]byte(asYAML), &same))
	assert.Len(t, same.Paths, len(d.Paths))
}

func TestDocumentsAreReadOnlyAndOfNobodyElse(t *testing.T) {
	w := newWorld(t, published)
	for path, mediaType := range map[string]string{
		"/docs": "text/html", "/docs/page.js": "text/javascript", "/docs/swagger-ui.css": "text/css", "/docs/swagger-ui-bundle.js": "text/javascript",
	} {
		response, body := w.rest(http.MethodGet, path, "", nil)
		assert.Equal(t, http.StatusOK, response.StatusCode, path)
		assert.Contains(t, response.Header.Get("Content-Type"), mediaType)
		assert.Contains(t, response.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'")
		assert.NotEmpty(t, body)
		response, _ = w.rest(http.MethodPost, path, "{}", nil)
		assert.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)
		response, body = w.rest(http.MethodHead, path, "", nil)
		assert.Equal(t, http.StatusOK, response.StatusCode)
		assert.Empty(t, body)
	}
	_, page := w.rest(http.MethodGet, "/docs", "", nil)
	assert.NotContains(t, page, "://", "nothing comes from elsewhere")
	for _, path := range []string{"/docs/", "/docs/../docs", "/docs/%70age.js", "/docs/index.html", "/docs/nothing"} {
		response, _ := w.rest(http.MethodGet, path, "", nil)
		assert.Equal(t, http.StatusNotFound, response.StatusCode, path)
	}
}

func TestNothingIsDescribedWhereThatIsNotWanted(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/openapi.json", "/openapi.yaml", "/docs", "/docs/swagger-ui.css"} {
		response, _ := w.rest(http.MethodGet, path, "", nil)
		assert.Equal(t, http.StatusNotFound, response.StatusCode, path)
	}
}

// A document follows what can be called.
func TestOpenAPIFollowsServices(t *testing.T) {
	w, _ := newShelf(t, published)
	d, _ := w.document(notesv1connect.NoteServiceGetNoteProcedure)
	require.NotContains(t, d.Paths, look)
	w.add(echoOffer(t, newEcho()))
	d, _ = w.document(look)
	assert.Contains(t, d.Paths, notesv1connect.NoteServiceGetNoteProcedure)
}

// While there are two versions of a service each procedure is described once, as the newer one has it.
func TestOpenAPIOfTwoVersions(t *testing.T) {
	w := newWorld(t, published)
	w.release(t, "echo-1", "1.0.0", newEcho())
	w.release(t, "echo-2", "2.0.0", newEcho())
	w.routable(added, true)
	w.routable(change, true)
	d, _ := w.document(added)
	of := d.Paths[look]["post"]
	assert.Equal(t, "EchoService_Look", of["operationId"])
	assert.Equal(t, map[string]any{"kind": "authenticated"}, of["x-ashlar-access"])
	tags := map[string]int{}
	for _, tag := range d.Tags {
		tags[tag.Name]++
	}
	assert.Equal(t, 1, tags["acme.echo.v1.EchoService"])
}

func text(t *testing.T, value any) string {
	t.Helper()
	out, err := json.Marshal(value)
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}
