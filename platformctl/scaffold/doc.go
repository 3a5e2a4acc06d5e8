// Package scaffold writes new services into the repository: `platformctl new service`. What it writes is rendered from the
// files under templates/, which are a service as we write them ourselves; this package must not know what is in them, nor
// need a network, a database or a running platform.
package scaffold
