package permissions

import (
	"fmt"
	"path"
	"strings"
	"text/template"

	"ashlar.dev/kernel/manifest"
)

var tsTemplate = template.Must(template.New("ts").Funcs(funcs).Funcs(template.FuncMap{
	"comment": func(s string) string { return strings.ReplaceAll(s, "*/", "*\\/") },
}).Parse(`// {{.Header}}

/** The permissions of {{.Service}}. */
export const {{.Type}}Permission = {
{{- range .Permissions}}
  /** {{comment .Comment}} */
  {{.Name}}: {{quote .Value}},
{{- end}}
} as const;

/** A permission of {{.Service}}. */
export type {{.Type}}Permission = (typeof {{.Type}}Permission)[keyof typeof {{.Type}}Permission];

/** The roles of {{.Service}}. */
export const {{.Type}}Role = {
{{- range .Roles}}
{{- if .Comment}}
  /** {{comment .Comment}} */
{{- end}}
  {{.Name}}: {{quote .Value}},
{{- end}}
} as const;

/** A role of {{.Service}}. */
export type {{.Type}}Role = (typeof {{.Type}}Role)[keyof typeof {{.Type}}Role];
`))

// tsFile returns the path and the text of the TypeScript file of a module.
func tsFile(m *manifest.Manifest, s source) (file, text string, err error) {
	s.Type = pascal(m.Name)
	var out strings.Builder
	if err := tsTemplate.Execute(&out, s); err != nil {
		return "", "", err
	}
	return path.Join(tsFolder, m.Name+".ts"), out.String(), nil
}

// tsIndex returns the path and the text of the file that has those of all modules.
func tsIndex(modules []*manifest.Manifest) (file, text string) {
	var imports, exports strings.Builder
	var permissions, roles []string
	for _, m := range modules {
		name := pascal(m.Name)
		fmt.Fprintf(&imports, "import type { %sPermission, %sRole } from \"./%s.js\";\n", name, name, m.Name)
		fmt.Fprintf(&exports, "export * from \"./%s.js\";\n", m.Name)
		permissions = append(permissions, name+"Permission")
		roles = append(roles, name+"Role")
	}
	if len(modules) == 0 {
		permissions, roles = []string{"never"}, []string{"never"}
	}
	return path.Join(tsFolder, indexName+".ts"), fmt.Sprintf(`// %s

%s
%s
/** A permission of any module. */
export type Permission = %s;

/** A role of any module. */
export type Role = %s;
`, header("services/*/module.yaml"), imports.String(), exports.String(), strings.Join(permissions, " | "), strings.Join(roles, " | "))
}
