// Package auditlog is what makes the audit record checkable: how an event becomes a leaf of a Merkle log (RFC 6962), how the
// log's tree grows, and how its signed checkpoints (c2sp.org/tlog-checkpoint) are made and verified. The audit service
// writes with it, and whoever verifies reads with it, so that there is one truth of both. It knows no database, no network
// and no service: events come from whoever has them.
package auditlog
