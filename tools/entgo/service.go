package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
)

// service is the folder of a service.
type service struct{ folder string }

// openService checks that folder holds an ent schema.
func openService(folder string) (service, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return service{}, err
	}
	s := service{folder: folder}
	if info, err := os.Stat(filepath.Join(folder, schemaFolder)); err != nil || !info.IsDir() {
		return service{}, fmt.Errorf("%s: no folder %s in it: name folders of services, like services/auth", folder, schemaFolder)
	}
	return s, nil
}

// schemaFolder is where a service keeps its schema; the code goes to the
// folder above it.
const schemaFolder = "ent/schema"

// ent is the folder of the generated code.
func (s service) ent() string { return filepath.Join(s.folder, "ent") }

// migrations is the folder of the migrations for one dialect.
func (s service) migrations(dialect string) string {
	return filepath.Join(s.folder, "migrations", dialect)
}

// rowsTemplate changes how ent's queries read rows.
//
//go:embed rows.tmpl
var rowsTemplate string

// graph loads the schema. ent compiles and runs it with the go command, inside
// the module of the service, which therefore has to require what a schema
// imports and nothing else; GOWORK and GOFLAGS count as they do for go build.
func (s service) graph() (*gen.Graph, error) {
	back, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	// ent resolves the path from the working directory and writes the program
	// that it runs there.
	if err := os.Chdir(s.folder); err != nil {
		return nil, err
	}
	defer func() { _ = os.Chdir(back) }()
	config := &gen.Config{Templates: []*gen.Template{gen.MustParse(gen.NewTemplate("rows").Parse(rowsTemplate))}}
	for _, option := range []entc.Option{
		entc.Storage("sql"),
		entc.FeatureNames("sql/execquery", "sql/upsert", "sql/lock"),
	} {
		if err := option(config); err != nil {
			return nil, err
		}
	}
	graph, err := entc.LoadGraph("./"+schemaFolder, config)
	if err != nil {
		return nil, fmt.Errorf("%s: load the schema (in a new service, run GOWORK=off go mod tidy -e first, so that its go.sum knows ent): %w", s.folder, err)
	}
	return graph, nil
}
