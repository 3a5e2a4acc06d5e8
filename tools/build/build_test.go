package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// repository lays out a module under a new root and returns the root and a target that builds it.
func repository(t *testing.T) (root string, greeter target) {
	t.Helper()
	root = t.TempDir()
	write(t, root, "tools/greeter/go.mod", "module example.com/greeter\n\ngo 1.26.0\n")
	write(t, root, "tools/greeter/main.go", "package main\n\nfunc main() { println(1) }\n")

	return root, tool("greeter", ".")
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func wantUpToDate(t *testing.T, root string, each target, want bool) {
	t.Helper()
	got, err := upToDate(root, each)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("up to date: %t, want %t", got, want)
	}
}

func TestATargetIsBuiltAgainOnlyWhenItsSourcesChange(t *testing.T) {
	t.Parallel()
	root, greeter := repository(t)
	rebuild := func() error { return build(t.Context(), root, greeter, &progress{target: greeter}) }

	wantUpToDate(t, root, greeter, false)
	if err := rebuild(); err != nil {
		t.Fatal(err)
	}
	wantUpToDate(t, root, greeter, true)

	// A test has no part in the program.
	write(t, root, "tools/greeter/main_test.go", "package main\n")
	wantUpToDate(t, root, greeter, true)

	write(t, root, "tools/greeter/main.go", "package main\n\nfunc main() { println(2) }\n")
	wantUpToDate(t, root, greeter, false)
	if err := rebuild(); err != nil {
		t.Fatal(err)
	}
	wantUpToDate(t, root, greeter, true)

	if err := os.Remove(filepath.Join(root, binDir, "greeter")); err != nil {
		t.Fatal(err)
	}
	wantUpToDate(t, root, greeter, false)
}

func TestAnotherGoBuildsAgainUnlessItTakesTooLong(t *testing.T) {
	root, greeter := repository(t)
	lasting := greeter
	lasting.anyGo = true
	prints := func() (string, string) {
		t.Helper()
		short, err := fingerprint(root, greeter)
		if err != nil {
			t.Fatal(err)
		}
		long, err := fingerprint(root, lasting)
		if err != nil {
			t.Fatal(err)
		}

		return short, long
	}
	short, long := prints()
	before := goVersion
	t.Cleanup(func() { goVersion = before })
	goVersion = "go9.99"
	newShort, newLong := prints()
	if short == newShort || long != newLong {
		t.Fatalf("with another Go: changed %t, want true; where it takes too long: changed %t, want false", short != newShort, long != newLong)
	}
}

func TestABrokenSourceIsShownAndNotRecorded(t *testing.T) {
	t.Parallel()
	root, greeter := repository(t)
	write(t, root, "tools/greeter/main.go", "package main\n\nfunc main() { missing() }\n")

	err := build(t.Context(), root, greeter, &progress{target: greeter})
	if err == nil || !strings.Contains(err.Error(), "undefined: missing") {
		t.Fatalf("want the compiler's message, got: %v", err)
	}
	wantUpToDate(t, root, greeter, false)
}

func TestAnUnknownTargetIsRefused(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), t.TempDir(), []string{"bfu"})
	if err == nil || !strings.Contains(err.Error(), `no target "bfu"`) || !strings.Contains(err.Error(), "buf") {
		t.Fatalf("want an error that lists the targets, got: %v", err)
	}
}

func TestConsulIsNotBuiltWhereThereIsOne(t *testing.T) {
	t.Setenv("ASHLAR_CONSUL_ADDR", "")
	t.Setenv("CONSUL_HTTP_ADDR", "")
	t.Setenv("PATH", t.TempDir())
	if why := otherConsul(); why != "" {
		t.Fatalf("there is no Consul, but: %s", why)
	}
	t.Setenv("CONSUL_HTTP_ADDR", "127.0.0.1:8500")
	if why := otherConsul(); !strings.Contains(why, "CONSUL_HTTP_ADDR") {
		t.Fatalf("want the variable's name, got %q", why)
	}
}

// A new service is built without a word about it here.
func TestProgramsOfServicesAreFound(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root, "services/notes/cmd/notes/main.go", "package main\n")
	write(t, root, "services/audit/cmd/audit/main.go", "package main\n")
	write(t, root, "services/gone/cmd/gone/.keep", "")
	write(t, root, "services/notes/cmd/README.md", "")
	each, ok := lookup("services")
	if !ok {
		t.Fatal("there is no target services")
	}
	complete, err := each.complete(root)
	if err != nil {
		t.Fatal(err)
	}
	want := append(slices.Clone(each.packages), "./services/audit/cmd/audit", "./services/notes/cmd/notes")
	if !slices.Equal(complete.packages, want) {
		t.Fatalf("packages %q, want %q", complete.packages, want)
	}
	if again, _ := lookup("services"); len(again.packages) != len(each.packages) {
		t.Fatalf("the list of targets has changed: %q", again.packages)
	}
}

// Two programs of one name would overwrite each other, and a folder that is not there would never be built anew.
func TestTargetsFitTheRepository(t *testing.T) {
	t.Parallel()
	// Tests run in the folder of their package.
	root := filepath.Join("..", "..")
	programs := make(map[string]string)
	for _, each := range targets {
		each, err := each.complete(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, program := range each.programs() {
			if other, taken := programs[program]; taken {
				t.Errorf("%s and %s both build %s", other, each.name, program)
			}
			programs[program] = each.name
		}
		for _, source := range each.sources {
			if _, err := os.Stat(filepath.Join(root, source)); err != nil && source != "go.work.sum" {
				t.Errorf("a source of %s is missing: %v", each.name, err)
			}
		}
	}
}
