package gateway

import (
	"ashlar.dev/kernel/config"
	"ashlar.dev/kernel/lifecycle"
	"ashlar.dev/kernel/telemetry"
	"ashlar.dev/platform/service"
)

// NewProcess puts together a gateway that has a process of its own and finds services in Consul. again reads its
// configuration anew while it runs.
func NewProcess(cfg Config, again config.Again[Config]) (*lifecycle.Group, error) {
	reload := WithReload(cfg, again)
	build := func(common service.Config, env *service.Environment, t *telemetry.Telemetry, fail service.Fail) ([]lifecycle.Component, error) {
		cfg.Config = common
		g, err := New(cfg, env, t, fail, reload)
		if err != nil {
			return nil, err
		}
		return g.Components(), nil
	}
	easeCollector()
	return service.Process(cfg.Config, Name, Version, build)
}
