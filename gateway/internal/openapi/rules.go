package openapi

import (
	"maps"
	"regexp"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// rulesOf returns what protovalidate asks of a field; nil where it asks for nothing.
func rulesOf(field protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// needed tells whether a request without the field would be refused.
func needed(field protoreflect.FieldDescriptor) bool {
	rules := rulesOf(field)
	if rules == nil || field.ContainingOneof() != nil || rules.GetIgnore() != validate.Ignore_IGNORE_UNSPECIFIED {
		return false
	}
	return rules.GetRequired() || rules.GetString().GetMinLen() > 0 || rules.GetRepeated().GetMinItems() > 0
}

// constrained adds what JSON Schema can say of rules.
func constrained(schema object, rules *validate.FieldRules) object {
	if rules == nil || schema["$ref"] != nil {
		return schema
	}
	out := maps.Clone(schema)
	switch rules.GetType().(type) {
	case *validate.FieldRules_String_:
		constrainString(out, rules.GetString())
	case *validate.FieldRules_Int32:
		r := rules.GetInt32()
		bounds(out, r.GetGte(), r.HasGte(), r.GetLte(), r.HasLte(), r.GetGt(), r.HasGt(), r.GetLt(), r.HasLt())
	case *validate.FieldRules_Uint32:
		r := rules.GetUint32()
		bounds(out, r.GetGte(), r.HasGte(), r.GetLte(), r.HasLte(), r.GetGt(), r.HasGt(), r.GetLt(), r.HasLt())
	case *validate.FieldRules_Double:
		r := rules.GetDouble()
		bounds(out, r.GetGte(), r.HasGte(), r.GetLte(), r.HasLte(), r.GetGt(), r.HasGt(), r.GetLt(), r.HasLt())
	}
	return out
}

// constrainString adds what is asked of text. JSON Schema counts code points, as protovalidate does.
func constrainString(out object, rules *validate.StringRules) {
	if rules.HasMinLen() {
		out["minLength"] = rules.GetMinLen()
	}
	if rules.HasMaxLen() {
		out["maxLength"] = rules.GetMaxLen()
	}
	if rules.HasLen() {
		out["minLength"], out["maxLength"] = rules.GetLen(), rules.GetLen()
	}
	if rules.HasPattern() && portable(rules.GetPattern()) {
		out["pattern"] = rules.GetPattern()
	}
	if rules.HasConst() {
		out["const"] = rules.GetConst()
	}
	if in := rules.GetIn(); len(in) > 0 {
		values := make([]any, len(in))
		for i, value := range in {
			values[i] = value
		}
		out["enum"] = values
	}
	switch {
	case rules.GetEmail():
		out["format"] = "email"
	case rules.GetUuid():
		out["format"] = "uuid"
	case rules.GetUri():
		out["format"] = "uri"
	case rules.GetHostname():
		out["format"] = "hostname"
	}
}

// foreign is what RE2, which protovalidate takes, has and ECMA-262, which JSON Schema takes, does not, or not the same.
var foreign = regexp.MustCompile(`\(\?|\\[AzQEpPCx]|\[\[:`)

// portable tells whether a pattern means the same to both. `\x` with two digits does.
func portable(pattern string) bool {
	return !foreign.MatchString(regexp.MustCompile(`\\x[0-9a-fA-F]{2}`).ReplaceAllString(pattern, ""))
}

// bounds adds limits of a number.
func bounds[N int32 | uint32 | float64](out object, gte N, hasGte bool, lte N, hasLte bool, gt N, hasGt bool, lt N, hasLt bool) {
	for _, bound := range []struct {
		name  string
		value N
		has   bool
	}{{"minimum", gte, hasGte}, {"maximum", lte, hasLte}, {"exclusiveMinimum", gt, hasGt}, {"exclusiveMaximum", lt, hasLt}} {
		if bound.has {
			out[bound.name] = bound.value
		}
	}
}
