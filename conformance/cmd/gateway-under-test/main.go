// Command gateway-under-test is what the runner of the official conformance suite takes for a server: it is a gateway,
// with the suite's reference server behind it. The runner starts one for each kind of server that it wants to test,
// says on standard input which, and reads on standard output where it is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"ashlar.dev/conformance/internal/suite"
	"ashlar.dev/conformance/internal/upstream"
	"ashlar.dev/gateway"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/kernel/workload"
	"ashlar.dev/platform/service"
)

// keep is the command with which this program starts itself: it runs another one, as long as the first one lives.
const keep = "keep"

// orphanCheck is the time between two looks at whether the runner is still there.
const orphanCheck = 250 * time.Millisecond

func main() {
	if len(os.Args) == 3 && os.Args[1] == keep {
		end(upstream.Keep(os.Args[2]))
		return
	}
	reference := flag.String("reference", "", "the suite's reference server: a `program`")
	schemas := flag.String("proto", "", "the `folder` of the suite's .proto files")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(ctx)
	go endWithParent(ctx, cancel)
	err := run(ctx, *reference, *schemas, os.Stdin, os.Stdout)
	cancel()
	stop()
	end(err)
}

// end ends the program where something went wrong.
func end(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "gateway-under-test: %v\n", err)
		os.Exit(1)
	}
}

// endWithParent calls end when the runner is gone without having said so. It closes standard input long before.
func endWithParent(ctx context.Context, end func()) {
	parent := os.Getppid()
	tick := time.NewTicker(orphanCheck)
	defer tick.Stop()
	for os.Getppid() == parent {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	end()
}

// run serves what the runner asks for until ctx ends.
func run(ctx context.Context, reference, schemas string, in io.Reader, out io.Writer) error {
	if reference == "" || schemas == "" {
		return errors.New("-reference and -proto are needed")
	}
	schema, err := suite.Compile(ctx, schemas)
	if err != nil {
		return err
	}
	request, err := schema.ReadRequest(in)
	if err != nil {
		return err
	}
	// The runner calls from one address, as often as it can: no limit is under test but those of the protocols.
	cfg := gateway.Config{Addr: "127.0.0.1:0", NoShedding: true}
	certificate, key, secure := request.TLS()
	cfg.HTTP3 = request.Version() == suite.HTTP3
	forget := func() {}
	if secure {
		folder, err := os.MkdirTemp("", "gateway-under-test-")
		if err != nil {
			return err
		}
		forget = func() { _ = os.RemoveAll(folder) }
		defer forget()
		if cfg.TLSCertFile, cfg.TLSKeyFile, err = write(folder, certificate, key); err != nil {
			return err
		}
	}
	group, front, err := build(ctx, cfg, reference, schema, request)
	if err != nil {
		return err
	}
	if err := group.Start(ctx); err != nil {
		return errors.Join(err, group.Stop(context.WithoutCancel(ctx)))
	}
	forget() // what was read is not needed again, and who is killed cannot remove it
	response, err := where(front.Address(), certificate)
	if err == nil {
		err = schema.WriteResponse(out, response)
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case <-group.Failed():
			err = group.Failure()
		}
	}
	return errors.Join(err, group.Stop(context.WithoutCancel(ctx)))
}

// build puts the gateway and what is behind it together.
func build(ctx context.Context, cfg gateway.Config, reference string, schema *suite.Schema, request suite.Request) (*lifecycle.Group, *gateway.Gateway, error) {
	t, err := telemetry.New(ctx, cfg.Config.Config, telemetry.Process{Service: gateway.Name, Version: gateway.Version}, io.Discard)
	if err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	env := service.NewLocalEnvironment(workload.NewClusterKey())
	behind := upstream.New([]string{self, keep, reference}, schema, request, env)
	// The gateway's first look must find it.
	env.Components = append(env.Components, behind.Component())
	var group *lifecycle.Group
	front, err := gateway.New(cfg, env, t, func(component string, err error) { group.Fail(component, err) })
	if err != nil {
		return nil, nil, err
	}
	group, err = lifecycle.NewGroup(t.Log, append(env.Components, front.Components()...)...)
	return group, front, err
}

// write puts the runner's credentials where the gateway reads them.
func write(folder string, certificate, key []byte) (certFile, keyFile string, err error) {
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	return certFile, keyFile, errors.Join(os.WriteFile(certFile, certificate, 0o600), os.WriteFile(keyFile, key, 0o600))
}

func where(address string, certificate []byte) (suite.Response, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return suite.Response{}, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return suite.Response{}, err
	}
	return suite.Response{Host: host, Port: uint32(port), Certificate: certificate}, nil
}
