package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	// What schemas import from elsewhere is taken from the descriptors that are linked in.
	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"github.com/bufbuild/protocompile/reporter"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // likewise
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"ashlar.dev/kernel/finding"
	"ashlar.dev/kernel/modulecheck"
)

// importedFolder is where tools/protoexport puts what schemas import from elsewhere; it may be missing.
const importedFolder = ".bin/proto"

// Schemas compiles the schemas under proto/. What is wrong with them is in faults, and then there are no schemas.
func (r *Repository) Schemas(ctx context.Context) (schemas *modulecheck.Schemas, faults finding.List, err error) {
	own, err := r.protoFiles()
	if err != nil {
		return nil, nil, err
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(protocompile.ResolverFunc(r.resolve)),
		SourceInfoMode: protocompile.SourceInfoExtraOptionLocations,
		Reporter: reporter.NewReporter(func(fault reporter.ErrorWithPos) error {
			note(&faults, fault)
			return nil // go on: the others are wanted, too
		}, nil),
	}
	files, err := compiler.Compile(ctx, own...)
	if fault, ok := errors.AsType[reporter.ErrorWithPos](err); ok && len(faults) == 0 {
		note(&faults, fault) // an import is not reported otherwise
	}
	if len(faults) > 0 {
		faults.Sort()
		return nil, faults, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("compile %s: %w", protoFolder, err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	for _, file := range files {
		add(set, seen, file)
	}
	schemas, err = modulecheck.ReadSchemas(set, protoFolder, func(path string) bool { return slices.Contains(own, path) })
	return schemas, nil, err
}

func note(faults *finding.List, fault reporter.ErrorWithPos) {
	at := fault.GetPosition()
	faults.Addf(finding.Place{File: path.Join(protoFolder, at.Filename), Line: at.Line, Column: at.Col}, "%v", fault.Unwrap())
}

// resolve finds a schema: ours, one that is linked in, or one that was exported.
func (r *Repository) resolve(file string) (protocompile.SearchResult, error) {
	found, err := protocompile.CompositeResolver{
		&protocompile.SourceResolver{Accessor: r.source(protoFolder)},
		protocompile.ResolverFunc(linked),
		&protocompile.SourceResolver{Accessor: r.source(importedFolder)},
	}.FindFileByPath(file)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no schema %s in %s, nor in %s, where `task gen` puts those of others", file, protoFolder, importedFolder)
	}
	return found, err
}

// add puts a file into a set, after those that it imports.
func add(set *descriptorpb.FileDescriptorSet, seen map[string]bool, file protoreflect.FileDescriptor) {
	if seen[file.Path()] {
		return
	}
	seen[file.Path()] = true
	for i := range file.Imports().Len() {
		add(set, seen, file.Imports().Get(i).FileDescriptor)
	}
	set.File = append(set.File, protoutil.ProtoFromFileDescriptor(file))
}

// protoFiles returns the paths of our schemas, below proto/.
func (r *Repository) protoFiles() ([]string, error) {
	var files []string
	err := fs.WalkDir(r.fsys, protoFolder, func(file string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && file == protoFolder {
			return fs.SkipAll
		}
		if err == nil && !entry.IsDir() && path.Ext(file) == ".proto" {
			files = append(files, strings.TrimPrefix(file, protoFolder+"/"))
		}
		return err
	})
	return files, err
}

// source opens schemas of a folder.
func (r *Repository) source(folder string) func(file string) (io.ReadCloser, error) {
	return func(file string) (io.ReadCloser, error) { return r.fsys.Open(path.Join(folder, file)) }
}

func linked(file string) (protocompile.SearchResult, error) {
	descriptor, err := protoregistry.GlobalFiles.FindFileByPath(file)
	return protocompile.SearchResult{Desc: descriptor}, err
}
