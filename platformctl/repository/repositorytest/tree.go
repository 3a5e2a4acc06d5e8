// Package repositorytest makes source trees for tests of the commands that read one.
package repositorytest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/platformctl/cli"
)

// The files of the tree that Write makes where nothing else is said.
const (
	NotesManifest = "services/notes/module.yaml"
	PeopleService = "services/people/module.yaml"
	NotesSchema   = "proto/acme/notes/v1/note.proto"
)

var files = map[string]string{
	NotesManifest: `name: notes
version: 1.0.0
description: Notes with sharing
services: [acme.notes.v1.NoteService]
dependsOn: [people]
permissions:
  - {id: notes.note.read, description: Read notes}
  - {id: notes.note_book.share_all, description: "Share note books, */ all of them", checkedBy: code}
roles:
  - {name: notes.read-only, description: Reads notes, permissions: [notes.note.*, people.person.read]}
  - {name: notes.nobody, permissions: []}
`,
	PeopleService: `name: people
version: 1.2.3
permissions:
  - {id: people.person.read, description: See people}
`,
	NotesSchema: `syntax = "proto3";
package acme.notes.v1;
import "ashlar/options/v1/access.proto";
import "buf/validate/validate.proto";
import "google/protobuf/timestamp.proto";
service NoteService {
  rpc GetNote(Request) returns (Response) {
    option (ashlar.options.v1.access) = {
      permission: "notes.note.read"
      organization_field: "organization_id"
    };
  }
  rpc ListPeople(Request) returns (Response) {
    option (ashlar.options.v1.access) = {permission: "people.person.read"};
  }
}
message Request {
  string organization_id = 1 [(buf.validate.field).string.min_len = 1];
}
message Response {
  google.protobuf.Timestamp at = 1;
}
`,
	"go.work": "go 1.26.0\n",
	// No service, and none of our business.
	"services/README.md": "Services.\n",
}

// Write makes a tree of two modules, with some files in the place of others; a file without text is left out.
func Write(t *testing.T, others map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		if _, ok := others[name]; !ok {
			write(t, root, name, text)
		}
	}
	for name, text := range others {
		if text != "" {
			write(t, root, name, text)
		}
	}
	return root
}

// Edited returns a file of the tree with a text in the place of another, which must be in it.
func Edited(t *testing.T, name, from, to string) map[string]string {
	t.Helper()
	require.Contains(t, files[name], from)
	return map[string]string{name: strings.Replace(files[name], from, to, 1)}
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
}

// Result is what a command did.
type Result struct {
	Code     int
	Out, Err string
}

// Run runs platformctl.
func Run(t *testing.T, args ...string) Result {
	t.Helper()
	var out, err bytes.Buffer
	code := cli.Run(context.Background(), args, strings.NewReader(""), &out, &err)
	return Result{code, out.String(), err.String()}
}
