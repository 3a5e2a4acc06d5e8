package main

import (
	"testing"

	"buf.build/go/bufplugin/check/checktest"
)

func TestSpec(t *testing.T) {
	t.Parallel()
	checktest.SpecTest(t, spec)
}

func TestLint(t *testing.T) {
	t.Parallel()
	at := func(line, column, endLine, endColumn int) *checktest.ExpectedFileLocation {
		return &checktest.ExpectedFileLocation{
			FileName:  "acme/notes/v1/note.proto",
			StartLine: line - 1, StartColumn: column - 1, EndLine: endLine - 1, EndColumn: endColumn - 1,
		}
	}
	checktest.CheckTest{
		Request: &checktest.RequestSpec{
			Files: &checktest.ProtoFileSpec{
				DirPaths:  []string{"testdata/proto", "../../proto"},
				FilePaths: []string{"acme/notes/v1/note.proto"},
			},
			Options: map[string]any{optionRoot: "testdata"},
		},
		Spec: spec,
		ExpectedAnnotations: []checktest.ExpectedAnnotation{
			{RuleID: "ASHLAR_ACCESS", FileLocation: at(16, 42, 16, 71)},
			{RuleID: "ASHLAR_ACCESS", FileLocation: at(19, 3, 19, 58)},
			{RuleID: "ASHLAR_ACCESS", FileLocation: at(24, 7, 24, 41)},
			{RuleID: "ASHLAR_ACCESS", FileLocation: at(29, 1, 29, 24)},
		},
	}.Run(t)
}
