// Package access enforces who may call which RPC. The rule of each RPC is the proto option ashlar.options.v1.access; a
// server with a method that lacks one does not start. The package knows neither how people sign in nor how
// permissions are stored: it asks a TokenVerifier, a workload.Verifier and a Decider.
package access

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "ashlar.dev/gen/go/ashlar/options/v1"
)

// Kind is what a rule asks of a caller.
type Kind int

// The kinds of rules. The zero value permits nothing.
const (
	None Kind = iota
	Public
	Authenticated
	Permission
	Internal
)

// String returns the name of the kind as the proto option has it.
func (k Kind) String() string {
	switch k {
	case Public:
		return "public"
	case Authenticated:
		return "authenticated"
	case Permission:
		return "permission"
	case Internal:
		return "internal"
	default:
		return "none"
	}
}

// Rule says who may call one RPC.
type Rule struct {
	Kind Kind
	// Permission is the permission that the caller must hold, with Kind Permission.
	Permission string
	// field is the path to the field that names the organization, as the option has it.
	field string
	// organization is the path to the field that names the organization; empty: the permission is needed everywhere.
	organization []protoreflect.FieldDescriptor
}

// RuleOf reads the rule of a method. A method without one, or with one that means nothing, is an error.
func RuleOf(method protoreflect.MethodDescriptor) (Rule, error) {
	option, ok := proto.GetExtension(method.Options(), optionsv1.E_Access).(*optionsv1.Access)
	if !ok || option == nil {
		return Rule{}, fmt.Errorf("%s has no access rule: add `option (ashlar.options.v1.access) = {…}`", method.FullName())
	}
	rule, err := ruleOf(option, method.Input())
	if err == nil && len(rule.organization) > 0 && method.IsStreamingClient() {
		// Between the messages of a stream a permission can be lost, and a handler can act before the first one.
		err = errors.New("organization_field needs one request: the client must not stream")
	}
	if err != nil {
		return Rule{}, fmt.Errorf("%s: access rule: %w", method.FullName(), err)
	}
	return rule, nil
}

func ruleOf(option *optionsv1.Access, input protoreflect.MessageDescriptor) (Rule, error) {
	var rule Rule
	var set bool
	switch r := option.GetRule().(type) {
	case *optionsv1.Access_Public:
		rule.Kind, set = Public, r.Public
	case *optionsv1.Access_Authenticated:
		rule.Kind, set = Authenticated, r.Authenticated
	case *optionsv1.Access_Internal:
		rule.Kind, set = Internal, r.Internal
	case *optionsv1.Access_Permission:
		rule.Kind, rule.Permission, set = Permission, r.Permission, r.Permission != ""
	default:
		return Rule{}, errors.New("none of public, authenticated, permission, internal is set")
	}
	if !set {
		return Rule{}, fmt.Errorf("%s is set to nothing", rule.Kind)
	}
	path := option.GetOrganizationField()
	if path == "" {
		return rule, nil
	}
	if rule.Kind != Permission {
		return Rule{}, fmt.Errorf("organization_field means nothing with %s", rule.Kind)
	}
	fields, err := resolve(input, path)
	if err != nil {
		return Rule{}, err
	}
	rule.field, rule.organization = path, fields
	return rule, nil
}

// resolve finds the fields on a path such as "organization.id"; the last must be a single string.
func resolve(message protoreflect.MessageDescriptor, path string) ([]protoreflect.FieldDescriptor, error) {
	var fields []protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(path, ".") {
		if message == nil {
			return nil, fmt.Errorf("organization_field %q: %s is no message", path, fields[len(fields)-1].Name())
		}
		field := message.Fields().ByName(protoreflect.Name(name))
		if field == nil || field.IsList() || field.IsMap() {
			return nil, fmt.Errorf("organization_field %q: %s has no single field %q", path, message.FullName(), name)
		}
		fields = append(fields, field)
		message = field.Message()
	}
	if last := fields[len(fields)-1]; last.Kind() != protoreflect.StringKind {
		return nil, fmt.Errorf("organization_field %q is no string", path)
	}
	return fields, nil
}

// OrganizationField is the path to the request's field that names the organization, such as "note.organization_id"; empty
// where the rule names none.
func (r Rule) OrganizationField() string { return r.field }

// Organization returns the id of the organization that a request names; "" where the rule or the request names none.
func (r Rule) Organization(request proto.Message) string {
	if len(r.organization) == 0 {
		return ""
	}
	message := request.ProtoReflect()
	for _, field := range r.organization[:len(r.organization)-1] {
		message = message.Get(field).Message()
	}
	return message.Get(r.organization[len(r.organization)-1]).String()
}

// Rules holds the rule of each method of a server.
type Rules struct {
	byProcedure map[string]Rule
}

// NewRules returns rules for methods whose schemas are not ours and cannot carry the option, such as grpc.health.v1:
// by procedure.
func NewRules(foreign map[string]Rule) *Rules {
	r := &Rules{byProcedure: map[string]Rule{}}
	maps.Copy(r.byProcedure, foreign)
	return r
}

// Seal reads the rule of every method registered on server. Methods without one are an error that names them all.
// Seal must not run while calls are served.
func (r *Rules) Seal(server *connect.Server) error {
	var errs []error
	for spec := range server.Specs() {
		if _, ok := r.byProcedure[spec.Procedure]; ok {
			continue
		}
		method, ok := spec.Schema.(protoreflect.MethodDescriptor)
		if !ok {
			errs = append(errs, fmt.Errorf("%s has neither a protobuf schema nor an access rule", spec.Procedure))
			continue
		}
		rule, err := RuleOf(method)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		r.byProcedure[spec.Procedure] = rule
	}
	return errors.Join(errs...)
}

// Of returns the rule of a procedure; for an unknown one, the rule that permits nothing.
func (r *Rules) Of(procedure string) Rule { return r.byProcedure[procedure] }
