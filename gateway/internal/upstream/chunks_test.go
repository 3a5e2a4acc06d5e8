package upstream

import (
	"bytes"
	"io"
	"net/http/httputil"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unchunk feeds text in pieces.
func unchunk(text []byte, piece int) (body []byte, rest int, whole bool, err error) {
	var c chunks
	for len(text) > 0 {
		n := min(piece, len(text))
		got, surplus, err := c.feed(bytes.Clone(text[:n]))
		body = append(body, got...)
		if err != nil {
			return body, 0, false, err
		}
		if text = text[n:]; c.state == ended {
			return body, len(surplus) + len(text), true, nil
		}
	}
	return body, 0, false, nil
}

func TestChunks(t *testing.T) {
	for name, c := range map[string]struct {
		text, body string
		rest       int
		whole      bool
		fails      bool
	}{
		"one":                  {text: "5\r\nhello\r\n0\r\n\r\n", body: "hello", whole: true},
		"two":                  {text: "5\r\nhello\r\nA \r\n, 23456789\r\n0\r\n\r\n", body: "hello, 23456789", whole: true},
		"none":                 {text: "0\r\n\r\n", whole: true},
		"extension":            {text: "2;a=b\r\nhi\r\n0;c\r\n\r\n", body: "hi", whole: true},
		"trailers":             {text: "2\r\nhi\r\n0\r\nA: b\r\nC: d\r\n\r\n", body: "hi", whole: true},
		"something follows":    {text: "2\r\nhi\r\n0\r\n\r\nHTTP", body: "hi", whole: true, rest: 4},
		"it breaks off":        {text: "5\r\nhel", body: "hel"},
		"no size":              {text: "\r\nhi\r\n", fails: true},
		"negative":             {text: "-1\r\nhi\r\n", fails: true},
		"too large":            {text: "123456789\r\n", fails: true},
		"longer than it says":  {text: "2\r\nhip\r\n0\r\n\r\n", body: "hi", fails: true},
		"bare line ends":       {text: "2\nhi\n0\n\n", fails: true},
		"bare end of a chunk":  {text: "2\r\nhi\n0\r\n\r\n", body: "hi", fails: true},
		"long extension":       {text: "2;" + string(bytes.Repeat([]byte("x"), 300)) + "\r\nhi\r\n0\r\n\r\n", fails: true},
		"long trailers":        {text: "0\r\nA: " + string(bytes.Repeat([]byte("x"), maxTrailerBytes)) + "\r\n\r\n", fails: true},
		"bare end of trailers": {text: "0\r\nA: b\n\r\n", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			for piece := 1; piece <= len(c.text); piece++ {
				body, rest, whole, err := unchunk([]byte(c.text), piece)
				require.Equal(t, c.fails, err != nil, "%d", piece)
				assert.Equal(t, c.body, string(body))
				assert.Equal(t, c.whole, whole)
				assert.Equal(t, c.rest, rest)
			}
		})
	}
}

// What is taken for a whole body means the same to net/http, in pieces of any size.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("5;x\r\nhello\r\n0\r\nA: b\r\n\r\nrest"), 3)
	f.Add([]byte("a\r\n0123456789\r\n0\r\n\r\n"), 100)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		body, rest, whole, err := unchunk(text, max(piece, 1))
		again, restAgain, wholeAgain, errAgain := unchunk(text, 1)
		require.Equal(t, err, errAgain)
		require.Equal(t, whole, wholeAgain)
		require.Equal(t, rest, restAgain)
		require.True(t, bytes.Equal(body, again))
		if !whole {
			return
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(text)))
		if err == nil { // it bounds what is spent on sizes, too
			require.True(t, bytes.Equal(want, body))
		}
	})
}
