package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Replicated is a master and a replica of it. Nothing takes the replica's place of itself: a test says when.
type Replicated struct {
	Master  *Server
	url     string
	promote func()
}

// Promote makes the replica the master, whether that one is there or not. It does not wait for it.
func (r *Replicated) Promote() { r.promote() }

// URL is the address of all that a client may ask first.
func (r *Replicated) URL() string { return r.url }

// patience is after how many milliseconds a server that does not answer is taken for gone: longer than a test lasts.
const patience = "600000"

// StartSentinels starts a master and a replica, and three Sentinels that watch them.
func StartSentinels(t testing.TB, secret *TLS) *Replicated {
	t.Helper()
	ports := choosePorts(t, 5)
	master := startData(t, secret, ports[0])
	replica := startData(t, secret, ports[1], "--replicaof", host+" "+master.port)
	replica.eventually("no replica", isReplica)
	var sentinels []*Server
	for _, port := range ports[2:] {
		// A Sentinel writes what it learns into its file.
		file := filepath.Join(t.TempDir(), "sentinel.conf")
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "sentinel monitor limits %s %s 2\nsentinel down-after-milliseconds limits %s\nsentinel failover-timeout limits 2000\n",
			host, master.port, patience), 0o600))
		sentinels = append(sentinels, start(t, secret, port, file, "--sentinel"))
	}
	for _, s := range sentinels {
		s.eventually("the Sentinels do not know each other and the replica", func(ctx context.Context, c *redis.Client) bool {
			said, err := c.Do(ctx, "SENTINEL", "MASTER", "limits").Result()
			return err == nil && strings.Contains(fmt.Sprint(said), "num-slaves:1") && strings.Contains(fmt.Sprint(said), "num-other-sentinels:2")
		})
	}
	promote := func() { sentinels[1].do("SENTINEL", "FAILOVER", "limits") }
	return &Replicated{Master: master, promote: promote, url: fmt.Sprintf("%s%s?master_name=limits&username=%s&password=%s&addr=%s&addr=%s",
		master.scheme(), sentinels[0].address(), user, password, sentinels[1].address(), sentinels[2].address())}
}

// StartCluster starts a cluster of three masters, and a replica of the one that has a key.
func StartCluster(t testing.TB, secret *TLS, key string) *Replicated {
	t.Helper()
	ports := choosePorts(t, 8)
	var nodes []*Server
	for i := range 4 {
		nodes = append(nodes, startData(t, secret, ports[i], "--cluster-enabled", "yes", "--cluster-port", ports[i+4], "--cluster-node-timeout", patience))
	}
	const slots = 16384
	var master *Server
	for i, node := range nodes {
		node.do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		for k := range i {
			node.do("CLUSTER", "MEET", host, nodes[k].port, ports[k+4])
		}
		if i == 3 {
			break
		}
		first, last := i*slots/3, (i+1)*slots/3-1
		node.do("CLUSTER", "ADDSLOTSRANGE", first, last)
		if of := slotOf(t, node, key); first <= of && of <= last {
			master = node
		}
	}
	replica := nodes[3]
	replica.eventually("the nodes do not know each other", func(ctx context.Context, c *redis.Client) bool {
		info, err := c.ClusterInfo(ctx).Result()
		return err == nil && strings.Contains(info, "cluster_known_nodes:4") && strings.Contains(info, "cluster_slots_assigned:"+strconv.Itoa(slots))
	})
	c := master.client()
	id, err := c.ClusterMyID(t.Context()).Result()
	require.NoError(t, err)
	require.NoError(t, c.Close())
	replica.do("CLUSTER", "REPLICATE", id)
	replica.eventually("no replica", isReplica)
	for _, node := range nodes {
		node.eventually("the cluster does not work", func(ctx context.Context, c *redis.Client) bool {
			info, err := c.ClusterInfo(ctx).Result()
			known, errNodes := c.ClusterNodes(ctx).Result()
			return err == nil && errNodes == nil && strings.Contains(info, "cluster_state:ok") && strings.Count(known, "slave") == 1
		})
	}
	others := nodes[:0:0]
	for _, node := range nodes {
		if node != master {
			others = append(others, node)
		}
	}
	promote := func() { replica.do("CLUSTER", "FAILOVER", "TAKEOVER") }
	return &Replicated{Master: master, promote: promote, url: fmt.Sprintf("%s?addr=%s&addr=%s", master.URL(), others[0].address(), others[1].address())}
}

func isReplica(ctx context.Context, c *redis.Client) bool {
	info, err := c.Info(ctx, "replication").Result()
	return err == nil && strings.Contains(info, "role:slave") && strings.Contains(info, "master_link_status:up")
}

func slotOf(t testing.TB, node *Server, key string) int {
	t.Helper()
	c := node.client()
	slot, err := c.ClusterKeySlot(t.Context(), key).Result()
	require.NoError(t, err)
	require.NoError(t, c.Close())
	return int(slot)
}
