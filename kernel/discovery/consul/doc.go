// Package consul finds services in Consul, and keeps instances registered there.
//
// It talks to one agent, the one on this machine or in this pod. Views are followed with blocking queries and never given up:
// when the agent is gone, hangs, or has no leader, the last good view stays and the query is tried again, with
// jittered backoff, until the registry is closed. Registrations are followed the same way, so an agent that lost one gets
// it again.
//
// A Consul that has just come back may not know yet what it will know in a second: a dev agent has lost all
// registrations, an agent with a data directory counts every check as failing until it has run. So what was in the view
// before a fault stays there for settleTime after Consul answers again, unless Consul shows it and then takes it away;
// after that the view is exactly what Consul says. Whoever sends requests passes over an instance that is really
// gone (package balance does).
//
// The package must not know any service by name.
package consul
