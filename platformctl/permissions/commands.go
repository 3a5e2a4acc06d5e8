// Package permissions is the commands about permissions in the source tree: the constants that are generated for them,
// and whether access rules and manifests agree. What permissions people hold is not its business.
package permissions

import "fmt"

// Commands are the commands of this package.
type Commands struct {
	Generate Generate `cmd:"" help:"Write Go and TypeScript constants for the permissions and roles in services/*/module.yaml."`
	List     List     `cmd:"" help:"List the permissions that modules declare, and the RPCs that need them."`
	Check    Check    `cmd:"" help:"Check that access rules of RPCs and permissions in manifests agree."`
}

// item returns the path of an item of a list in a manifest.
func item(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
