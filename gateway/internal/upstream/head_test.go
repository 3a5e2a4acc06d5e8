package upstream

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHead(t *testing.T) {
	for name, c := range map[string]struct {
		block string
		want  Head
	}{
		"length": {
			"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\nContent-Length: 12\r\n\r\n",
			Head{Status: 200, Length: 12, Fields: []Field{{"Content-Type", "a/b"}, {"Content-Length", "12"}}},
		},
		"chunks":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", Head{Status: 200, Length: -1, Chunked: true}},
		"until the end": {"HTTP/1.1 200 OK\r\n\r\n", Head{Status: 200, Length: -1, Close: true}},
		"no reason":     {"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", Head{Status: 404, Fields: []Field{{"Content-Length", "0"}}}},
		"HTTP/1.0":      {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", Head{Status: 200, Length: 1, Close: true, Fields: []Field{{"Content-Length", "1"}}}},
		"interim":       {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", Head{Status: 103, Fields: []Field{{"Link", "x"}}}},
		"not modified":  {"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", Head{Status: 304, Fields: []Field{{"Etag", `"x"`}}}},
		"of the connection": {
			"HTTP/1.1 200 OK\r\nConnection: close, X-A\r\nX-A: 1\r\nX-B: 2\r\nKeep-Alive: x\r\nUpgrade: y\r\nContent-Length: 1\r\n\r\n",
			Head{Status: 200, Length: 1, Close: true, Fields: []Field{{"X-B", "2"}, {"Content-Length", "1"}}},
		},
		"spaces around": {"HTTP/1.1 200 OK\r\nA: \t b c \t\r\nContent-Length: 0\r\n\r\n", Head{Status: 200, Fields: []Field{{"A", "b c"}, {"Content-Length", "0"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got Head
			require.NoError(t, got.parse(c.block))
			if len(got.Fields) == 0 {
				got.Fields = nil
			}
			assert.Equal(t, c.want, got)
		})
	}
	for _, block := range []string{
		"\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 600 OK\r\n\r\n", "HTTP/1.1 -20 OK\r\n\r\n", "HTTP/1.1 200 O\x00K\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA\r\n\r\n", "HTTP/1.1 200 OK\r\n: a\r\n\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\nB: c\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\rB: c\r\n\r\n", "HTTP/1.1 200 OK\r\nA: \x7f\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length:\r\nContent-Length: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: content-length\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxFields+1) + "\r\n",
	} {
		assert.Error(t, new(Head).parse(block), "%q", block)
	}
}

// What is taken for an answer here, net/http takes for the same answer.
func FuzzHead(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: x, close\r\nX: y\r\n\r\n",
		"HTTP/1.0 404 \r\nA: b\r\nA: c\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "HTTP/1.1 204\r\nContent-Length: 5\r\n\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, block string) {
		end := strings.Index(block, "\r\n\r\n")
		if end < 0 {
			return
		}
		block = block[:end+4]
		var h Head
		if h.parse(block) != nil {
			return
		}
		response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(block)), nil)
		require.NoError(t, err, "%q", block)
		_ = response.Body.Close()
		assert.Equal(t, response.StatusCode, h.Status)
		if h.Status >= 200 && h.Status != 204 && h.Status != 304 {
			assert.Equal(t, response.ContentLength, h.Length, "%q", block)
			assert.Equal(t, len(response.TransferEncoding) > 0, h.Chunked, "%q", block)
		}
		if response.Close {
			assert.True(t, h.Close, "%q", block)
		}
		for _, field := range h.Fields {
			assert.Contains(t, response.Header[field.Name], field.Value)
			assert.NotContains(t, field.Name+field.Value, "\n")
			assert.NotContains(t, field.Name+field.Value, "\r")
		}
	})
}

func BenchmarkHead(b *testing.B) {
	block := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Tue, 24 Nov 2026 17:00:00 GMT\r\nContent-Length: " + strconv.Itoa(100) + "\r\n\r\n"
	var h Head
	b.ReportAllocs()
	for b.Loop() {
		if err := h.parse(block); err != nil {
			b.Fatal(err)
		}
	}
}
