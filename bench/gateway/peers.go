package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/freeport"
)

// rateLimit is the limit of all that have one, in requests a second: it is asked and never reached.
const rateLimit = 1_000_000

//go:embed peers
var peerFiles embed.FS

// peer is a proxy that others have made.
type peer struct {
	target

	// program is a name or a path; configuration is a file in peers/, a template of peerSettings.
	program, configuration string
	arguments              func(file string) []string

	// h2 says that it passes gRPC on.
	h2 bool
}

// peerSettings is what the configuration of a peer depends on.
type peerSettings struct {
	Listen, Backend, Folder, PidFile string
	H2                               bool

	// Checks asks for what the gateway checks: a token's signature, issuer, audience and expiry, and the rate of its subject.
	Checks                    bool
	KeyFile, Issuer, Audience string
	Rate                      int
}

func targetsOf(peers []peer) []target { return targetsFor(peers, func(peer) bool { return true }) }

func targetsFor(peers []peer, want func(peer) bool) []target {
	var out []target
	for _, p := range peers {
		if want(p) {
			out = append(out, p.target)
		}
	}
	return out
}

// peers are all that there are.
func (w *world) peers() []peer {
	haproxy := func(file string) []string { return []string{"-db", "-f", file} }
	nginx := func(file string) []string { return []string{"-p", filepath.Dir(file), "-c", file} }
	caddy := func(file string) []string { return []string{"run", "--adapter", "caddyfile", "--config", file} }
	return []peer{
		{target{name: "HAProxy"}, "haproxy", "haproxy.cfg", haproxy, false},
		{target{name: "HAProxy with checks", checks: true}, "haproxy", "haproxy.cfg", haproxy, false},
		{target{name: "HAProxy h2c"}, "haproxy", "haproxy.cfg", haproxy, true},
		{target{name: "nginx"}, "nginx", "nginx.conf", nginx, false},
		{target{name: "nginx h2c"}, "nginx", "nginx.conf", nginx, true},
		{target{name: "Caddy"}, w.command.Caddy, "Caddyfile", caddy, false},
		{target{name: "Caddy with checks", checks: true}, w.command.Caddy, "Caddyfile", caddy, false},
		{target{name: "Caddy h2c"}, w.command.Caddy, "Caddyfile", caddy, true},
	}
}

// startPeers starts those that are there.
func (w *world) startPeers(ctx context.Context) error {
	templates, err := template.ParseFS(peerFiles, "peers/*")
	if err != nil {
		return err
	}
	if w.peerKey, err = newPeerKey(filepath.Join(w.folder, "peers.pem")); err != nil {
		return err
	}
	for _, p := range w.peers() {
		program, err := exec.LookPath(p.program)
		if err != nil {
			continue
		}
		if p.address, err = freeport.ChooseAddress(ctx); err != nil {
			return err
		}
		if p.checks {
			p.token = w.peerKey.token
		}
		var text strings.Builder
		if err := templates.ExecuteTemplate(&text, p.configuration, peerSettings{
			Listen: p.address, Backend: w.backend.address, Folder: w.folder, PidFile: filepath.Join(w.folder, p.name+".pid"), H2: p.h2,
			Checks: p.checks, KeyFile: w.peerKey.file, Issuer: authn.Issuer, Audience: authn.Audience, Rate: rateLimit,
		}); err != nil {
			return err
		}
		file := filepath.Join(w.folder, p.name+".conf")
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			return err
		}
		if p.process, err = w.launch(p.name, nil, program, p.arguments(file)...); err != nil {
			return err
		}
		w.others = append(w.others, p)
	}
	return nil
}

// refuses says whether a peer that checks tokens does: the figure of one that lets all pass would be worth nothing.
func (w *world) refuses(ctx context.Context, t target) error {
	for wrong, token := range w.peerKey.bad {
		one, err := newLean(ctx, t.address, token)
		if err != nil {
			return err
		}
		err = one.call(ctx)
		one.close()
		if answer := fmt.Sprint(err); !strings.Contains(answer, " 401 ") && !strings.Contains(answer, " 403 ") {
			return fmt.Errorf("%s was sent a token %s, and did not refuse it: %s", t.name, wrong, answer)
		}
	}
	return nil
}
