package edge

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway/internal/address"
)

func networks(t *testing.T, texts ...string) address.Set {
	t.Helper()
	set, err := address.ParseSet(texts)
	require.NoError(t, err)
	return set
}

// What a request looks as if it came from is what all else goes by.
func TestPlace(t *testing.T) {
	t.Parallel()
	addresses := Addresses{TrustedProxies: networks(t, "10.0.0.0/8"), Deny: networks(t, "192.0.2.66", "10.6.6.6")}
	assert.False(t, addresses.none())
	assert.True(t, (&Addresses{}).none())
	ours := &tls.ConnectionState{Version: tls.VersionTLS13}
	for name, c := range map[string]struct {
		from   string
		over   *tls.ConnectionState
		header http.Header
		want   string
		secure *tls.ConnectionState
		denied bool
	}{
		"a stranger":            {from: "192.0.2.1:80", header: http.Header{"X-Forwarded-For": {"6.6.6.6"}, "X-Forwarded-Proto": {"https"}}, want: "192.0.2.1:80"},
		"a stranger over TLS":   {from: "192.0.2.1:80", over: ours, header: http.Header{"X-Forwarded-Proto": {"http"}}, want: "192.0.2.1:80", secure: ours},
		"a proxy":               {from: "10.0.0.1:80", header: http.Header{"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}}, want: "192.0.2.1:0", secure: byProxy},
		"a proxy over TLS":      {from: "10.0.0.1:80", over: ours, header: http.Header{"X-Forwarded-For": {"2001:db8::1"}}, want: "[2001:db8::1]:0", secure: ours},
		"a caller in the clear": {from: "10.0.0.1:80", over: ours, header: http.Header{"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"http"}}, want: "192.0.2.1:0"},
		"an odd scheme":         {from: "10.0.0.1:80", header: http.Header{"X-Forwarded-Proto": {"HTTPS"}}, want: "10.0.0.1:0"},
		"two schemes":           {from: "10.0.0.1:80", header: http.Header{"X-Forwarded-Proto": {"https", "https"}}, want: "10.0.0.1:0"},
		"denied":                {from: "192.0.2.66:80", want: "192.0.2.66:80", denied: true},
		"denied behind a proxy": {from: "10.0.0.1:80", header: http.Header{"X-Forwarded-For": {"192.0.2.66"}}, want: "192.0.2.66:0", denied: true},
		"a proxy that is denied asks for another": {
			from: "10.6.6.6:80", header: http.Header{"X-Forwarded-For": {"192.0.2.1"}}, want: "192.0.2.1:0",
		},
		"no address": {from: "@", header: http.Header{"X-Forwarded-For": {"192.0.2.1"}}, want: "@"},
	} {
		r := &http.Request{RemoteAddr: c.from, TLS: c.over, Header: c.header}
		assert.Equal(t, !c.denied, addresses.place(r), name)
		assert.Equal(t, c.want, r.RemoteAddr, name)
		assert.Same(t, c.secure, r.TLS, name)
	}
	only := Addresses{Allow: networks(t, "192.0.2.0/24")}
	assert.False(t, only.place(&http.Request{RemoteAddr: "@"}), "who is nowhere is on no list")
}
