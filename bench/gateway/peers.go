package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// peer is a proxy that others have made.
type peer struct {
	target

	// h2 says that it passes gRPC on.
	h2 bool
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

// startPeers starts those that are installed. They check nothing.
func (w *world) startPeers(ctx context.Context) error {
	for _, p := range []struct {
		name, program, configuration string
		arguments                    func(file string) []string
		h2                           bool
	}{
		{"HAProxy", "haproxy", haproxy, func(file string) []string { return []string{"-db", "-f", file} }, false},
		{"HAProxy h2c", "haproxy", haproxyH2, func(file string) []string { return []string{"-db", "-f", file} }, true},
		{"nginx", "nginx", nginx, func(file string) []string { return []string{"-p", filepath.Dir(file), "-c", file} }, false},
		{"nginx h2c", "nginx", nginxH2, func(file string) []string { return []string{"-p", filepath.Dir(file), "-c", file} }, true},
	} {
		program, err := exec.LookPath(p.program)
		if err != nil {
			continue
		}
		address, err := freeAddress(ctx)
		if err != nil {
			return err
		}
		file := filepath.Join(w.folder, p.name+".conf")
		text := fmt.Sprintf(p.configuration, address, w.backend.address)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		running, err := w.launch(p.name, nil, program, p.arguments(file)...)
		if err != nil {
			return err
		}
		w.others = append(w.others, peer{target: target{name: p.name, address: address, process: running}, h2: p.h2})
	}
	return nil
}

const haproxy = `
global
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  option http-keep-alive
  http-reuse always
frontend outside
  bind %s
  default_backend inside
backend inside
  option forwardfor
  server one %s
`

const haproxyH2 = `
global
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  http-reuse always
frontend outside
  bind %s proto h2
  default_backend inside
backend inside
  server one %s proto h2
`

const nginx = `
daemon off;
master_process off;
error_log stderr;
pid nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  upstream inside { server %[2]s; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen %[1]s;
    location / {
      proxy_pass http://inside;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
`

const nginxH2 = `
daemon off;
master_process off;
error_log stderr;
pid nginx-h2c.pid;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  upstream inside { server %[2]s; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen %[1]s http2;
    location / { grpc_pass grpc://inside; }
  }
}
`
