package scaffold

import (
	"cmp"
	"path"
	"strings"

	"github.com/go-openapi/inflect"
)

// names are the names in a new service, each in every form that the templates need.
type names struct {
	// Service is the name of the service, of its folder and of its Go package: orders.
	Service string
	// Description is what the service is for, in one line.
	Description string
	// Resource and Plural name what it manages: purchase_order, purchase_orders.
	Resource, Plural string
	// ProtoPackage is the schema's package: acme.orders.v1.
	ProtoPackage string
	// Version is that of the first migration: a time.
	Version string
}

// defaultDomain is what schemas' packages begin with where nothing else is said.
const defaultDomain = "acme"

// newNames completes what was asked for with what follows from it.
func newNames(request ServiceCommand, version string) names {
	n := names{
		Service: request.Name, Resource: request.Resource, Plural: request.Plural, Description: request.Description,
		ProtoPackage: request.Package, Version: version,
	}
	if n.Plural == "" {
		n.Plural = pluralOf(n.Resource)
	}
	if n.ProtoPackage == "" {
		n.ProtoPackage = cmp.Or(request.Domain, defaultDomain) + "." + n.Service + ".v1"
	}
	if n.Description == "" {
		n.Description = "Manages " + n.WordsPlural()
	}
	return n
}

// pluralOf returns the plural of an English word, or of the last of several.
func pluralOf(resource string) string {
	words := strings.Split(resource, "_")
	words[len(words)-1] = inflect.Pluralize(words[len(words)-1])
	return strings.Join(words, "_")
}

// Title returns the service's name as the beginning of a sentence: Orders.
func (n names) Title() string { return pascal(n.Service) }

// Pascal returns PurchaseOrder.
func (n names) Pascal() string { return pascal(n.Resource) }

// PascalPlural returns PurchaseOrders.
func (n names) PascalPlural() string { return pascal(n.Plural) }

// Camel returns purchaseOrder.
func (n names) Camel() string { return camel(n.Resource) }

// Upper returns PURCHASE_ORDER.
func (n names) Upper() string { return strings.ToUpper(n.Resource) }

// Words returns "purchase order".
func (n names) Words() string { return strings.ReplaceAll(n.Resource, "_", " ") }

// CamelPlural returns purchaseOrders.
func (n names) CamelPlural() string { return camel(n.Plural) }

// WordsPlural returns "purchase orders".
func (n names) WordsPlural() string { return strings.ReplaceAll(n.Plural, "_", " ") }

// Article returns what stands before Words: an order, a note.
func (n names) Article() string {
	if strings.ContainsAny(n.Resource[:1], "aeiou") {
		return "an"
	}
	return "a"
}

// EntPackage returns the name of the Go package that ent makes for the resource: purchaseorder.
func (n names) EntPackage() string { return joined(n.Resource) }

// Kind returns the prefix of the resource's ids.
func (n names) Kind() string { return joined(n.Resource) }

// OwnTable tells whether the table's name, which is Plural, is another than the one that ent makes up.
func (n names) OwnTable() bool {
	return strings.Contains(n.Resource, "_") || n.Plural != inflect.Pluralize(n.Resource)
}

// ProtoFolder returns where the schema is: proto/acme/orders/v1.
func (n names) ProtoFolder() string {
	return path.Join("proto", strings.ReplaceAll(n.ProtoPackage, ".", "/"))
}

// GoImport returns the import path of the Go code that is generated from the schema.
func (n names) GoImport() string {
	return path.Join("ashlar.dev/gen/go", strings.ReplaceAll(n.ProtoPackage, ".", "/"))
}

// GoPackage returns the name of the Go package at GoImport: the last two elements of the schema's package.
func (n names) GoPackage() string {
	elements := strings.Split(n.ProtoPackage, ".")
	return strings.Join(elements[len(elements)-2:], "")
}

// ServiceFolder returns where the service is.
func (n names) ServiceFolder() string { return "services/" + n.Service }

func pascal(s string) string {
	var out strings.Builder
	for word := range strings.SplitSeq(s, "_") {
		if word != "" {
			out.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return out.String()
}

func camel(s string) string {
	first, rest, _ := strings.Cut(s, "_")
	return first + pascal(rest)
}

func joined(s string) string { return strings.ReplaceAll(s, "_", "") }

// GoModule returns the path of the service's Go module.
func (n names) GoModule() string { return "ashlar.dev/" + n.ServiceFolder() }
