package address

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func set(t testing.TB, networks ...string) Set {
	t.Helper()
	s, err := ParseSet(networks)
	require.NoError(t, err)
	return s
}

func TestSet(t *testing.T) {
	t.Parallel()
	s := set(t, "10.0.0.0/8", " 192.0.2.7", "2001:db8::/32", "fe80::/10", "::ffff:198.51.100.1")
	for text, want := range map[string]bool{
		"10.1.2.3": true, "11.0.0.0": false, "9.255.255.255": false, "192.0.2.7": true, "192.0.2.8": false,
		"2001:db8::1": true, "2001:db9::": false, "fe80::1%eth0": true, "198.51.100.1": true,
		"::ffff:10.0.0.1": true, "::ffff:11.0.0.1": false, "::10.0.0.1": false, "64:ff9b::10.0.0.1": false,
	} {
		assert.Equal(t, want, s.Contains(netip.MustParseAddr(text)), text)
	}
	assert.False(t, s.Contains(netip.Addr{}))
	assert.False(t, Set{}.Contains(netip.MustParseAddr("10.0.0.1")))
	assert.True(t, set(t).Empty())
	assert.True(t, set(t, "0.0.0.0/0").Contains(netip.MustParseAddr("::ffff:10.0.0.1")))
	assert.False(t, set(t, "0.0.0.0/0").Contains(netip.MustParseAddr("2001:db8::1")))
}

func TestNetworksThatAreNone(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"10.0.0.1/8": "the network is 10.0.0.0/8", "10.0.0.0/33": "want a network", "": "want a network", "localhost": "want a network",
		"10.0.0": "want a network", "fe80::1%eth0": "without a zone", "fe80::%eth0/64": "without a zone", "::ffff:10.0.0.0/104": "IPv4",
		"010.0.0.0/8": "want a network", "10.0.0.0/08": "want a network", "10.0.0.0-10.0.0.9": "want a network",
	} {
		s, err := ParseSet([]string{"192.0.2.0/24", text})
		require.ErrorContains(t, err, says, text)
		assert.True(t, s.Empty(), text)
	}
	_, err := ParseSet([]string{"a", "b"})
	require.ErrorContains(t, err, `"a"`)
	require.ErrorContains(t, err, `"b"`)
}

