package routes

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Bounds of what one service may bind: each request for a path that no procedure has is looked up among all of them.
const (
	maxBindings      = 2000
	maxTemplateBytes = 500
)

// reserved are the first segments of paths that the gateway keeps for itself.
var reserved = []string{"healthz", "readyz", "livez", "metrics", "docs", "openapi.json", "openapi.yaml"}

// literal is what a segment or a verb may look like that stands for itself.
var literal = regexp.MustCompile(`^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$`)

// Binding is an HTTP method and a path template by which a procedure can be called (google.api.http).
type Binding struct {
	// Procedure is `/package.Service/Method`.
	Procedure string
	// Method is the HTTP method.
	Method string
	// Template is the path as it was written, such as `/v1/notes/{note_id}:archive`.
	Template string
	// Rule is where it comes from. It is not changed.
	Rule *annotations.HttpRule

	segments []string
	// fields are those that get the values of the segments, where one segment is all that a field gets.
	fields []string
	verb   string
}

// bindingsOf returns the bindings of an RPC service.
func bindingsOf(service protoreflect.ServiceDescriptor) ([]Binding, error) {
	var out []Binding
	for i := range service.Methods().Len() {
		method := service.Methods().Get(i)
		rule, ok := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
		if !ok || rule == nil {
			continue
		}
		procedure := "/" + string(service.FullName()) + "/" + string(method.Name())
		for _, each := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			b, err := parseBinding(procedure, each)
			if err != nil {
				return nil, fmt.Errorf("%s: google.api.http: %w", method.FullName(), err)
			}
			out = append(out, b)
		}
	}
	return out, nil
}

// parseBinding reads the pattern of a rule. It takes the grammar of google/api/http.proto, but for escapes in literals, and
// paths only whose first segment is a literal that nothing else begins with: neither the name of an RPC service, nor
// what the gateway itself answers.
func parseBinding(procedure string, rule *annotations.HttpRule) (Binding, error) {
	b := Binding{Procedure: procedure, Rule: rule}
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		b.Method, b.Template = http.MethodGet, pattern.Get
	case *annotations.HttpRule_Put:
		b.Method, b.Template = http.MethodPut, pattern.Put
	case *annotations.HttpRule_Post:
		b.Method, b.Template = http.MethodPost, pattern.Post
	case *annotations.HttpRule_Delete:
		b.Method, b.Template = http.MethodDelete, pattern.Delete
	case *annotations.HttpRule_Patch:
		b.Method, b.Template = http.MethodPatch, pattern.Patch
	default:
		return b, errors.New("there is no path, or a custom method, which is not supported")
	}
	if len(b.Template) > maxTemplateBytes {
		return b, fmt.Errorf("the path is longer than %d bytes", maxTemplateBytes)
	}
	path, variables, err := withoutVariables(b.Template)
	if err != nil {
		return b, fmt.Errorf("%q: %w", b.Template, err)
	}
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return b, fmt.Errorf("%q does not begin with /", b.Template)
	}
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		if rest, b.verb = rest[:i], rest[i+1:]; !literal.MatchString(b.verb) {
			return b, fmt.Errorf("%q: the verb is no word", b.Template)
		}
	}
	b.segments = strings.Split(rest, "/")
	for i, segment := range b.segments {
		last := i == len(b.segments)-1
		if segment != "*" && (segment != "**" || !last) && !literal.MatchString(segment) {
			return b, fmt.Errorf("%q: segment %q is neither a word, nor *, nor ** at the end", b.Template, segment)
		}
	}
	b.fields = make([]string, len(b.segments))
	at := len("/")
	for i, segment := range b.segments {
		for _, v := range variables {
			if v.begin == at && v.end == at+len(segment) {
				b.fields[i] = v.field
			}
		}
		at += len(segment) + len("/")
	}
	first := b.segments[0]
	if strings.ContainsAny(first, "*.") || slices.Contains(reserved, first) {
		return b, fmt.Errorf("%q: a path has to begin with a word of its own: no dot, no variable, none of %s", b.Template, strings.Join(reserved, ", "))
	}
	return b, nil
}

// span is where a variable was, in a path without variables.
type span struct {
	field      string
	begin, end int
}

// withoutVariables puts what a variable matches in its place: `{a}` is `*`, `{a=b/*}` is `b/*`.
func withoutVariables(template string) (path string, variables []span, err error) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(template, "{")
		out.WriteString(before)
		if strings.Contains(before, "}") {
			return "", nil, errors.New("a } without a {")
		}
		if !found {
			return out.String(), variables, nil
		}
		variable, rest, closed := strings.Cut(after, "}")
		if !closed || strings.Contains(variable, "{") {
			return "", nil, errors.New("a variable does not end")
		}
		field, pattern, explicit := strings.Cut(variable, "=")
		if !explicit {
			pattern = "*"
		}
		variables = append(variables, span{field: field, begin: out.Len(), end: out.Len() + len(pattern)})
		out.WriteString(pattern)
		template = rest
	}
}

// String returns the method and the template.
func (b Binding) String() string { return b.Method + " " + b.Template }

// collides tells whether two services cannot have one of the bindings each: where a path fits both, or would if only the
// method were another. That path's methods may be shared only by bindings of the same shape.
func (b Binding) collides(other Binding) bool {
	if b.verb != other.verb || !overlap(b.segments, other.segments) {
		return false
	}
	return b.Method == other.Method || !slices.Equal(b.segments, other.segments)
}

// overlap tells whether there is a path that fits both.
func overlap(a, b []string) bool {
	for i := 0; ; i++ {
		switch {
		case i < len(a) && a[i] == "**", i < len(b) && b[i] == "**":
			return true
		case i == len(a) || i == len(b):
			return len(a) == len(b)
		case a[i] != b[i] && a[i] != "*" && b[i] != "*":
			return false
		}
	}
}

// Variable is a segment of a path that differs from call to call.
type Variable struct {
	Name string
	// Field is the path to the field that gets its value; empty where none does, or only with other segments.
	Field string
	// Rest says that it may have slashes in it.
	Rest bool
}

// Path returns the template with a name in braces for each segment that is no literal, and those in their order.
func (b Binding) Path() (path string, variables []Variable) {
	var out strings.Builder
	for i, segment := range b.segments {
		out.WriteByte('/')
		if segment != "*" && segment != "**" {
			out.WriteString(segment)
			continue
		}
		v := Variable{Name: cmp.Or(b.fields[i], fmt.Sprintf("segment_%d", i+1)), Field: b.fields[i], Rest: segment == "**"}
		variables = append(variables, v)
		out.WriteString("{" + v.Name + "}")
	}
	if b.verb != "" {
		out.WriteString(":" + b.verb)
	}
	return out.String(), variables
}
