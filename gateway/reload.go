package gateway

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"ashlar.dev/kernel/config"
)

// Option adds to a gateway.
type Option func(*Gateway)

// WithReload lets the gateway read its configuration anew when a file of it changes, and on SIGHUP. read is the
// configuration as it was read at the start, before anything was made of it.
func WithReload(read Config, again config.Again[Config]) Option {
	return func(g *Gateway) { g.reload = &reload{running: read, again: again} }
}

// reload lets a configuration that is read anew hold as a whole or not at all.
type reload struct {
	running Config // what holds
	again   config.Again[Config]
}

// reread returns what reads the configuration anew.
func (l *reload) reread(g *Gateway) (*reread, error) {
	metrics, err := newRereadMetrics(g.telemetry.Metrics, "ashlar_gateway_config", "the configuration")
	return &reread{
		what: "the configuration", files: l.running.Files(), metrics: metrics, log: g.telemetry.Log,
		read: func() ([]string, error) { return l.apply(g) },
	}, err
}

// apply lets the configuration hold that can be read now, and returns the names of what is different in it.
func (l *reload) apply(g *Gateway) (changed []string, err error) {
	for _, file := range l.running.Files() {
		// Whoever writes a file anew may begin by emptying it; without any key it would mean that all is as by default.
		if info, err := os.Stat(file); err == nil && info.Size() == 0 {
			return nil, fmt.Errorf("%s is empty", file)
		}
	}
	next, err := l.again()
	if err != nil {
		return nil, err
	}
	if err := next.validate(); err != nil {
		return nil, err
	}
	differences, err := config.Compare(l.running, next)
	if err != nil {
		return nil, err
	}
	if len(differences.Fixed) > 0 {
		return nil, errors.New("restart to change " + strings.Join(differences.Fixed, ", "))
	}
	if len(differences.Reloadable) > 0 {
		g.hold(next)
		l.running = next
	}
	return differences.Reloadable, nil
}

// hold lets what is reloadable in a configuration hold from now on.
func (g *Gateway) hold(cfg Config) {
	g.edge.Apply(cfg.settings())
	g.connections.SetBounds(cfg.connectionBounds())
	g.share(cfg)
	g.telemetry.SetLogLevel(cfg.LogLevel)
}
