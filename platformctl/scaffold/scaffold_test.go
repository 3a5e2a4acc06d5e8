package scaffold_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/platformctl/cli"
	"ashlar.dev/platformctl/exit"
)

// taken are the files of this repository that a tree needs so that a service can be written into it, and some that are in
// the way.
var taken = []string{
	"go.work", "dev/go.mod", "dev/cmd/ashlar-dev/modules.go", "dev/cmd/ashlar-dev/main.go",
	"services/identity/go.mod", "services/identity/go.sum", "services/notes/module.yaml",
	"proto/ashlar/options/v1/access.proto", "proto/acme/notes/v1/note.proto",
}

// layOut makes a folder that looks like this repository.
func layOut(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range taken {
		text, err := os.ReadFile(filepath.Join("../..", name))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), text, 0o644))
	}
	return root
}

// content returns all files and folders below a folder.
func content(t *testing.T, root string) map[string]string {
	t.Helper()
	files, tree := map[string]string{}, os.DirFS(root)
	require.NoError(t, fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			files[name+"/"] = ""
			return err
		}
		text, err := fs.ReadFile(tree, name)
		files[name] = string(text)
		return err
	}))
	return files
}

func platformctl(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = cli.Run(ctx, args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

var version = regexp.MustCompile(`20\d{12}`)

func TestWhatIsWritten(t *testing.T) {
	root := layOut(t)
	before := content(t, root)
	code, told, stderr := platformctl(t.Context(), "new", "service", "orders", "--resource", "purchase_order", "--root", root)
	require.Equal(t, exit.OK, code, stderr)
	want := filepath.Join("testdata", "orders.txt")
	told = version.ReplaceAllString(told, "VERSION")
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(want, []byte(told), 0o644))
	}
	golden, err := os.ReadFile(want)
	require.NoError(t, err)
	require.Equal(t, string(golden), told, "UPDATE=1 writes it anew")

	// What it tells is what there is.
	after := content(t, root)
	var changed []string
	for name, text := range after {
		if was, known := before[name]; (!known || was != text) && !strings.HasSuffix(name, "/") {
			verb := "wrote   "
			if known {
				verb = "changed "
			}
			changed = append(changed, verb+version.ReplaceAllString(name, "VERSION"))
		}
	}
	list, _, _ := strings.Cut(told, "\n\n")
	require.ElementsMatch(t, strings.Split(list, "\n"), changed)
	require.Contains(t, after["go.work"], "\t./services/orders\n")
	require.Contains(t, after["dev/go.mod"], "ashlar.dev/services/orders => ../services/orders")
	require.Contains(t, after["dev/cmd/ashlar-dev/modules.go"], "\torders.Module(),\n}")
	require.Contains(t, after["services/orders/go.mod"], "module ashlar.dev/services/orders\n")
	require.Contains(t, after["services/orders/ent/schema/purchaseorder.go"], `Table: "purchase_orders"`)
	for name, text := range after {
		require.NotContains(t, text, "{{.", name)
		require.NotContains(t, name, ".platformctl-")
	}

	// Another finds its place beside it; the same does not.
	code, _, stderr = platformctl(t.Context(), "new", "service", "bills", "--resource", "bill", "--root", root)
	require.Equal(t, exit.OK, code, stderr)
	require.Contains(t, content(t, root)["dev/cmd/ashlar-dev/modules.go"], "\torders.Module(),\n\tbills.Module(),\n}")
	settled := content(t, root)
	code, _, stderr = platformctl(t.Context(), "new", "service", "orders", "--resource", "order", "--root", root)
	require.Equal(t, exit.Conflict, code)
	require.Contains(t, stderr, "services/orders exists already")
	require.Equal(t, settled, content(t, root))
}

