package consul

import (
	"time"

	"ashlar.dev/kernel/config"
)

// Config says where Consul is.
type Config struct {
	// Address of the agent's HTTP API: host:port, http://…, https://… or unix://…. Empty: CONSUL_HTTP_ADDR, or else
	// 127.0.0.1:8500. What is not here (TLS, namespace) is taken from Consul's own CONSUL_* environment variables.
	Address string

	// Token for Consul's access control. Empty: CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE. It needs service:write for what is
	// registered, and service:read and node:read for what is looked up.
	Token config.Secret

	// Platform tells platforms that share one Consul apart: what is registered is seen only by registries with the same
	// one. Empty: what is registered is seen by registries without one, and these see all platforms.
	Platform string
}

// Tag marks the services of all platforms; services without it are not seen.
const Tag = "ashlar"

// tag marks the services of one platform.
func (c Config) tag() string {
	if c.Platform == "" {
		return Tag
	}
	return Tag + "-" + c.Platform
}

const (
	checkInterval   = time.Second
	checkTimeout    = 2 * time.Second // longer than the interval: a busy machine is not a dead one
	deregisterAfter = time.Minute     // of failing checks; Consul looks about every 30 s

	blockFor       = 30 * time.Second       // one blocking query
	answerAfterAll = 2 * time.Second        // what an answer may take that nobody waits for any more
	answerWithin   = 10 * time.Second       // what an answer may take beyond blocking; an agent holds a query for 7 s when there is no leader
	settleTime     = 5 * time.Second        // longer than maxBackoff with its jitter and one check interval
	settleStep     = time.Second            // of settleTime that passes between two answers, at most
	minBackoff     = 100 * time.Millisecond // after a failed query
	maxBackoff     = 2 * time.Second
	queryEvery     = 100 * time.Millisecond // so a view that changes all the time does not become a busy loop
	queryBurst     = 10
	reregisterRate = time.Second // so two processes with one ID do not fight at full speed
)
