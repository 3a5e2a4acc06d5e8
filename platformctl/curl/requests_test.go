package curl

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

// read reads all messages that standard input holds, as LoginRequests.
func read(t testing.TB, in io.Reader) (int, error) {
	t.Helper()
	c := &Curl{Data: "@-"}
	r, err := c.requests(&output.Streams{In: in}, (&authv1.LoginRequest{}).ProtoReflect().Descriptor(), dynamicpb.NewTypes(protoregistry.GlobalFiles))
	require.NoError(t, err)
	defer r.close()
	for n := 0; ; n++ {
		_, err := r.next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			require.Equal(t, exit.Usage, exit.Code(err))
			return n, err
		}
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"":                                     0,
		" \n\n":                                0,
		`{"email": "a"}`:                       1,
		"{}{}{}":                               3,
		"{\n}\n{\n}\n":                         2,
		"\x1e{\"email\": \"a\"}\n\x1e{}\n":     2,
		`{"email": "a\u001eb"} {"email": "c"}`: 2,
	} {
		n, err := read(t, strings.NewReader(text))
		require.NoError(t, err, text)
		require.Equal(t, want, n, text)
	}
	for text, says := range map[string]string{
		"{}{":                 "message 2",
		`{"email": 1}`:        "message 1 is no ashlar.auth.v1.LoginRequest",
		"[]":                  "message 1",
		`{} {"emial": "a"}`:   `unknown field "emial"`,
		"{\"email\": \"\x1b[": "message 1",
	} {
		_, err := read(t, strings.NewReader(text))
		require.ErrorContains(t, err, says, text)
		require.NotContains(t, err.Error(), "\x1b")
	}
}

// endless is a string in JSON that never ends.
type endless struct{ begun bool }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	if !e.begun {
		e.begun = true
		copy(p, `{"email": "`)
	}
	return len(p), nil
}

func TestAMessageWithoutEnd(t *testing.T) {
	t.Parallel()
	_, err := read(t, &endless{})
	require.ErrorContains(t, err, "it has more than")
}

func FuzzRequests(f *testing.F) {
	f.Add(`{"email": "a"}`)
	f.Add("\x1e{}\n\x1e{}\n")
	f.Add(`{} x`)
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = read(t, strings.NewReader(text))
	})
}
