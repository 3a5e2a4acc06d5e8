// Package modules is the commands about modules in the source tree: whether their manifests are right, and what one may
// say. What runs is not its business.
package modules

// Commands are the commands of this package.
type Commands struct {
	Validate Validate `cmd:"" help:"Check manifests, and that they agree with each other and with the access rules of RPCs."`
	Schema   Schema   `cmd:"" help:"Print the JSON schema of module.yaml, for editors and other checks."`
}
