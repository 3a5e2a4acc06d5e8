package openapi

import (
	"embed"
	"net/http"
)

// The page is swagger-ui-dist 5.35.0 from npm, unchanged (Apache-2.0; its licences are beside it), and a few lines of our
// own. `task gen:page` brings another version; a test compares with what npm gives.
//
//go:embed page/index.html page/page.js page/swagger-ui/*.gz page/swagger-ui/LICENSE page/swagger-ui/NOTICE page/swagger-ui/*.txt
var assets embed.FS

// The paths that are served. The gateway keeps them for itself: no service can have them (routes.reserved).
const (
	jsonPath = "/openapi.json"
	yamlPath = "/openapi.yaml"
	pagePath = "/docs"
)

// policy lets the page load what it brings along and call this gateway, and nothing else (W3C CSP level 3).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// retryAfter is how soon a document is there, in seconds, where one is being made.
const retryAfter = "1"

// pages are the files of the page by their paths.
var pages = func() map[string]file {
	out := map[string]file{}
	for path, each := range map[string]struct{ name, mediaType string }{
		pagePath:              {"index.html", "text/html; charset=utf-8"},
		pagePath + "/page.js": {"page.js", "text/javascript; charset=utf-8"},
	} {
		content, err := assets.ReadFile("page/" + each.name)
		if err != nil {
			panic(err) // what is embedded is there
		}
		f, err := newFile(each.mediaType, content)
		if err != nil {
			panic(err)
		}
		out[path] = f
	}
	for name, mediaType := range map[string]string{"swagger-ui-bundle.js": "text/javascript; charset=utf-8", "swagger-ui.css": "text/css; charset=utf-8"} {
		zipped, err := assets.ReadFile("page/swagger-ui/" + name + ".gz")
		if err != nil {
			panic(err)
		}
		out[pagePath+"/"+name] = zippedFile(mediaType, zipped)
	}
	return out
}()

// Serves tells whether a path is one of the document or the page.
func (p *Publisher) Serves(path string) bool {
	if path == jsonPath || path == yamlPath {
		return true
	}
	_, ok := pages[path]
	return ok
}

// ServeHTTP implements http.Handler for the paths that Serves names.
func (p *Publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	if f, ok := pages[r.URL.Path]; ok {
		f.serve(w, r)
		return
	}
	newest := p.newest.Load()
	if newest == nil {
		header.Set("Retry-After", retryAfter)
		http.Error(w, "The document is being made, or cannot be: see the gateway's log.", http.StatusServiceUnavailable)
		return
	}
	if r.URL.Path == yamlPath {
		newest.yaml.serve(w, r)
		return
	}
	newest.json.serve(w, r)
}
