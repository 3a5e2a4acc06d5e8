// Package audit shows the audit record, and verifies that nobody has changed it: `platformctl audit query`, `tail` and
// `verify`. What it verifies with is in platform/auditlog, and needs no word of the service that keeps the record.
package audit

// Commands are the commands of this package.
type Commands struct {
	Audit struct {
		Query  Query  `cmd:"" help:"Show what was done, and what was refused."`
		Tail   Tail   `cmd:"" help:"Show events as they are recorded."`
		Verify Verify `cmd:"" help:"Make sure that nobody has changed the record."`
	} `cmd:"" group:"Audit" help:"The audit record."`
}
