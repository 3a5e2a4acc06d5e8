// Package openapi describes all that can be called through the gateway in an OpenAPI 3.1 document, made of the schemas
// that services bring along, and shows it on a page. It knows no service by name.
package openapi

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"ashlar.dev/gateway/internal/routes"
	"ashlar.dev/kernel/access"
)

// version is the OpenAPI version that the document follows.
const version = "3.1.0"

// maxSchemas bounds how much is described: a document that nobody can open helps nobody.
const maxSchemas = 20_000

var errTooLarge = errors.New("there is too much to describe in one document")

// object is a JSON object. encoding/json writes its members in the order of their names.
type object = map[string]any

// document is one that is being made.
type document struct {
	paths   object
	schemas object
	// shapes are the paths of REST by what they look like without the names of variables: OpenAPI takes two paths that
	// differ in such names only for the same.
	shapes     map[string]string
	operations map[string]int
	failure    error
}

// describe returns the document of a table.
func describe(table *routes.Table) (object, error) {
	d := &document{paths: object{}, schemas: object{}, shapes: map[string]string{}, operations: map[string]int{}}
	var tags []any
	tagged := map[protoreflect.FullName]bool{}
	for _, module := range table.Modules() { // a newer version comes before the older ones, of which there is what it has not
		bindings := map[string][]routes.Binding{}
		for _, b := range module.Bindings() {
			bindings[b.Procedure] = append(bindings[b.Procedure], b)
		}
		for _, service := range module.RPCServices() {
			if name := service.FullName(); !tagged[name] {
				tagged[name] = true
				tags = append(tags, object{"name": string(name), "description": "Of the service " + module.Service + ", version " + module.Version + "."})
			}
			for i := range service.Methods().Len() {
				if err := d.add(service.Methods().Get(i), bindings); err != nil {
					return nil, err
				}
			}
		}
	}
	if d.failure != nil {
		return nil, d.failure
	}
	maps.Copy(d.schemas, errorSchemas())
	return object{
		"openapi": version,
		"info": object{
			"title": "What can be called through this gateway", "version": "1",
			"description": "Each procedure can be called by Connect, gRPC and gRPC-Web at `/package.Service/Method`, and by REST where a path says so. " +
				"Access tokens come from `ashlar.auth.v1.AuthService/Login`.",
		},
		"servers": []any{object{"url": "/"}},
		"tags":    tags,
		"paths":   d.paths,
		"components": object{
			"schemas":         d.schemas,
			"responses":       errorResponses(),
			"securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
			"parameters": object{"timeout": object{
				"name": "Connect-Timeout-Ms", "in": "header", "schema": object{"type": "integer", "minimum": 0},
				"description": "How long the call may take, in milliseconds.",
			}},
		},
	}, nil
}

// add describes a method by each way in which it can be called.
func (d *document) add(method protoreflect.MethodDescriptor, bindings map[string][]routes.Binding) error {
	rule, err := access.RuleOf(method)
	if err != nil {
		return err
	}
	procedure := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
	streams := method.IsStreamingClient() || method.IsStreamingServer()
	if !streams {
		for _, b := range bindings[procedure] {
			d.rest(method, rule, b)
		}
	}
	item := object{"post": d.connect(method, rule, streams)}
	if options, ok := method.Options().(*descriptorpb.MethodOptions); ok && !streams &&
		options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
		item["get"] = d.connectGet(method, rule)
	}
	d.paths[procedure] = item
	return nil
}

