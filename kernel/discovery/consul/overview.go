package consul

import (
	"context"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"

	"ashlar.dev/kernel/discovery"
)

const (
	overviewAtOnce = 8   // requests that one Overview has under way
	maxWhy         = 300 // bytes of what a check has said
)

// Seen is an instance as Consul sees it.
type Seen struct {
	discovery.Instance

	// Healthy tells whether all its checks pass, so that it is in views and gets calls.
	Healthy bool
	// Why is what its failing checks have said, on one line; empty where it is healthy.
	Why string
}

// Overview asks once for all instances of the platform, also those whose checks fail, sorted by service and ID. A view is
// for callers, and shows only the healthy ones.
func (r *Registry) Overview(ctx context.Context) ([]Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	names, _, err := r.tagged((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, r.failure(ctx, err)
	}
	slices.Sort(names)
	found := make([][]Seen, len(names))
	asking, askCtx := errgroup.WithContext(ctx)
	asking.SetLimit(overviewAtOnce)
	for i, name := range names {
		asking.Go(func() error {
			entries, _, err := r.client.Health().Service(name, r.tag, false, (&api.QueryOptions{}).WithContext(askCtx))
			if err != nil {
				return r.failure(ctx, err)
			}
			for _, entry := range entries {
				found[i] = append(found[i], seen(entry))
			}
			slices.SortFunc(found[i], func(a, b Seen) int { return strings.Compare(a.ID, b.ID) })
			return nil
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}

func seen(entry *api.ServiceEntry) Seen {
	s := Seen{Instance: instance(entry), Healthy: true}
	var why []string
	for _, check := range entry.Checks {
		if check.Status == api.HealthPassing {
			continue
		}
		s.Healthy = false
		said := strings.Join(strings.Fields(check.Output), " ")
		if said == "" {
			said = check.Status
		}
		why = append(why, check.Name+": "+said)
	}
	s.Why = strings.Join(why, "; ")
	if len(s.Why) > maxWhy {
		s.Why = strings.ToValidUTF8(s.Why[:maxWhy], "") + "…"
	}
	return s
}

// instance puts what Consul has into our words.
func instance(entry *api.ServiceEntry) discovery.Instance {
	host := entry.Service.Address
	if host == "" {
		host = entry.Node.Address
	}
	metadata := maps.Clone(entry.Service.Meta)
	version := metadata[discovery.MetadataVersion]
	delete(metadata, discovery.MetadataVersion)
	return discovery.Instance{
		ID:       entry.Service.ID,
		Service:  entry.Service.Service,
		Address:  net.JoinHostPort(host, strconv.Itoa(entry.Service.Port)),
		Version:  version,
		Metadata: metadata,
	}
}
