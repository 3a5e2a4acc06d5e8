package openapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/goccy/go-yaml"

	"ashlar.dev/gateway/internal/routes"
)

// maxDocumentBytes bounds what is kept in memory, before compression.
const maxDocumentBytes = 32 << 20

// Publisher makes a document of each table and serves the newest one, and a page that shows it. It is safe for
// concurrent use.
type Publisher struct {
	log     *slog.Logger
	newest  atomic.Pointer[edition]
	running sync.WaitGroup

	mu sync.Mutex
	// next is the table that comes after the one of which a document is being made.
	next   *routes.Table
	making bool
}

// edition is one document in the forms in which it is asked for.
type edition struct{ json, yaml file }

// New returns a publisher that has no document yet.
func New(log *slog.Logger) *Publisher { return &Publisher{log: log} }

// Learn begins to make the document of a table, and does not wait for it. Tables that come while one is being made are
// passed over, but for the last one.
func (p *Publisher) Learn(table *routes.Table) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = table
	if !p.making {
		p.making = true
		p.running.Go(p.work)
	}
}

// Wait returns when nothing is being made.
func (p *Publisher) Wait() { p.running.Wait() }

func (p *Publisher) work() {
	for {
		p.mu.Lock()
		table := p.next
		p.next = nil
		p.making = table != nil
		p.mu.Unlock()
		if table == nil {
			return
		}
		made, err := publish(table)
		if err != nil {
			p.log.Error("there is no OpenAPI document of what can be called now", "error", err)
		}
		p.newest.Store(made)
	}
}

// publish makes a document. It runs over what strangers wrote, so that a panic is an error.
func publish(table *routes.Table) (made *edition, err error) {
	defer func() {
		if v := recover(); v != nil {
			made, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	d, err := describe(table)
	if err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	if len(asJSON) > maxDocumentBytes {
		return nil, errTooLarge
	}
	asYAML, err := yaml.JSONToYAML(asJSON)
	if err != nil {
		return nil, err
	}
	made = &edition{}
	made.json, err = newFile("application/json", asJSON)
	if err != nil {
		return nil, err
	}
	made.yaml, err = newFile("application/yaml", asYAML) // RFC 9512
	return made, err
}

// file is what is served under one path.
type file struct {
	mediaType string
	etag      string
	zipped    []byte
	plain     []byte // nil: only compressed, which every browser takes
}

func newFile(mediaType string, content []byte) (file, error) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := w.Write(content)
	if err = errors.Join(err, w.Close()); err != nil {
		return file{}, err
	}
	f := zippedFile(mediaType, zipped.Bytes())
	f.plain = content
	return f, nil
}

// zippedFile is one of which there is only the compressed form.
func zippedFile(mediaType string, zipped []byte) file {
	sum := sha256.Sum256(zipped)
	return file{mediaType: mediaType, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`, zipped: zipped}
}

// serve answers with the file. It may be kept, but has to be asked about each time: it changes when services do.
func (f file) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Etag", f.etag)
	header.Set("Cache-Control", "no-cache")
	header.Set("Vary", "Accept-Encoding")
	header.Set("X-Content-Type-Options", "nosniff")
	if strings.Contains(r.Header.Get("If-None-Match"), f.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	content := f.plain
	if content == nil || strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		content = f.zipped
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Type", f.mediaType)
	header.Set("Content-Length", fmt.Sprint(len(content)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(content)
	}
}
