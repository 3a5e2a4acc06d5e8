package edge

import (
	"net/http"
	"strings"

	"github.com/rs/cors"

	"ashlar.dev/kernel/authn"
)

// crossSite tells requests that a page of a stranger makes a browser send, with the cookies of whoever sits before it, from
// those of the gateway's own host and of origins that may call with them.
type crossSite struct {
	origins    *cors.Cors // nil: none
	protection *http.CrossOriginProtection
}

func newCrossSite(origins *cors.Cors) crossSite {
	return crossSite{origins: origins, protection: http.NewCrossOriginProtection()}
}

// harmless tells whether the cookies of a request may count. Reading is harmless, because a stranger's page does not get
// to see the answer. Otherwise the browser has to say where the request comes from: all do that have been made since
// 2020, and no program that is no browser has a cookie of ours.
func (s crossSite) harmless(r *http.Request) bool {
	if s.origins != nil && r.Header.Get("Origin") != "" && s.origins.OriginAllowed(r) {
		return true
	}
	safe := r.Method == http.MethodGet
	told := r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != ""
	return (safe || told) && s.protection.Check(r) == nil
}

// takeCookies takes the cookies that hold tokens out of a request, so that no service sees that of the access token, and
// none but who asks for it that of the refresh token. It returns the access token, if there is exactly one. It fails where
// they came by way of a stranger's page.
func (c *call) takeCookies() (accessToken string, err error) {
	lines := c.r.Header["Cookie"]
	if len(lines) == 0 || !holdsToken(lines) {
		return "", nil
	}
	mayCount := c.h.current.Load().crossSite.harmless(c.r)
	var access []string
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.TrimSpace(pair)
			name, value, _ := strings.Cut(pair, "=")
			switch name {
			case authn.AccessCookie:
				access = append(access, value)
			case authn.RefreshCookie:
				if mayCount {
					kept = append(kept, pair)
				}
			default:
				kept = append(kept, pair)
			}
		}
	}
	if len(kept) == 0 {
		delete(c.r.Header, "Cookie")
	} else {
		c.r.Header["Cookie"] = []string{strings.Join(kept, "; ")}
	}
	switch {
	case !mayCount:
		return "", crossSiteRequest()
	case len(access) == 1:
		return access[0], nil
	default:
		return "", nil
	}
}

func holdsToken(lines []string) bool {
	for _, line := range lines {
		if strings.Contains(line, authn.AccessCookie) || strings.Contains(line, authn.RefreshCookie) {
			return true
		}
	}
	return false
}
