package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/discovery/consul"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/workload"
)

// fakeDir names the folder in which a fake service finds its orders, files named <service>.<order>, and leaves traces.
const fakeDir = "FAKE_DIR"

// Orders.
const (
	fail     = "fail"     // end with an error
	wait     = "wait"     // wait for audit as long as the file is there
	stubborn = "stubborn" // do not stop
	lost     = "lost"     // know no way to any service, as long as the file is there
)

// fakeService is a service that does nothing but start, be found, and stop, like a real one.
func fakeService(name string) int {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	f := &fake{name: name, dir: os.Getenv(fakeDir), log: log, status: health.NewStatus()}
	if err := f.run(ctx); err != nil {
		log.Error("cannot go on", "error", err.Error())
		return 1
	}
	return 0
}

type fake struct {
	name, dir string
	log       *slog.Logger
	status    *health.Status
}

func (f *fake) run(ctx context.Context) error {
	f.trace("pid", fmt.Sprint(os.Getpid()))
	f.trace("env", strings.Join(os.Environ(), "\n"))
	f.trace("args", strings.Join(os.Args[1:], "\n"))
	if f.ordered(fail) {
		return errors.New("the order was to fail")
	}
	key, err := workload.ReadClusterKey(os.Getenv("ASHLAR_CLUSTER_KEY_FILE"))
	if err != nil {
		return err
	}
	ops, err := f.serve(ctx, os.Getenv("ASHLAR_OPS_ADDR"))
	if err != nil {
		return err
	}
	if !f.waitFor(ctx) {
		return nil
	}
	address := "127.0.0.1:0"
	if f.name == "gateway" {
		address = os.Getenv("ASHLAR_GATEWAY_ADDR")
	}
	address, err = f.serve(ctx, address)
	if err != nil {
		return err
	}
	registry, err := consul.New(consul.Config{Address: os.Getenv("ASHLAR_CONSUL_ADDR"), Platform: key.Fingerprint()}, f.log)
	if err != nil {
		return err
	}
	f.status.SetReady(true)
	id := os.Getenv("ASHLAR_INSTANCE_ID")
	err = registry.Register(ctx, discovery.Registration{
		Instance: discovery.Instance{ID: id, Service: f.name, Address: address}, CheckURL: "http://" + ops + "/readyz",
	})
	if err != nil {
		return err
	}
	f.log.Info("ready", "address", address)

	<-ctx.Done()
	if f.ordered(stubborn) {
		f.append("refused", f.name)
		select {}
	}
	f.append("stopped", f.name)
	return errors.Join(registry.Deregister(context.Background(), id), registry.Close())
}

// waitFor waits as long as the order is there, and reports whether ctx is still alive.
func (f *fake) waitFor(ctx context.Context) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	f.status.Wait("dependencies", "waiting for audit")
	for f.ordered(wait) {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	f.status.Wait("dependencies", "")
	return true
}

func (f *fake) serve(ctx context.Context, address string) (string, error) {
	listener, err := rpc.Bind(ctx, address)
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	f.status.Mount(mux)
	mux.HandleFunc("POST /grpc.health.v1.Health/Check", func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			Service string `json:"service"`
		}
		if json.NewDecoder(r.Body).Decode(&request) != nil || !strings.HasPrefix(request.Service, "ashlar.") || f.ordered(lost) {
			f.append("unrouted", request.Service)
			http.Error(w, "no such service", http.StatusNotFound)
		}
	})
	go func() { _ = http.Serve(listener, mux) }()
	return listener.Addr().String(), nil
}

func (f *fake) ordered(order string) bool {
	_, err := os.Stat(filepath.Join(f.dir, f.name+"."+order))
	return !errors.Is(err, fs.ErrNotExist)
}

// trace leaves a file, whole.
func (f *fake) trace(what, content string) {
	path := filepath.Join(f.dir, f.name+"."+what)
	_ = os.WriteFile(path+".new", []byte(content), 0o600)
	_ = os.Rename(path+".new", path)
}

// append adds a line to a file of all services.
func (f *fake) append(file, line string) {
	out, err := os.OpenFile(filepath.Join(f.dir, file), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		_, _ = out.WriteString(line + "\n")
		_ = out.Close()
	}
}
