package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"ashlar.dev/kernel/discovery"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/services"
)

const (
	// name is the gateway's in Consul.
	name = "gateway"
	// answerWithin is how long a gateway may take to answer.
	answerWithin = 5 * time.Second
	// maxAnswerBytes bounds what is read of an answer: 10,000 procedures are about 3 MiB.
	maxAnswerBytes = 64 << 20
)

// Gateways says which gateways a command is about.
type Gateways struct {
	services.Where

	OpsAddr []string `name:"ops-addr" help:"Operations address of a gateway, instead of those that Consul knows; more than one may be given." placeholder:"HOST:PORT"`
	Gateway string   `help:"Only the gateway with this id." placeholder:"ID"`
}

// target is a gateway that is asked.
type target struct{ id, address string }

// find returns the gateways; there is at least one where there is no error.
func (g Gateways) find(ctx context.Context) ([]target, error) {
	var out []target
	for _, address := range g.OpsAddr {
		out = append(out, target{id: address, address: address})
	}
	if len(out) > 0 {
		if g.Gateway != "" {
			return nil, exit.With(exit.Usage, fmt.Errorf("--gateway names one of those in Consul, and --ops-addr does not ask it"))
		}
		return out, nil
	}
	seen, err := g.Instances(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, s := range seen {
		if address := s.Metadata[discovery.MetadataOps]; address != "" && (g.Gateway == "" || g.Gateway == s.ID) {
			out = append(out, target{s.ID, address})
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case g.Gateway != "":
		return nil, exit.With(exit.NotFound, fmt.Errorf("Consul knows no gateway %s that has an operations listener", g.Gateway)) //nolint:staticcheck // Consul is a name
	case len(seen) > 0:
		return nil, exit.With(exit.NotFound, fmt.Errorf("no gateway has an operations listener: ASHLAR_OPS_ADDR turns it on"))
	default:
		return nil, exit.With(exit.NotFound, fmt.Errorf("Consul knows no gateway")) //nolint:staticcheck // Consul is a name
	}
}

// client asks gateways, by their address and no proxy.
var client = &http.Client{Timeout: answerWithin, Transport: &http.Transport{DisableKeepAlives: true}}

// get reads a page of a gateway.
func (t target) get(ctx context.Context, path string, query url.Values, read func(io.Reader) error) error {
	where := url.URL{Scheme: "http", Host: t.address, Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return exit.With(exit.Usage, fmt.Errorf("%s is no address: want HOST:PORT", t.address))
	}
	response, err := client.Do(request)
	if err != nil {
		return exit.With(exit.Unavailable, fmt.Errorf("gateway %s does not answer: %w; an operations listener on a loopback address is reached from its own machine only", t.id, err))
	}
	defer func() { _ = response.Body.Close() }()
	body := io.LimitReader(response.Body, maxAnswerBytes)
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(body, 1<<10))
		return fmt.Errorf("gateway %s answers %s: %s", t.id, response.Status, strings.TrimSpace(string(text)))
	}
	if err := read(body); err != nil {
		return fmt.Errorf("gateway %s answers what cannot be read: %w", t.id, err)
	}
	return nil
}

// readJSON returns a reader of JSON.
func readJSON(into any) func(io.Reader) error {
	return func(r io.Reader) error { return json.NewDecoder(r).Decode(into) }
}

// each asks all gateways at once, and returns the answers of those that gave one, in their order, with the errors of the others.
func each[T any](targets []target, ask func(target) (T, error)) (answers []T, errs []error) {
	all, failed := make([]T, len(targets)), make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { all[i], failed[i] = ask(t) })
	}
	wg.Wait()
	for i := range targets {
		if failed[i] == nil {
			answers = append(answers, all[i])
		} else {
			errs = append(errs, failed[i])
		}
	}
	return answers, errs
}
