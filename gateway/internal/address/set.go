// Package address finds out at which address a caller is, where there are proxies between him and us, and whether people
// at that address may call. It knows nothing of RPCs.
package address

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"go4.org/netipx"
)

// Set is a set of addresses. The zero value is empty. It is safe for concurrent use.
type Set struct{ ranges *netipx.IPSet }

// ParseSet returns the set of networks such as 10.0.0.0/8 and 2001:db8::/32, and of single addresses. The error names all
// that are neither.
func ParseSet(networks []string) (Set, error) {
	var builder netipx.IPSetBuilder
	var errs []error
	for _, text := range networks {
		prefix, err := parseNetwork(strings.TrimSpace(text))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		builder.AddPrefix(prefix)
	}
	if len(networks) == 0 || len(errs) > 0 {
		return Set{}, errors.Join(errs...)
	}
	ranges, err := builder.IPSet()
	return Set{ranges}, err
}

func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return prefix, fmt.Errorf("%q: want a network such as 10.0.0.0/8 or 2001:db8::/32, or an address without a zone", text)
	case prefix.Addr().Is4In6():
		return prefix, fmt.Errorf("%q: write it as a network of IPv4", text)
	case prefix != prefix.Masked():
		return prefix, fmt.Errorf("%q: the network is %s", text, prefix.Masked())
	default:
		return prefix, nil
	}
}

// Empty tells whether nothing is in the set.
func (s Set) Empty() bool { return s.ranges == nil }

// Contains tells whether an address is in the set, be it written as one of IPv4 or as the same one mapped to IPv6.
func (s Set) Contains(address netip.Addr) bool {
	return s.ranges != nil && s.ranges.Contains(plain(address))
}

// plain is an address in the form in which it is compared.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }
