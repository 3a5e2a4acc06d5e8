package learn

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/discovery"
)

// versions holds what the versions of a service answered, by what discovery calls them.
type versions map[string]*version

type version struct {
	asked    string // of which instances
	response *kernelv1.GetManifestResponse
}

// update asks those versions whose instances have changed, and forgets those that have none left; where no version has,
// all stay as they are, since the service will be back. news tells whether there is anything else than before; err is of
// versions that did not answer and are to be asked again.
func (v versions) update(instances []discovery.Instance, ask func(version string) (*kernelv1.GetManifestResponse, error)) (news bool, err error) {
	if len(instances) == 0 {
		return false, nil
	}
	who := fingerprints(instances)
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(who)) {
		known := v[name]
		if known == nil {
			known = &version{}
			v[name] = known
		}
		if known.asked == who[name] {
			continue
		}
		response, err := ask(name)
		if err != nil {
			failed = append(failed, fmt.Errorf("version %s: %w", name, err))
			continue
		}
		known.asked = who[name]
		if !proto.Equal(known.response, response) {
			known.response, news = response, true
		}
	}
	// What has gone is kept until something else is known: nothing must become unreachable for an upgrade that cannot be
	// asked yet.
	if answered := slices.ContainsFunc(slices.Collect(maps.Keys(who)), func(name string) bool { return v[name].response != nil }); answered {
		for name, known := range v {
			if _, there := who[name]; !there {
				delete(v, name)
				news = news || known.response != nil
			}
		}
	}
	return news, errors.Join(failed...)
}

// without returns all but some versions.
func (v versions) without(names []string) versions {
	out := maps.Clone(v)
	for _, name := range names {
		delete(out, name)
	}
	return out
}

// fingerprints names the instances of each version.
func fingerprints(instances []discovery.Instance) map[string]string {
	out := map[string]string{}
	var b strings.Builder
	for _, i := range instances {
		b.Reset()
		b.WriteString(out[i.Version])
		b.WriteString(i.ID + "\x00" + i.Address + "\n")
		out[i.Version] = b.String()
	}
	return out
}
