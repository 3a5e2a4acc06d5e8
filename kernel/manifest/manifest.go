// Package manifest reads module.yaml, in which every service says what it is: its RPC services, what it depends on,
// which permissions and roles it brings, and how the gateway treats it. It must not know any service, nor whether what
// a manifest says of others is true: package modulecheck compares manifests with each other and with schemas.
package manifest

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/finding"
)

// Manifest is the content of a module.yaml.
type Manifest struct {
	Name        string
	Version     string
	Description string
	Services    []string
	DependsOn   []Dependency
	Database    Database
	Permissions []Permission
	Roles       []Role
	Gateway     Gateway

	file   string
	places map[string]finding.Place
}

// Database says where the service keeps its data. The zero value is a service without a database.
type Database struct {
	Schema string
}

// Permission is something that a caller may be allowed to do; its id has the form module.resource.action.
type Permission struct {
	ID          string
	Description string
	CheckedBy   CheckedBy
}

// CheckedBy is who asks whether somebody holds a permission.
type CheckedBy string

const (
	// ByRule is the zero value: at least one RPC names the permission in its access rule.
	ByRule CheckedBy = ""
	// ByCode is a permission that no access rule names, because it takes more than a request to know whether it is
	// needed: the service's code asks for it.
	ByCode CheckedBy = "code"
)

// Role is a named set of permissions, or patterns of them, that the service brings along.
type Role struct {
	Name        string
	Description string
	Permissions []string
}

// Gateway is how the gateway treats requests for the service.
type Gateway struct {
	Expose    bool
	Timeout   time.Duration
	RateLimit *RateLimit
	Aliases   map[string]string
	// Procedures has what is particular to single procedures (`/package.Service/Method`).
	Procedures map[string]Procedure
}

// Procedure is how the gateway treats requests for one procedure.
type Procedure struct {
	// Timeout is in place of that of the service; 0: that of the service.
	Timeout time.Duration
	// RateLimit holds beside that of the service; nil: there is none.
	RateLimit *RateLimit
	Priority  Priority
	// HedgeAfter is after how long a silence a second instance is asked, too; 0: when the first looks as if it were gone.
	HedgeAfter time.Duration
	// StreamLimit bounds what each side of a stream may send; nil: the gateway's own bounds.
	StreamLimit *StreamLimit
}

// StreamLimit bounds what each side of a stream may send in all. nil is the gateway's own bound, 0 is none.
type StreamLimit struct {
	Messages *uint64
	// Bytes are those of the messages as they are sent, with the five before each.
	Bytes *uint64
}

// Priority says in which order calls are refused when a service is overloaded. The zero value is Normal.
type Priority string

const (
	// Low is refused first: what can be done later.
	Low Priority = "low"
	// Normal is what all procedures are of which nothing is said.
	Normal Priority = "normal"
	// High is refused last: what everything else needs, such as signing in.
	High Priority = "high"
)

// RateLimit allows Requests each Per, and Burst at once.
type RateLimit struct {
	Requests uint32
	Per      time.Duration
	Burst    uint32
}

// Infrastructure returns the RPC services that every service serves beside those of its manifest; none lists them.
func Infrastructure() []string {
	return []string{"ashlar.kernel.v1.ManifestService", "grpc.health.v1.Health"}
}

// Place returns where in its file something is said: `version`, `permissions[2].id`, `roles[0].permissions[1]`,
// `gateway.aliases[/.well-known/jwks.json]`. For what is not there it is the place of the nearest thing that it would
// be in; for a manifest that was made and not read, it is nowhere.
func (m *Manifest) Place(path string) finding.Place {
	for {
		if place, ok := m.places[path]; ok {
			return place
		}
		if path == "" {
			return finding.Place{File: m.file}
		}
		path = parent(path)
	}
}

// Proto returns the manifest as other services see it.
func (m *Manifest) Proto() *kernelv1.Manifest {
	out := &kernelv1.Manifest{
		Name: m.Name, Version: m.Version, Description: m.Description, Services: m.Services,
		Permissions: m.ProtoPermissions(), Roles: m.ProtoRoles(),
		Gateway: &kernelv1.GatewayPolicy{Expose: m.Gateway.Expose, Aliases: m.Gateway.Aliases},
	}
	for _, d := range m.DependsOn {
		out.DependsOn = append(out.DependsOn, d.String())
	}
	if m.Gateway.Timeout > 0 {
		out.Gateway.Timeout = durationpb.New(m.Gateway.Timeout)
	}
	out.Gateway.RateLimit = m.Gateway.RateLimit.proto()
	for name, p := range m.Gateway.Procedures {
		if out.Gateway.Procedures == nil {
			out.Gateway.Procedures = map[string]*kernelv1.ProcedurePolicy{}
		}
		out.Gateway.Procedures[name] = p.proto()
	}
	return out
}

func (p Procedure) proto() *kernelv1.ProcedurePolicy {
	out := &kernelv1.ProcedurePolicy{RateLimit: p.RateLimit.proto()}
	if p.Timeout > 0 {
		out.Timeout = durationpb.New(p.Timeout)
	}
	if p.HedgeAfter > 0 {
		out.HedgeAfter = durationpb.New(p.HedgeAfter)
	}
	if p.StreamLimit != nil {
		out.StreamLimit = &kernelv1.StreamLimit{Messages: p.StreamLimit.Messages, Bytes: p.StreamLimit.Bytes}
	}
	switch p.Priority {
	case Low:
		out.Priority = kernelv1.Priority_PRIORITY_LOW
	case Normal:
		out.Priority = kernelv1.Priority_PRIORITY_NORMAL
	case High:
		out.Priority = kernelv1.Priority_PRIORITY_HIGH
	}
	return out
}

func (l *RateLimit) proto() *kernelv1.RateLimit {
	if l == nil {
		return nil
	}
	return &kernelv1.RateLimit{Requests: l.Requests, Per: durationpb.New(l.Per), Burst: l.Burst}
}

// ProtoPermissions returns the permissions as other services see them.
func (m *Manifest) ProtoPermissions() []*kernelv1.Permission {
	out := make([]*kernelv1.Permission, len(m.Permissions))
	for i, p := range m.Permissions {
		out[i] = &kernelv1.Permission{Id: p.ID, Description: p.Description}
	}
	return out
}

// ProtoRoles returns the roles as other services see them.
func (m *Manifest) ProtoRoles() []*kernelv1.Role {
	out := make([]*kernelv1.Role, len(m.Roles))
	for i, r := range m.Roles {
		out[i] = &kernelv1.Role{Name: r.Name, Description: r.Description, Permissions: r.Permissions}
	}
	return out
}
