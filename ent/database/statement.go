package database

import (
	"strings"
	"unicode/utf8"
)

// maxStatement bounds what is shown of a statement, in bytes.
const maxStatement = 1000

// printable is the text of a statement as it may be shown: what is quoted in it
// could be somebody's, and is left out, white space is made one space, and what
// is too long is cut. The values of parameters are not in the text at all.
func printable(text string) string {
	var out strings.Builder
	space := false
	for i := 0; i < len(text); {
		if out.Len() >= maxStatement {
			out.WriteString(" …")
			break
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == ' ' || r == '\n' || r == '\t' || r == '\r':
			space = true
			i += size
			continue
		case space && out.Len() > 0:
			out.WriteByte(' ')
		}
		space = false
		switch r {
		case '\'':
			out.WriteString("'…'")
			i = skipQuoted(text, i)
		case utf8.RuneError:
			out.WriteRune(utf8.RuneError)
			i += size
		default:
			out.WriteString(text[i : i+size])
			i += size
		}
	}
	return out.String()
}

// skipQuoted returns the place after the string that begins at i. Where it does
// not end, or ends otherwise than SQL says (PostgreSQL's E'\”), rather more is
// left out than too little.
func skipQuoted(text string, i int) int {
	escapes := i > 0 && (text[i-1] == 'E' || text[i-1] == 'e')
	for i++; i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case text[i] == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		case text[i] == '\'':
			return i + 1
		}
	}
	return len(text)
}

// operation is the first word of a statement, such as SELECT.
func operation(text string) string {
	text = strings.TrimLeft(text, " \t\r\n(")
	end := strings.IndexFunc(text, func(r rune) bool { return r < 'A' || r > 'Z' && r < 'a' || r > 'z' })
	if end >= 0 {
		text = text[:end]
	}
	if text == "" || len(text) > 20 {
		return "statement"
	}
	return strings.ToUpper(text)
}