// operation is what all operations of a method have.
func (d *document) operation(method protoreflect.MethodDescriptor, rule access.Rule, way string) object {
	id := string(method.Parent().Name()) + "_" + string(method.Name()) + way
	if d.operations[id]++; d.operations[id] > 1 { // an additional binding, or a service of this name in another package
		id = fmt.Sprintf("%s_%d", id, d.operations[id])
	}
	who := object{"kind": rule.Kind.String()}
	security := []any{object{"bearer": []any{}}}
	var may string
	switch {
	case rule.Permission != "":
		who["permission"] = rule.Permission
		may = "Needs the permission `" + rule.Permission + "`"
		if field := rule.OrganizationField(); field != "" {
			who["organizationField"] = field
			may += " in the organization that `" + field + "` names"
		}
		may += "."
	case rule.Kind == access.Public:
		may, security = "Everybody may call it.", []any{}
	default:
		may = "Everybody who has signed in may call it."
	}
	return object{
		"operationId": id, "tags": []any{string(method.Parent().FullName())}, "summary": words(string(method.Name())),
		"description": may, "security": security, "x-ashlar-access": who, "x-ashlar-procedure": string(method.FullName()),
	}
}

// connect describes the POST by which each procedure can be called.
func (d *document) connect(method protoreflect.MethodDescriptor, rule access.Rule, streams bool) object {
	op := d.operation(method, rule, "")
	mime, request, response := "application/json", d.message(method.Input()), d.message(method.Output())
	if streams {
		mime = "application/connect+json"
		op["description"] = fmt.Sprint(op["description"]) + " It is a stream: bodies are messages in envelopes of five bytes (connectrpc.com/docs/protocol), which this document cannot tell."
		request, response = object{"type": "string", "format": "binary"}, object{"type": "string", "format": "binary"}
	}
	op["parameters"] = []any{ref("parameters", "timeout")}
	op["requestBody"] = object{"required": true, "content": object{mime: object{"schema": request}}}
	op["responses"] = object{
		"200":     object{"description": "The answer.", "content": object{mime: object{"schema": response}}},
		"default": ref("responses", "connectError"),
	}
	return op
}

// connectGet describes a Connect GET, by which caches can help.
func (d *document) connectGet(method protoreflect.MethodDescriptor, rule access.Rule) object {
	op := d.operation(method, rule, "_Get")
	op["parameters"] = []any{
		object{"name": "encoding", "in": "query", "required": true, "schema": object{"const": "json"}},
		object{"name": "message", "in": "query", "required": true, "content": object{"application/json": object{"schema": d.message(method.Input())}}},
		object{"name": "connect", "in": "query", "schema": object{"const": "v1"}},
		ref("parameters", "timeout"),
	}
	op["responses"] = object{
		"200":     object{"description": "The answer.", "content": object{"application/json": object{"schema": d.message(method.Output())}}},
		"default": ref("responses", "connectError"),
	}
	return op
}

// rest describes a call by REST.
func (d *document) rest(method protoreflect.MethodDescriptor, rule access.Rule, b routes.Binding) {
	op := d.operation(method, rule, "_Rest")
	path, variables := b.Path()
	shape := shapeOf(path)
	if known, ok := d.shapes[shape]; ok {
		path = known
	} else {
		d.shapes[shape] = path
	}
	names := variableNames(path)
	var parameters []any
	inPath := map[string]bool{}
	for i, variable := range variables {
		schema := object{"type": "string"}
		if field := fieldAt(method.Input(), variable.Field); field != nil {
			inPath[variable.Field] = true
			schema = d.field(field)
		}
		parameter := object{"name": names[i], "in": "path", "required": true, "schema": schema}
		if variable.Field != "" {
			parameter["description"] = "`" + variable.Field + "`"
		}
		if variable.Rest {
			parameter["description"] = "May contain slashes."
		}
		parameters = append(parameters, parameter)
	}
	body := b.Rule.GetBody()
	switch {
	case body == "*":
		op["requestBody"] = d.body(d.without(method.Input(), inPath))
	case body != "":
		if field := fieldAt(method.Input(), body); field != nil {
			op["requestBody"] = d.body(d.field(field))
		}
	}
	if body != "*" {
		parameters = append(parameters, d.query(method.Input(), inPath, body)...)
	}
	if len(parameters) > 0 {
		op["parameters"] = parameters
	}
	answer := d.message(method.Output())
	if field := fieldAt(method.Output(), b.Rule.GetResponseBody()); field != nil {
		answer = d.field(field)
	}
	op["responses"] = object{
		"200":     object{"description": "The answer.", "content": object{"application/json": object{"schema": answer}}},
		"default": ref("responses", "error"),
	}
	item, ok := d.paths[path].(object)
	if !ok {
		item = object{}
		d.paths[path] = item
	}
	item[strings.ToLower(b.Method)] = op
}

