package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	browserWithin = time.Minute
	page          = `<!doctype html><meta charset="utf-8"><title>Ashlar</title><link rel="icon" href="data:,"><script type="module" src="/browser.js"></script>`
)

// outcome is what a page says of its calls: see ts/browser.ts.
type outcome struct {
	Email      string `json:"email"`
	WhoAmI     string `json:"whoAmI"`
	Code       string `json:"code"`
	Reason     string `json:"reason"`
	Permission string `json:"permission"`
	Failure    string `json:"failure"`
}

// visit serves a page at an address, opens it in Chromium, and returns what it says of its calls.
func visit(t *testing.T, address, gateway string) map[string]outcome {
	t.Helper()
	needs(t, "chromium")
	folder := consumer(t)
	script := filepath.Join(t.TempDir(), "browser.js")
	inFolder(t, folder, filepath.Join(folder, "node_modules", ".bin", "esbuild"), "browser.ts",
		"--bundle", "--format=esm", "--target=es2022", "--log-level=warning", "--outfile="+script)

	said := make(chan map[string]outcome, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(page))
	})
	mux.HandleFunc("GET /browser.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, script) })
	mux.HandleFunc("POST /outcomes", func(_ http.ResponseWriter, r *http.Request) {
		var outcomes map[string]outcome
		if err := json.NewDecoder(r.Body).Decode(&outcomes); err != nil {
			t.Errorf("what the page says: %v", err)
		}
		said <- outcomes
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: browserWithin}
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	browse(t, (&url.URL{Scheme: "http", Host: address, Path: "/", RawQuery: url.Values{"gateway": {gateway}}.Encode()}).String())
	select {
	case outcomes := <-said:
		return outcomes
	case <-time.After(browserWithin):
		require.FailNow(t, "the page did not say how its calls went")
		return nil
	}
}

// browse opens a page in a Chromium of its own, until the test ends.
func browse(t *testing.T, address string) {
	t.Helper()
	profile := t.TempDir()
	args := []string{
		"--headless", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
		"--remote-debugging-port=0", // it stays until it is ended
		"--user-data-dir=" + profile, address,
	}
	if os.Geteuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...) // which root cannot have
	}
	cmd := exec.Command("chromium", args...)
	log := &output{}
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, environ()
	// A group of its own, because it starts many processes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = eventually(failWithin, func() error { return os.RemoveAll(profile) })
		if t.Failed() {
			t.Logf("Chromium said:\n%s", log)
		}
	})
}

// A page of another origin that the gateway knows can call, and understands what it is refused.
func TestBrowserFromAnAllowedOrigin(t *testing.T) {
	p := shared(t)
	outcomes := visit(t, common.origin, p.url())
	require.Len(t, outcomes, 4)
	for protocol, o := range outcomes {
		assert.Empty(t, o.Failure, protocol)
		assert.NotEmpty(t, o.Email, protocol)
		assert.Equal(t, o.Email, o.WhoAmI, protocol)
		assert.Equal(t, "PermissionDenied", o.Code, protocol)
		assert.Equal(t, "PERMISSION_DENIED", o.Reason, protocol)
		assert.Equal(t, "identity.organization.read", o.Permission, protocol)
	}
}

// For a page of an origin that it does not know the browser keeps calls from happening.
func TestBrowserFromAnotherOrigin(t *testing.T) {
	p := shared(t)
	other, err := freeAddress()
	require.NoError(t, err)
	for protocol, o := range visit(t, other, p.url()) {
		assert.Empty(t, o.Email, protocol)
		assert.Equal(t, "Unknown", o.Code, protocol)
		assert.Contains(t, o.Failure, "Failed to fetch", protocol)
	}
}
