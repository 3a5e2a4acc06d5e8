package authn

// The cookies in which browsers keep tokens. auth sets them, the gateway takes the first for a bearer token, and auth the
// second for that of a Refresh. The prefixes bind them to the host that set them over TLS (RFC 6265bis, section 4.1.3):
// another host of the same domain cannot plant its own.
const (
	AccessCookie  = "__Host-ashlar-access"
	RefreshCookie = "__Secure-ashlar-refresh"
)
