package service

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/kernel/health"
	"ashlar.dev/kernel/lifecycle"
)

// Leaving the registry has its own time, whatever is left of the caller's.
const (
	deregisterTimeout = 2 * time.Second
	leaveTimeout      = deregisterTimeout + time.Second
)

// Membership is the place of a process in the registry: it joins last, when it can serve, and leaves first.
type Membership struct {
	Registrar discovery.Registrar
	Status    *health.Status
	Log       *slog.Logger
	Ops       *Ops
	// Instance is what is registered; its address is asked for when the process listens.
	Instance discovery.Instance
	// Zone and Weight say how much others send to the process; see Config.
	Zone   string
	Weight *int
	Bound  func() string
	// AdvertiseAddr is the host under which others reach the process; see Advertised.
	AdvertiseAddr string
	DependsOn     []string
	// DrainTime is how long the process goes on serving after it has left, so that callers notice before they are
	// turned away.
	DrainTime time.Duration
}

// Component returns what joins and leaves. It comes after everything that calls need.
func (m *Membership) Component() lifecycle.Component {
	return lifecycle.Component{Name: registration, Start: m.join, Stop: m.leave, StopTimeout: m.DrainTime + leaveTimeout}
}

const (
	registration   = "registration"
	relay          = "outbox"
	databaseOf     = "database"
	dependenciesOf = "dependencies"
)

// Outbox returns the name of the component of a service that delivers its events to audit. It needs the service's database,
// and nothing of the service comes to harm where it starts late.
func Outbox(service string) string { return service + "/" + relay }

// Dependencies returns the name of the component of a service before which it needs no other service to be there.
func Dependencies(service string) string { return service + "/" + dependenciesOf }

// Registration returns the name of the component of a service whose start makes the service ready for others.
func Registration(service string) string { return service + "/" + registration }

func (m *Membership) join(ctx context.Context) error {
	address, err := Advertised(m.Bound(), m.AdvertiseAddr)
	if err != nil {
		return err
	}
	ops, err := advertisedOps(m.Ops.Address(), m.AdvertiseAddr)
	if err != nil {
		return err
	}
	m.Status.SetReady(true)
	instance := m.Instance
	instance.Address = address
	instance.Metadata = m.metadata(time.Now(), ops)
	err = m.Registrar.Register(ctx, discovery.Registration{Instance: instance, CheckURL: m.Ops.CheckURL()})
	if err != nil {
		m.Status.Stop()
		// The registry may have got it all the same, and a component that has not started is not stopped.
		if left := m.deregister(context.WithoutCancel(ctx)); left != nil {
			m.Log.WarnContext(ctx, "cannot take back a registration that failed", "instance", instance.ID, "error", left)
		}
		return err
	}
	m.Log.InfoContext(ctx, "ready", "address", address, "version", instance.Version)
	return nil
}

// metadata is what the process says about itself.
func (m *Membership) metadata(started time.Time, ops string) map[string]string {
	out := map[string]string{discovery.MetadataStarted: started.UTC().Format(time.RFC3339)}
	if len(m.DependsOn) > 0 {
		out[discovery.MetadataDependsOn] = strings.Join(m.DependsOn, ",")
	}
	if ops != "" {
		out[discovery.MetadataOps] = ops
	}
	if m.Zone != "" {
		out[discovery.MetadataZone] = m.Zone
	}
	if m.Weight != nil {
		out[discovery.MetadataWeight] = strconv.Itoa(*m.Weight)
	}
	return out
}

// advertisedOps is where others reach an operations listener; one that only this machine reaches, or that is off, stays what
// it is.
func advertisedOps(bound, host string) (string, error) {
	if bound == "" || isLoopback(bound) {
		return bound, nil
	}
	return Advertised(bound, host)
}

// leave deregisters and waits for the drain time. A registry that cannot be reached must not keep the process from
// stopping, and waiting is not cut short by a failed deregistration, which is the result.
func (m *Membership) leave(ctx context.Context) error {
	m.Status.Stop()
	err := m.deregister(ctx)
	timer := time.NewTimer(m.DrainTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return err
}

func (m *Membership) deregister(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, deregisterTimeout)
	defer cancel()
	return m.Registrar.Deregister(ctx, m.Instance.ID)
}
