package upstream

import (
	"errors"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// headEnd ends a head: line ends are CRLF here and nothing else (RFC 9112, section 2.2, lets a recipient be lenient).
var headEnd = []byte("\r\n\r\n")

// maxFields bounds the lines of a head.
const maxFields = 256

// What is wrong with the head of an answer.
var (
	errStatusLine = errors.New("malformed status line")
	errField      = errors.New("malformed header line")
	errFields     = errors.New("too many header lines")
	errLength     = errors.New("it is not certain where the answer ends")
)

// Field is a line of a head. The name is in canonical form.
type Field struct{ Name, Value string }

// Head is the head of an answer. The zero value is ready for use, and so is one that was used.
type Head struct {
	Status int
	// Fields are those that are for the one who asked: none that belong to the connection (RFC 9110, section 7.6.1).
	Fields []Field
	// Length of the body in bytes: -1 where it is not known.
	Length int64
	// Chunked: the body says itself where it ends.
	Chunked bool
	// Close: the connection must not be used again.
	Close bool
}

// CopyTo adds the fields to a header.
func (h *Head) CopyTo(header http.Header) {
	values := make([]string, len(h.Fields)) // one piece for all of them
	for i, field := range h.Fields {
		values[i] = field.Value
		if before, ok := header[field.Name]; ok {
			header[field.Name] = append(before, field.Value)
		} else {
			header[field.Name] = values[i : i+1 : i+1]
		}
	}
}

// parse reads a head that ends with an empty line. What is not certain, or more than one could take for another thing,
// is an error: repeated lengths, a length beside chunks, folded lines, bare line ends, spaces before a colon.
func (h *Head) parse(block string) error {
	h.Status, h.Fields, h.Length, h.Chunked, h.Close = 0, h.Fields[:0], -1, false, false
	line, rest, _ := strings.Cut(block, "\r\n")
	if err := h.parseStatus(line); err != nil {
		return err
	}
	length := ""
	var named []string // by Connection
	for range maxFields {
		line, rest, _ = strings.Cut(rest, "\r\n")
		if line == "" {
			if rest != "" {
				return errField
			}
			return h.settle(length, named)
		}
		name, value, err := parseField(line)
		if err != nil {
			return err
		}
		switch name {
		case "Content-Length":
			if length != "" || value == "" {
				return errLength
			}
			length = value
			h.Fields = append(h.Fields, Field{name, value})
		case "Transfer-Encoding":
			if h.Chunked || !strings.EqualFold(value, "chunked") {
				return errLength
			}
			h.Chunked = true
		case "Connection":
			named = h.parseConnection(named, value)
		case "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Te", "Trailer", "Upgrade":
		default:
			h.Fields = append(h.Fields, Field{name, value})
		}
	}
	return errFields
}

// parseStatus reads `HTTP/1.1 200 OK`.
func (h *Head) parseStatus(line string) error {
	version, rest, ok := strings.Cut(line, " ")
	if !ok || len(rest) < 3 || len(rest) > 3 && rest[3] != ' ' || !clean(rest) {
		return errStatusLine
	}
	switch version {
	case "HTTP/1.1":
	case "HTTP/1.0":
		h.Close = true
	default:
		return errStatusLine
	}
	for _, digit := range []byte(rest[:3]) {
		if digit < '0' || digit > '9' {
			return errStatusLine
		}
		h.Status = h.Status*10 + int(digit-'0')
	}
	if h.Status < 100 || h.Status > 599 {
		return errStatusLine
	}
	return nil
}

// parseConnection reads a Connection line, and adds to the names of fields that belong to the connection.
func (h *Head) parseConnection(named []string, value string) []string {
	for option := range strings.SplitSeq(value, ",") {
		option = strings.Trim(option, " \t")
		switch {
		case strings.EqualFold(option, "close"):
			h.Close = true
		case option == "" || strings.EqualFold(option, "keep-alive"):
		default:
			named = append(named, textproto.CanonicalMIMEHeaderKey(option))
		}
	}
	return named
}

// settle finds out where the body ends (RFC 9112, section 6.3), and leaves out what belongs to the connection.
func (h *Head) settle(length string, named []string) error {
	n := int64(-1)
	if length != "" {
		parsed, err := strconv.ParseUint(length, 10, 62)
		if err != nil || length[0] == '+' {
			return errLength
		}
		n = int64(parsed)
	}
	switch {
	case h.Status < 200 || h.Status == 204 || h.Status == 304:
		h.Length = 0
		if h.Chunked {
			return errLength
		}
	case h.Chunked && length != "":
		return errLength
	case h.Chunked:
	case n >= 0:
		h.Length = n
	default:
		h.Close = true
	}
	for _, name := range named {
		if name == "Content-Length" {
			return errLength
		}
		kept := h.Fields[:0]
		for _, field := range h.Fields {
			if field.Name != name {
				kept = append(kept, field)
			}
		}
		h.Fields = kept
	}
	return nil
}

// parseField reads `Name: value`.
func parseField(line string) (name, value string, err error) {
	colon := strings.IndexByte(line, ':')
	if colon < 1 {
		return "", "", errField
	}
	name, value = line[:colon], strings.Trim(line[colon+1:], " \t")
	for i := range len(name) {
		if !tokenBytes[name[i]] {
			return "", "", errField
		}
	}
	if !clean(value) {
		return "", "", errField
	}
	return textproto.CanonicalMIMEHeaderKey(name), value, nil // the name itself where it is canonical
}

// clean tells whether text has no control characters but tabs (RFC 9110, section 5.5).
func clean(text string) bool {
	for i := range len(text) {
		if b := text[i]; b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}

// tokenBytes are those of a name (RFC 9110, section 5.6.2).
var tokenBytes = func() (out [256]bool) {
	for b := '0'; b <= '9'; b++ {
		out[b] = true
	}
	for b := 'a'; b <= 'z'; b++ {
		out[b], out[b-'a'+'A'] = true, true
	}
	for _, b := range "!#$%&'*+-.^_`|~" {
		out[b] = true
	}
	return out
}()
