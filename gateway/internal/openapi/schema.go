package openapi

import (
	"maps"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// maxQueryDepth bounds how deep the fields of messages are query parameters.
const maxQueryDepth = 3

// wellKnown are the messages that have a form of their own in JSON
// (protobuf.dev/programming-guides/json).
var wellKnown = map[protoreflect.FullName]object{
	"google.protobuf.Timestamp":   {"type": "string", "format": "date-time"},
	"google.protobuf.Duration":    {"type": "string", "pattern": `^-?[0-9]+(\.[0-9]{1,9})?s$`, "examples": []any{"1.5s"}},
	"google.protobuf.FieldMask":   {"type": "string", "description": "Names of fields, in lowerCamelCase, with commas between them.", "examples": []any{"title,body"}},
	"google.protobuf.Empty":       {"type": "object"},
	"google.protobuf.Struct":      {"type": "object", "additionalProperties": true},
	"google.protobuf.Value":       {"description": "Any JSON."},
	"google.protobuf.ListValue":   {"type": "array", "items": object{}},
	"google.protobuf.Any":         {"type": "object", "properties": object{"@type": object{"type": "string"}}, "required": []any{"@type"}, "additionalProperties": true},
	"google.protobuf.BoolValue":   {"type": []any{"boolean", "null"}},
	"google.protobuf.StringValue": {"type": []any{"string", "null"}},
	"google.protobuf.BytesValue":  {"type": []any{"string", "null"}, "contentEncoding": "base64"},
	"google.protobuf.Int32Value":  {"type": []any{"integer", "null"}, "format": "int32"},
	"google.protobuf.UInt32Value": {"type": []any{"integer", "null"}, "minimum": 0},
	"google.protobuf.Int64Value":  {"type": []any{"string", "null"}, "format": "int64"},
	"google.protobuf.UInt64Value": {"type": []any{"string", "null"}, "format": "uint64"},
	"google.protobuf.FloatValue":  {"type": []any{"number", "null"}},
	"google.protobuf.DoubleValue": {"type": []any{"number", "null"}},
	"google.api.HttpBody":         {"type": "string", "format": "binary"},
}

// message returns the schema of a message, which is among the components then.
func (d *document) message(message protoreflect.MessageDescriptor) object {
	if known, ok := wellKnown[message.FullName()]; ok {
		return known
	}
	name := string(message.FullName())
	if _, ok := d.schemas[name]; !ok && d.room() {
		d.schemas[name] = object{} // it may contain itself
		d.schemas[name] = d.without(message, nil)
	}
	return ref("schemas", name)
}

// room tells whether there may be another schema.
func (d *document) room() bool {
	if len(d.schemas) >= maxSchemas {
		d.failure = errTooLarge
		return false
	}
	return true
}

// without returns the schema of a message without the fields that are elsewhere.
func (d *document) without(message protoreflect.MessageDescriptor, elsewhere map[string]bool) object {
	properties := object{}
	var required []any
	fields := message.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if elsewhere[string(field.Name())] {
			continue
		}
		schema := d.field(field)
		if oneof := field.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() && oneof.Fields().Len() > 1 {
			schema = described(schema, "At most one of "+namesOf(oneof)+".")
		}
		properties[field.JSONName()] = schema
		if needed(field) {
			required = append(required, field.JSONName())
		}
	}
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// described adds a sentence. Beside a reference it is allowed, too, since OpenAPI 3.1.
func described(schema object, text string) object {
	out := object{"description": text}
	maps.Copy(out, schema)
	return out
}

func namesOf(oneof protoreflect.OneofDescriptor) string {
	var names []string
	for i := range oneof.Fields().Len() {
		names = append(names, "`"+oneof.Fields().Get(i).JSONName()+"`")
	}
	return strings.Join(names, ", ")
}

// field returns the schema of a field's value, with what protovalidate asks of it.
func (d *document) field(field protoreflect.FieldDescriptor) object {
	rules := rulesOf(field)
	switch {
	case field.IsMap():
		return object{"type": "object", "additionalProperties": d.value(field.MapValue())}
	case field.IsList():
		out := object{"type": "array", "items": constrained(d.value(field), rules.GetRepeated().GetItems())}
		if repeated := rules.GetRepeated(); repeated != nil {
			if repeated.MinItems != nil {
				out["minItems"] = repeated.GetMinItems()
			}
			if repeated.MaxItems != nil {
				out["maxItems"] = repeated.GetMaxItems()
			}
			if repeated.GetUnique() {
				out["uniqueItems"] = true
			}
		}
		return out
	}
	out := constrained(d.value(field), rules)
	if options, ok := field.Options().(*descriptorpb.FieldOptions); ok {
		if options.GetDebugRedact() {
			out = described(out, "A secret.")
			out["format"] = "password"
		}
		if options.GetDeprecated() {
			out = described(out, "Deprecated.")
			out["deprecated"] = true
		}
	}
	return out
}

// value returns the schema of one value of a field.
func (d *document) value(field protoreflect.FieldDescriptor) object {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return object{"type": "boolean"}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return object{"type": "integer", "format": "int32"}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return object{"type": "integer", "minimum": 0}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return object{"type": []any{"string", "integer"}, "format": "int64"} // written as text, read as either
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return object{"type": []any{"string", "integer"}, "format": "uint64"}
	case protoreflect.FloatKind:
		return object{"type": "number", "format": "float"}
	case protoreflect.DoubleKind:
		return object{"type": "number", "format": "double"}
	case protoreflect.BytesKind:
		return object{"type": "string", "contentEncoding": "base64"}
	case protoreflect.EnumKind:
		return d.enum(field.Enum())
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return d.message(field.Message())
	default:
		return object{"type": "string"}
	}
}

func (d *document) enum(enum protoreflect.EnumDescriptor) object {
	if enum.FullName() == "google.protobuf.NullValue" {
		return object{"type": "null"}
	}
	name := string(enum.FullName())
	if _, ok := d.schemas[name]; !ok && d.room() {
		var values []any
		for i := range enum.Values().Len() {
			values = append(values, string(enum.Values().Get(i).Name()))
		}
		d.schemas[name] = object{"type": "string", "enum": values}
	}
	return ref("schemas", name)
}

// query returns the fields of a message as query parameters, but for those in the path or the body.
func (d *document) query(message protoreflect.MessageDescriptor, inPath map[string]bool, body string) []any {
	return d.queryOf(message, "", "", inPath, body, 0)
}

func (d *document) queryOf(message protoreflect.MessageDescriptor, name, path string, inPath map[string]bool, body string, depth int) []any {
	var out []any
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		fieldPath, fieldName := path+string(field.Name()), name+field.JSONName()
		switch {
		case inPath[fieldPath] || fieldPath == body || field.IsMap():
		case isScalar(field):
			out = append(out, object{"name": fieldName, "in": "query", "schema": d.field(field), "required": needed(field) && depth == 0})
		case !field.IsList() && depth < maxQueryDepth:
			out = append(out, d.queryOf(field.Message(), fieldName+".", fieldPath+".", inPath, body, depth+1)...)
		}
	}
	return out
}

// isScalar tells whether one parameter can hold a value of a field.
func isScalar(field protoreflect.FieldDescriptor) bool {
	if field.Message() == nil {
		return true
	}
	known, ok := wellKnown[field.Message().FullName()]
	kind, hasType := known["type"]
	return ok && hasType && kind != "object" && kind != "array"
}
