package address

import (
	"net/netip"
	"slices"
	"strings"
)

const (
	// maxHops bounds the proxies that are looked at one after the other.
	maxHops = 16
	// maxEntry bounds the text of an address in a list of them, in bytes.
	maxEntry = 64
)

// Client returns the address of the caller: that of the other end of the connection, or, as long as somebody at the address
// is trusted to say for whom he asks, the one that he says. forwardedFor are the values of X-Forwarded-For, to the end of
// which each proxy writes the address that it is asked from. What stands before an address that is not trusted may be
// made up, and is not looked at. Where somebody who is trusted says what is no address, it is his own.
func Client(connection netip.Addr, forwardedFor []string, trusted Set) netip.Addr {
	client := plain(connection)
	for range maxHops {
		if !trusted.Contains(client) {
			break
		}
		var entry string
		if entry, forwardedFor = last(forwardedFor); entry == "" {
			break
		}
		next, ok := parseEntry(entry)
		if !ok {
			break
		}
		client = next
	}
	return client
}

// last takes the last element off lists that are separated by commas (RFC 9110, section 5.6.1). It is empty where there is
// none, or an empty one.
func last(lists []string) (entry string, rest []string) {
	if len(lists) == 0 {
		return "", nil
	}
	end := len(lists) - 1
	comma := strings.LastIndexByte(lists[end], ',')
	entry = strings.Trim(lists[end][comma+1:], " \t")
	if comma < 0 {
		return entry, lists[:end]
	}
	return entry, slices.Concat(lists[:end], []string{lists[end][:comma]})
}

// parseEntry reads an address, which may have a port, as some proxies write it.
func parseEntry(text string) (netip.Addr, bool) {
	if len(text) > maxEntry {
		return netip.Addr{}, false
	}
	if address, err := netip.ParseAddr(text); err == nil {
		return plain(address), true
	}
	if address, err := netip.ParseAddrPort(text); err == nil {
		return plain(address.Addr()), true
	}
	if bare, ok := strings.CutPrefix(text, "["); ok {
		if bare, ok = strings.CutSuffix(bare, "]"); ok {
			address, err := netip.ParseAddr(bare)
			return plain(address), err == nil && address.Is6()
		}
	}
	return netip.Addr{}, false
}
