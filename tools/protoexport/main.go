// Command protoexport writes the .proto files that our schemas import from elsewhere, printed from the descriptors
// that their Go modules carry. It is for machines that reach no schema registry: the Go modules, pinned by go.sum, are
// the only source. It must not know our own schemas.
//
// Usage: protoexport DIRECTORY
//
// What was in the directory is replaced. It writes what the root files import as well, but not google/protobuf/*,
// which buf brings along.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// roots are the files that our schemas import, and the details of errors, which the TypeScript client carries.
func roots() []protoreflect.FileDescriptor {
	return []protoreflect.FileDescriptor{
		validate.File_buf_validate_validate_proto,
		annotations.File_google_api_annotations_proto,
		errdetails.File_google_rpc_error_details_proto,
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: protoexport DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1], roots()); err != nil {
		fmt.Fprintf(os.Stderr, "protoexport: %v\n", err)
		os.Exit(1)
	}
}

// run replaces the content of dir with the given files and all that they import.
func run(dir string, files []protoreflect.FileDescriptor) error {
	if err := checkReplaceable(dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("empty %s: %w", dir, err)
	}

	printer := &protoprint.Printer{}
	for _, file := range closure(files) {
		text, err := printer.PrintProtoToString(file)
		if err != nil {
			return fmt.Errorf("print %s: %w", file.Path(), err)
		}
		path := filepath.Join(dir, filepath.FromSlash(file.Path()))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}

	return nil
}

// checkReplaceable keeps a mistyped directory from being emptied: it may hold nothing but .proto files.
func checkReplaceable(dir string) error {
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() && filepath.Ext(path) != ".proto" {
			return fmt.Errorf("%s is not a .proto file, so %s is not ours to replace; name another directory", path, dir)
		}

		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	return err
}

// closure returns the files and all that they import, without the well-known types, sorted by path.
func closure(files []protoreflect.FileDescriptor) []protoreflect.FileDescriptor {
	found := make(map[string]protoreflect.FileDescriptor)
	var visit func(protoreflect.FileDescriptor)
	visit = func(file protoreflect.FileDescriptor) {
		if strings.HasPrefix(file.Path(), "google/protobuf/") || found[file.Path()] != nil {
			return
		}
		found[file.Path()] = file
		for i := range file.Imports().Len() {
			visit(file.Imports().Get(i).FileDescriptor)
		}
	}
	for _, file := range files {
		visit(file)
	}

	sorted := make([]protoreflect.FileDescriptor, 0, len(found))
	for _, file := range found {
		sorted = append(sorted, file)
	}
	slices.SortFunc(sorted, func(a, b protoreflect.FileDescriptor) int { return strings.Compare(a.Path(), b.Path()) })

	return sorted
}
