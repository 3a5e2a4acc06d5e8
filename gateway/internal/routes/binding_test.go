package routes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/api/annotations"
)

func bind(template string) (Binding, error) {
	return parseBinding("/acme.echo.v1.EchoService/Look", &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: template}})
}

func TestPathsOfBindings(t *testing.T) {
	for template, want := range map[string]struct {
		path   string
		fields []string
	}{
		"/v1/notes":                    {"/v1/notes", nil},
		"/v1/notes/{id}:archive":       {"/v1/notes/{id}:archive", []string{"id"}},
		"/v1/{note.id=notes/*}":        {"/v1/notes/{segment_3}", []string{""}},
		"/v1/notes/{id=*}/*/{rest=**}": {"/v1/notes/{id}/{segment_4}/{rest}", []string{"id", "", "rest"}},
		"/v1/{fixed=notes}/x":          {"/v1/notes/x", nil},
	} {
		b, err := bind(template)
		require.NoError(t, err, template)
		path, variables := b.Path()
		assert.Equal(t, want.path, path)
		var fields []string
		for _, v := range variables {
			fields = append(fields, v.Field)
		}
		assert.Equal(t, want.fields, fields, template)
	}
}

// Whatever a service writes is refused or understood; and of two bindings both collide with the other, or none.
func FuzzBinding(f *testing.F) {
	for _, template := range []string{"/v1/a", "/v1/{a}", "/v1/{a=b/*}:c", "/v1/{a=**}", "/{", "/v1/}", "/v1/{a={b}}", "//", "/*", "/v1/**/a", "/v1/a:b:c"} {
		f.Add(template, "/v1/a/{b}")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		a, err := bind(one)
		if err != nil {
			return
		}
		path, _ := a.Path()
		for _, prefix := range []string{"/healthz", "/.", "/{", "/docs", "//"} {
			if strings.HasPrefix(path+"/", prefix+"/") || strings.HasPrefix(path, "/.") {
				t.Fatalf("%q begins with %s", path, prefix)
			}
		}
		if !a.collides(a) {
			t.Fatalf("%s does not collide with itself", a)
		}
		if b, err := bind(two); err == nil && a.collides(b) != b.collides(a) {
			t.Fatalf("%s and %s", a, b)
		}
	})
}
