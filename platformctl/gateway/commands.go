// Package gateway is what `platformctl gateway` does: it shows what the gateways of a running platform do, from their
// operations listeners. It knows no service by name.
package gateway

// Commands are the commands of this package.
type Commands struct {
	Routes Routes `cmd:"" help:"Show what goes where and why, or which route would take a request."`
	Top    Top    `cmd:"" help:"Watch the traffic: requests, errors and times by procedure."`
}
