package discovery

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
)

// ErrInvalid is matched by the error of a registration that no registry would take.
var ErrInvalid = errors.New("invalid registration")

// MetadataVersion is the metadata key under which registries keep Instance.Version, so nobody else can use it.
const MetadataVersion = "version"

const (
	maxMetadata      = 63  // pairs; Consul takes 64, one is the version
	maxMetadataValue = 512 // bytes, as Consul has it
)

var (
	validID      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	validService = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`) // RFC 1035 section 2.3.1, lower case
	validMetaKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
)

// Validate reports everything that is wrong with r. The rules are those of the strictest registry, so that what works with one
// works with all. The error matches ErrInvalid.
func (r Registration) Validate() error {
	var wrong []error
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }

	if !validID.MatchString(r.ID) {
		add("id %q: want 1 to 128 letters, digits, dots, dashes or underscores, a letter or digit first", r.ID)
	}
	if !validService.MatchString(r.Service) {
		add("service %q: want a DNS label: lower-case letters, digits and dashes, a letter first, at most 63", r.Service)
	}
	if _, _, err := SplitAddress(r.Address); err != nil {
		add("address %q: %w", r.Address, err)
	}
	if len(r.Version) > maxMetadataValue {
		add("version is longer than %d bytes", maxMetadataValue)
	}
	if len(r.Metadata) > maxMetadata {
		add("%d metadata entries are more than %d", len(r.Metadata), maxMetadata)
	}
	for key, value := range r.Metadata {
		switch {
		case key == MetadataVersion:
			add("metadata %q is taken: set Version", key)
		case !validMetaKey.MatchString(key):
			add("metadata key %q: want 1 to 128 letters, digits, dashes or underscores", key)
		case len(value) > maxMetadataValue:
			add("metadata %q: the value is longer than %d bytes", key, maxMetadataValue)
		}
	}
	if r.CheckURL != "" {
		if u, err := url.Parse(r.CheckURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			add("check URL %q: want http://host:port/path", r.CheckURL)
		}
	}
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("%w of %q: %w", ErrInvalid, r.ID, errors.Join(wrong...))
}

// SplitAddress takes an instance's address apart. Host and port are both needed, and the port must be one that can be dialed.
func SplitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, errors.New("want host:port")
	}
	if host == "" {
		return "", 0, errors.New("host is missing: others could not reach it")
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("port %q: want 1 to 65535", text)
	}
	return host, port, nil
}