func TestRefusals(t *testing.T) {
	root := layOut(t)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "proto/acme/old"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "proto/acme/old/x.proto"), []byte("package acme.taken.v1;"), 0o644))
	before := content(t, root)
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a dash":               {[]string{"my-orders", "--resource", "order"}, exit.Usage, `"my-orders" cannot be the name of a service`},
		"a dash, meant":        {[]string{"my-orders", "--resource", "order"}, exit.Usage, "did you mean myorders?"},
		"upper case":           {[]string{"Orders", "--resource", "order"}, exit.Usage, "did you mean orders?"},
		"a path":               {[]string{"../orders", "--resource", "order"}, exit.Usage, "cannot be the name"},
		"nothing":              {[]string{"", "--resource", "order"}, exit.Usage, "cannot be the name"},
		"one letter":           {[]string{"o", "--resource", "order"}, exit.Usage, "at least two"},
		"too long":             {[]string{strings.Repeat("o", 31), "--resource", "order"}, exit.Usage, "31 characters, more than 30"},
		"a keyword":            {[]string{"range", "--resource", "order"}, exit.Usage, "is a keyword of Go"},
		"a predeclared name":   {[]string{"string", "--resource", "order"}, exit.Usage, "means something in Go already"},
		"a core service":       {[]string{"identity", "--resource", "order"}, exit.Usage, "is a part of the platform"},
		"the gateway":          {[]string{"gateway", "--resource", "order"}, exit.Usage, "is a part of the platform"},
		"a name of no meaning": {[]string{"common", "--resource", "order"}, exit.Usage, "says nothing about what is in it"},
		"internal":             {[]string{"internal", "--resource", "order"}, exit.Usage, "means something to the go command"},
		"a package for tests":  {[]string{"loadtest", "--resource", "order"}, exit.Usage, "names end in test"},
		"an import":            {[]string{"store", "--resource", "order"}, exit.Usage, "itself imports"},
		"what ashlar-dev has":  {[]string{"settings", "--resource", "order"}, exit.Usage, "dev/cmd/ashlar-dev/main.go"},
		"an existing service":  {[]string{"notes", "--resource", "order"}, exit.Conflict, "services/notes exists already"},
		"an existing package":  {[]string{"orders", "--resource", "order", "--package", "acme.taken.v1"}, exit.Conflict, "has the package acme.taken.v1 already"},
		"an existing folder":   {[]string{"orders", "--resource", "order", "--package", "acme.notes.v1"}, exit.Conflict, "proto/acme/notes/v1 exists already"},
		"no resource":          {[]string{"orders"}, exit.Usage, "--resource"},
		"a bad resource":       {[]string{"orders", "--resource", "Order"}, exit.Usage, "did you mean order?"},
		"a long resource":      {[]string{"orders", "--resource", strings.Repeat("o", 31)}, exit.Usage, "more than 30"},
		"a keyword resource":   {[]string{"orders", "--resource", "type"}, exit.Usage, "is a keyword of Go"},
		"ent's own":            {[]string{"orders", "--resource", "client"}, exit.Usage, "generated code"},
		"the outbox":           {[]string{"orders", "--resource", "outbox_event"}, exit.Usage, "generated code"},
		"an organization":      {[]string{"orders", "--resource", "organization"}, exit.Usage, "what everything belongs to"},
		"an initialism":        {[]string{"orders", "--resource", "api_key"}, exit.Usage, "Go writes API where schemas have Api"},
		"no plural":            {[]string{"flocks", "--resource", "sheep"}, exit.Usage, "the plural is the same word"},
		"a bad plural":         {[]string{"flocks", "--resource", "sheep", "--plural", "Sheeps"}, exit.Usage, `--plural="Sheeps"`},
		"a bad package":        {[]string{"orders", "--resource", "order", "--package", "acme.orders"}, exit.Usage, "a version at the end"},
		"a bad domain":         {[]string{"orders", "--resource", "order", "--domain", "Acme"}, exit.Usage, "did you mean acme?"},
		"the platform's":       {[]string{"orders", "--resource", "order", "--domain", "ashlar"}, exit.Usage, "belong to others"},
		"package and domain":   {[]string{"orders", "--resource", "order", "--domain", "x", "--package", "acme.orders.v1"}, exit.Usage, "can't be used together"},
		"a program in .bin":    {[]string{"buf", "--resource", "order"}, exit.Usage, "is a program that the repository keeps in .bin"},
		"a shadowed import":    {[]string{"database", "--resource", "order"}, exit.Usage, "itself imports"},
		"a parameter":          {[]string{"cfg", "--resource", "order"}, exit.Usage, "own code or tests"},
		"a function":           {[]string{"orders", "--resource", "optional"}, exit.Usage, "the code that handles it"},
		"an internal package":  {[]string{"orders", "--resource", "order", "--package", "acme.internal.orders.v1"}, exit.Usage, "mean something to the go command"},
		"a vendored package":   {[]string{"orders", "--resource", "order", "--domain", "vendor"}, exit.Usage, "mean something to the go command"},
		"a schema twice":       {[]string{"orders", "--resource", "outbox"}, exit.Usage, "two files would be services/orders/ent/schema/outbox.go: find another"},
		"a handler twice":      {[]string{"orders", "--resource", "mistake", "--plural", "errors"}, exit.Usage, "two files would be services/orders/internal/api/errors.go"},
		"two lines":            {[]string{"orders", "--resource", "order", "--description", "a\nb"}, exit.Usage, "one line"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := platformctl(t.Context(), slices.Concat([]string{"new", "service", "--root", root}, test.args)...)
			require.Equal(t, test.code, code, stderr)
			require.Contains(t, stderr, test.says)
			require.Empty(t, stdout)
			require.Equal(t, before, content(t, root), "nothing was written")
		})
	}
	code, _, stderr := platformctl(t.Context(), "new", "service", "orders", "--resource", "order", "--root", t.TempDir())
	require.Equal(t, exit.Usage, code)
	require.Contains(t, stderr, "run it in the root of the repository")
}

func TestInterrupted(t *testing.T) {
	root := layOut(t)
	before := content(t, root)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, _, stderr := platformctl(ctx, "new", "service", "orders", "--resource", "order", "--root", root)
	require.Equal(t, exit.Interrupted, code)
	require.Contains(t, stderr, "nothing was written")
	require.Equal(t, before, content(t, root))
}
