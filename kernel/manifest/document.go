package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/nearest"
)

// document reads values out of the syntax tree of a YAML file. What is not as it should be is noted, and read as its zero
// value, so that all faults of a file are found at once.
type document struct {
	file     string
	findings finding.List
	places   map[string]finding.Place
}

// value is a node, and the path to it; without a node, it is not in the file.
type value struct {
	path string
	node ast.Node
}

func (v value) there() bool { return v.node != nil }

// parent returns the path of what a path is in.
func parent(path string) string {
	if strings.HasSuffix(path, "]") {
		// A key of gateway.aliases may itself hold dots.
		return path[:max(strings.LastIndexByte(path, '['), 0)]
	}
	return path[:max(strings.LastIndexByte(path, '.'), 0)]
}

func (d *document) failf(v value, format string, args ...any) { d.suggestf(v, "", format, args...) }

// suggestf notes a fault of a value, with what was probably meant.
func (d *document) suggestf(v value, suggestion, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if v.path != "" {
		message = v.path + ": " + message
	}
	d.findings.Suggestf(d.place(v.node), suggestion, "%s", message)
}

// place is where a node begins.
func (d *document) place(node ast.Node) finding.Place {
	at := node.GetToken()
	switch n := node.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return d.place(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return d.place(n.Key)
	case *ast.LiteralNode:
		at = n.Start
	}
	return d.placeOf(at)
}

func (d *document) placeOf(at *token.Token) finding.Place {
	place := finding.Place{File: d.file}
	if at != nil && at.Position != nil {
		place.Line, place.Column = at.Position.Line, at.Position.Column
	}
	return place
}

// object reads a mapping whose keys are known: other keys, and those that are there twice, are faults.
func (d *document) object(v value, keys ...string) map[string]value {
	fields := map[string]value{}
	for _, pair := range d.pairs(v) {
		key, ok := d.key(pair)
		if !ok {
			continue
		}
		field := value{key, pair.Value}
		if v.path != "" {
			field.path = v.path + "." + key
		}
		if !slices.Contains(keys, key) {
			d.suggestf(value{v.path, pair.Key}, nearest.To(key, keys...), "unknown key %q", key)
			continue
		}
		if _, twice := fields[key]; twice {
			d.failf(value{v.path, pair.Key}, "the key %q is there twice", key)
			continue
		}
		d.places[field.path] = d.place(field.node)
		fields[key] = field
	}
	return fields
}

// required notes which of the keys a mapping lacks.
func (d *document) required(v value, fields map[string]value, keys ...string) {
	if !v.there() || !isMapping(v.node) {
		return
	}
	for _, key := range keys {
		if !fields[key].there() {
			d.failf(v, "the key %q is missing", key)
		}
	}
}

func isMapping(node ast.Node) bool {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	default:
		return false
	}
}

// pairs reads a mapping.
func (d *document) pairs(v value) []*ast.MappingValueNode {
	switch n := v.node.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	default:
		d.failf(v, "want a mapping of keys to values, not %s", kind(n))
		return nil
	}
}

// key reads the key of a pair.
func (d *document) key(pair *ast.MappingValueNode) (string, bool) {
	if n, ok := pair.Key.(*ast.StringNode); ok {
		return n.Value, true
	}
	d.findings.Addf(d.place(pair.Key), "a key must be a plain word")
	return "", false
}

// list reads a list of at most the given number of items.
func (d *document) list(v value, most int) []value {
	if !v.there() {
		return nil
	}
	n, ok := v.node.(*ast.SequenceNode)
	if !ok {
		d.failf(v, "want a list, not %s", kind(v.node))
		return nil
	}
	if len(n.Values) > most {
		d.failf(v, "has %d items, more than %d", len(n.Values), most)
		return nil
	}
	items := make([]value, len(n.Values))
	for i, node := range n.Values {
		items[i] = value{fmt.Sprintf("%s[%d]", v.path, i), node}
		d.places[items[i].path] = d.place(node)
	}
	return items
}

// text reads a text of some form.
func (d *document) text(v value, f form) string {
	text, ok := d.plain(v, f.want)
	if ok && !f.matches(text) {
		d.failf(v, "%q is not as it should be: want %s", shortened(text), f.want)
		return ""
	}
	return text
}

// plain reads a text of any form; false: there is none.
func (d *document) plain(v value, want string) (string, bool) {
	switch n := v.node.(type) {
	case nil:
		return "", false
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		d.failf(v, "want %s, not %s; if it is meant as text, put it into quotes", want, kind(v.node))
	default:
		d.failf(v, "want %s, not %s", want, kind(v.node))
	}
	return "", false
}

// word reads one of several words.
func (d *document) word(v value, words ...string) string {
	want := strings.Join(words, " or ")
	text, ok := d.plain(v, want)
	if ok && !slices.Contains(words, text) {
		d.suggestf(v, nearest.To(text, words...), "unknown word %q: want %s", shortened(text), want)
		return ""
	}
	return text
}

// flag reads true or false.
func (d *document) flag(v value) bool {
	switch n := v.node.(type) {
	case nil:
		return false
	case *ast.BoolNode:
		return n.Value
	default:
		d.failf(v, "want true or false, not %s", kind(n))
		return false
	}
}

// count reads a whole number above zero, of 32 bits.
func (d *document) count(v value) uint32 { return uint32(d.number(v, 1, 1<<32-1)) }

// number reads a whole number.
func (d *document) number(v value, least, most uint64) uint64 {
	switch n := v.node.(type) {
	case nil:
		return 0
	case *ast.IntegerNode:
		if number, ok := n.Value.(uint64); ok && number >= least && number <= most {
			return number
		}
		d.failf(v, "%s is not as it should be: want a whole number from %d to %d", shortened(n.GetToken().Value), least, most)
	default:
		d.failf(v, "want a whole number, not %s", kind(n))
	}
	return 0
}

// duration reads a time above zero.
func (d *document) duration(v value) time.Duration {
	text := d.text(v, durationForm)
	if text == "" {
		return 0
	}
	duration, err := time.ParseDuration(text)
	if err != nil || duration <= 0 {
		d.failf(v, "%q is not as it should be: want a time above zero", text)
		return 0
	}
	return duration
}

// kind says what a node is.
func kind(node ast.Node) string {
	switch node.(type) {
	case *ast.NullNode:
		return "nothing"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.StringNode, *ast.LiteralNode:
		return "a text"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "an anchor or alias, of which a manifest has none"
	case *ast.TagNode:
		return "a tag, of which a manifest has none"
	default:
		return strconv.Quote(shortened(node.String()))
	}
}

// shortened keeps a fault of a long text on a readable line.
func shortened(text string) string {
	const most = 80
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most]) + "…"
}
