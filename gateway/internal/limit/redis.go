package limit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// spend takes from buckets. Times are microseconds of Redis's clock, so that those of gateways do not matter.
//
// KEYS are buckets; ARGV[1] is after which time nobody waits for the answer any more (0: not known), and then nothing is
// taken, because the same will be told again; then come three for each bucket: cost, since, window. It returns the time,
// and for each bucket when it will be full, from now; or nothing where it comes too late.
//
// A bucket may be in debt by as much as it holds: gateways are told late that it is empty, and what they have let through
// by then is to be made up for. More is forgiven, because it was decided while the store was away. A full bucket is
// remembered for another window, because others may tell later of what they took before.
var spend = redis.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local late = tonumber(ARGV[1])
if late > 0 and now > late then
	return {}
end
local answer = {now}
for i, key in ipairs(KEYS) do
	local cost, since, window = tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i]), tonumber(ARGV[3*i+1])
	local full = tonumber(redis.call('GET', key) or 0)
	full = math.max(full, now - since) + cost
	full = math.min(full, now + 2 * window)
	local kept = math.max(full - now, 0) + window
	redis.call('SET', key, string.format('%.0f', full), 'PX', string.format('%.0f', math.ceil(kept / 1000) + 1000))
	answer[i + 1] = full - now
end
return answer`)

// keyPrefix has a hash tag, so that all keys of a call are on one node of a cluster, and all times of one clock.
const keyPrefix = "{ashlar:limits}:"

// Redis is a Store in Redis or Valkey: one server, the master that Sentinels name, or a cluster. It is safe for concurrent
// use.
type Redis struct {
	client redis.UniversalClient
	begun  time.Time
	// ahead is by how much Redis's clock, in microseconds, was ahead of the time since begun; 0: not known.
	ahead atomic.Int64
}

// silence keeps the library from writing to standard error; what it would say is in the errors of its calls.
var silence = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

type silent struct{}

// Printf implements the library's interface for logs.
func (silent) Printf(context.Context, string, ...any) {}

// NewRedis returns the store at an address: redis:// or, with TLS, rediss://. It does not connect yet. The error does not
// show the address, in which there are passwords.
func NewRedis(address string) (*Redis, error) {
	silence()
	options, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	return &Redis{client: newClient(options), begun: time.Now()}, nil
}

func newClient(options *redis.UniversalOptions) redis.UniversalClient {
	if !options.IsClusterMode {
		return redis.NewUniversalClient(options)
	}
	cluster := options.Cluster()
	// Otherwise each call asks random nodes, such as one that hangs, what commands there are, until one tells.
	cluster.DisableRoutingPolicies = true
	return redis.NewClusterClient(cluster)
}

var errLate = errors.New("it came too late, or the clock of Redis was set")

// Spend implements Store.
func (r *Redis) Spend(ctx context.Context, spent []Spent) error {
	keys, args := make([]string, len(spent)), make([]any, 1, 1+3*len(spent))
	args[0] = r.late(ctx)
	for i, s := range spent {
		keys[i] = keyPrefix + s.ID
		args = append(args, max(s.Cost.Microseconds(), 1), s.Since.Microseconds(), s.Window.Microseconds())
	}
	answer, err := spend.Run(ctx, r.client, keys, args...).Int64Slice()
	if err != nil {
		r.lookAgain(ctx)
		return fmt.Errorf("redis: %w", err)
	}
	if len(answer) != 1+len(spent) {
		r.ahead.Store(0)
		return fmt.Errorf("redis: %w", errLate)
	}
	r.ahead.Store(answer[0] - time.Since(r.begun).Microseconds())
	for i, full := range answer[1:] {
		spent[i].Full = time.Duration(full) * time.Microsecond
	}
	return nil
}

// late is the time of Redis at which ctx ends; 0 where it is not known.
func (r *Redis) late(ctx context.Context) int64 {
	deadline, ok := ctx.Deadline()
	ahead := r.ahead.Load()
	if !ok || ahead == 0 {
		return 0
	}
	return ahead + deadline.Sub(r.begun).Microseconds()
}

// lookAgain has a cluster asked which of its nodes has the buckets. The library does so by itself only when a node says
// that it has them no longer, which one that is paused or gone never says.
func (r *Redis) lookAgain(ctx context.Context) {
	if cluster, ok := r.client.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx)
	}
}

// Close closes the connections.
func (r *Redis) Close() error { return r.client.Close() }
