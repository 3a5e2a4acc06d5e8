package limit

import (
	"hash/maphash"
	"net/netip"
)

// siteBits is how much of an IPv6 address names a caller: a network of this size is what one customer gets
// (RFC 6177), so that nobody has 2^64 buckets.
const siteBits = 64

// Caller is who asks: a principal's id, or an address where nobody has signed in.
type Caller struct {
	Principal string
	Network   netip.Prefix
}

// Principal returns the caller with an id.
func Principal(id string) Caller { return Caller{Principal: id} }

// Address returns the caller at an address.
func Address(address netip.Addr) Caller {
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = siteBits
	}
	network, err := address.Prefix(bits)
	if err != nil {
		return Caller{} // the zero address: all whose address is unknown share a bucket
	}
	return Caller{Network: network}
}

// hash is the same for the same caller as long as the process runs, and cannot be foreseen by anybody.
func (c Caller) hash(seed maphash.Seed) uint64 {
	if c.Principal != "" {
		return maphash.String(seed, c.Principal)
	}
	address := c.Network.Addr().As16()
	return ^maphash.Bytes(seed, address[:])
}
