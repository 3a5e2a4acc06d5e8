// Package discovery says which instances of which services are there, and lets an instance make itself known.
//
// It holds the interfaces, the value that changes (Watch) and the rules a registration has to meet; the registries
// themselves are in memory (one process) and consul (the real thing), held to the same behavior by discoverytest. It
// must not know any service by name, nor how requests are sent: that is package balance.
package discovery
