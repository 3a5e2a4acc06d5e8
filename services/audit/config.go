package audit

import "ashlar.dev/platform/service"

// Config is what the process can be told beside what every process can.
type Config struct {
	service.Config

	Origin string `name:"audit-origin" help:"Name of the audit log in its signed checkpoints, like example.com/audit. It counts when the log is begun; where not set, ashlar/audit." placeholder:"NAME"`
}