func TestClient(t *testing.T) {
	t.Parallel()
	trusted := set(t, "10.0.0.0/8", "fd00::/8")
	long := strings.Repeat("10.0.0.9,", 100_000)
	for name, c := range map[string]struct {
		connection string
		header     []string
		want       string
	}{
		"nobody is between":                 {"192.0.2.1", nil, "192.0.2.1"},
		"a stranger makes it up":            {"192.0.2.1", []string{"6.6.6.6"}, "192.0.2.1"},
		"one proxy":                         {"10.0.0.1", []string{"192.0.2.1"}, "192.0.2.1"},
		"one proxy says nothing":            {"10.0.0.1", nil, "10.0.0.1"},
		"two proxies":                       {"10.0.0.1", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		"two proxies on lines of their own": {"10.0.0.1", []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		"made up before one proxy":          {"10.0.0.1", []string{"6.6.6.6, 192.0.2.1"}, "192.0.2.1"},
		"made up on another line":           {"10.0.0.1", []string{"6.6.6.6", "192.0.2.1"}, "192.0.2.1"},
		"a trusted one is made up":          {"10.0.0.1", []string{"6.6.6.6, 10.0.0.3, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		"all are trusted":                   {"10.0.0.1", []string{"10.0.0.4, 10.0.0.3"}, "10.0.0.4"},
		"nonsense":                          {"10.0.0.1", []string{"192.0.2.1, nonsense"}, "10.0.0.1"},
		"unknown":                           {"10.0.0.1", []string{"unknown"}, "10.0.0.1"},
		"nonsense before a proxy":           {"10.0.0.1", []string{"nonsense, 10.0.0.2"}, "10.0.0.2"},
		"nonsense that nobody looks at":     {"10.0.0.1", []string{"nonsense, 192.0.2.1"}, "192.0.2.1"},
		"an empty element":                  {"10.0.0.1", []string{"192.0.2.1, "}, "10.0.0.1"},
		"empty":                             {"10.0.0.1", []string{""}, "10.0.0.1"},
		"commas":                            {"10.0.0.1", []string{",,,"}, "10.0.0.1"},
		"a space instead of a comma":        {"10.0.0.1", []string{"6.6.6.6 192.0.2.1"}, "10.0.0.1"},
		"a tab":                             {"10.0.0.1", []string{"6.6.6.6,\t192.0.2.1\t"}, "192.0.2.1"},
		"a port":                            {"10.0.0.1", []string{"192.0.2.1:4711"}, "192.0.2.1"},
		"IPv6":                              {"fd00::1", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv6 in brackets":                  {"fd00::1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"IPv6 with a port":                  {"fd00::1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		"IPv4 in brackets":                  {"fd00::1", []string{"[192.0.2.1]"}, "fd00::1"},
		"half a bracket":                    {"fd00::1", []string{"[2001:db8::1"}, "fd00::1"},
		"a zone":                            {"fd00::1%eth0", []string{"fe80::1%eth1"}, "fe80::1"},
		"mapped to IPv6":                    {"::ffff:10.0.0.1", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		"a trusted one mapped to IPv6":      {"10.0.0.1", []string{"192.0.2.1, ::ffff:10.0.0.2"}, "192.0.2.1"},
		"a leading zero":                    {"10.0.0.1", []string{"192.0.2.01"}, "10.0.0.1"},
		"a name":                            {"10.0.0.1", []string{"localhost"}, "10.0.0.1"},
		"more hops than there can be":       {"10.0.0.1", []string{"192.0.2.1," + long + "10.0.0.9"}, "10.0.0.9"},
		"a long element":                    {"10.0.0.1", []string{strings.Repeat("1", 60_000)}, "10.0.0.1"},
	} {
		got := Client(netip.MustParseAddr(c.connection), c.header, trusted)
		assert.Equal(t, c.want, got.String(), name)
	}
	assert.Equal(t, netip.Addr{}, Client(netip.Addr{}, []string{"192.0.2.1"}, trusted), "a connection without an address")
	header := []string{"a, b", "192.0.2.1, 10.0.0.2"}
	Client(netip.MustParseAddr("10.0.0.1"), header, trusted)
	assert.Equal(t, []string{"a, b", "192.0.2.1, 10.0.0.2"}, header, "the header is not changed")
}

// Whatever a proxy says, the result is an address in plain form, and that of somebody who is not trusted counts.
func FuzzClient(f *testing.F) {
	f.Add("192.0.2.1", "6.6.6.6, 192.0.2.1:80", "[::1]:80")
	f.Add("10.0.0.1", "::ffff:1.2.3.4%x", ",")
	f.Add("fd00::1%z", "1, 2, 3", "unknown")
	trusted := set(f, "10.0.0.0/8", "fd00::/8")
	f.Fuzz(func(t *testing.T, connection, first, second string) {
		from, err := netip.ParseAddr(connection)
		if err != nil {
			return
		}
		got := Client(from, []string{first, second}, trusted)
		if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Fatalf("%q", got)
		}
		if !trusted.Contains(from) && got != from.Unmap().WithZone("") {
			t.Fatalf("%s said %s, and is not trusted", from, got)
		}
	})
}

func BenchmarkClient(b *testing.B) {
	trusted := set(b, "10.0.0.0/8", "192.0.2.0/24", "fd00::/8")
	from, header := netip.MustParseAddr("10.0.0.1"), []string{"198.51.100.1, 10.0.0.2"}
	b.ReportAllocs()
	for b.Loop() {
		Client(from, header, trusted)
	}
}