func (d *document) body(schema object) object {
	return object{"required": true, "content": object{"application/json": object{"schema": schema}}}
}

// words is a name as people would write it: `CreateNote` is `Create note`.
func words(name string) string {
	var out strings.Builder
	for i, r := range name {
		upper := r >= 'A' && r <= 'Z'
		if upper && i > 0 {
			out.WriteByte(' ')
			r += 'a' - 'A'
		}
		out.WriteRune(r)
	}
	return out.String()
}

func ref(kind, name string) object { return object{"$ref": "#/components/" + kind + "/" + name} }

// fieldAt returns the field at a path of names; nil where there is none.
func fieldAt(message protoreflect.MessageDescriptor, path string) protoreflect.FieldDescriptor {
	var field protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(path, ".") {
		if message == nil {
			return nil
		}
		if field = message.Fields().ByName(protoreflect.Name(name)); field == nil {
			return nil
		}
		message = field.Message()
	}
	return field
}

// shapeOf is a path without the names of its variables.
func shapeOf(path string) string {
	for _, name := range variableNames(path) {
		path = strings.Replace(path, "{"+name+"}", "{}", 1)
	}
	return path
}

// variableNames are the names of a path's variables, in their order.
func variableNames(path string) []string {
	var out []string
	for {
		_, after, ok := strings.Cut(path, "{")
		if !ok {
			return out
		}
		name, rest, _ := strings.Cut(after, "}")
		out, path = append(out, name), rest
	}
}

func errorSchemas() object {
	detail := object{
		"type": "object", "required": []any{"@type"}, "properties": object{
			"@type":    object{"type": "string", "examples": []any{"type.googleapis.com/google.rpc.ErrorInfo"}},
			"reason":   object{"type": "string", "description": "What a program can switch on.", "examples": []any{"TOKEN_EXPIRED"}},
			"domain":   object{"type": "string"},
			"metadata": object{"type": "object", "additionalProperties": object{"type": "string"}},
		}, "additionalProperties": true,
	}
	return object{
		"Error": object{
			"type": "object", "description": "google.rpc.Status (AIP-193).", "properties": object{
				"code":    object{"type": "integer", "description": "google.rpc.Code"},
				"message": object{"type": "string"},
				"details": object{"type": "array", "items": detail},
			},
		},
		"ConnectError": object{
			"type": "object", "description": "An error of a unary Connect call.", "required": []any{"code"}, "properties": object{
				"code":    object{"type": "string", "examples": []any{"permission_denied"}},
				"message": object{"type": "string"},
				"details": object{"type": "array", "items": object{
					"type": "object", "required": []any{"type", "value"}, "properties": object{
						"type":  object{"type": "string", "examples": []any{"google.rpc.ErrorInfo"}},
						"value": object{"type": "string", "contentEncoding": "base64"},
						"debug": object{"description": "The same to read: of google.rpc.ErrorInfo it has the reason."},
					},
				}},
			},
		},
	}
}

func errorResponses() object {
	response := func(description, schema string) object {
		return object{"description": description, "content": object{"application/json": object{"schema": ref("schemas", schema)}}}
	}
	return object{
		"error":        response("An error, with its reason in google.rpc.ErrorInfo.", "Error"),
		"connectError": response("An error, with its reason in google.rpc.ErrorInfo.", "ConnectError"),
	}
}
