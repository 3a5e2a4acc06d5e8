package cache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxFresh bounds how long an answer is kept, whatever its service says: nothing can call it back.
const maxFresh = 5 * time.Minute

// Freshness tells how long an answer may be kept: only one whose service says so by `max-age`, or `s-maxage` for one that
// is shared, is kept at all. shared says that all callers are the same to the service; an answer that is `private` is not
// kept for them. What is not certain is not kept: a Vary on what is not in the key, a cookie, or quotes in Cache-Control.
func Freshness(header http.Header, shared bool) (fresh, age time.Duration, ok bool) {
	if len(header["Set-Cookie"]) > 0 || !variesByKey(header["Vary"]) {
		return 0, 0, false
	}
	directives, ok := parse(header["Cache-Control"])
	if !ok {
		return 0, 0, false
	}
	for _, never := range []string{"no-store", "no-cache"} {
		if _, found := directives[never]; found {
			return 0, 0, false
		}
	}
	if _, private := directives["private"]; private && shared {
		return 0, 0, false
	}
	text, found := directives["max-age"]
	if s, has := directives["s-maxage"]; has && shared {
		text, found = s, true
	}
	if !found {
		return 0, 0, false
	}
	fresh, ok = deltaSeconds(text)
	if !ok {
		return 0, 0, false
	}
	if values := header["Age"]; len(values) > 0 {
		if age, ok = deltaSeconds(values[0]); !ok || len(values) > 1 {
			return 0, 0, false
		}
	}
	fresh = min(fresh-age, maxFresh)
	return fresh, age, fresh > 0
}

// Bypass tells whether a request asks for an answer that is made anew, and whether that may be kept. A request with a cookie
// gets one, too: what a service does with it is nobody's to say.
func Bypass(header http.Header) (bypass, keep bool) {
	if len(header["Cookie"]) > 0 || len(header["Range"]) > 0 {
		return true, false
	}
	directives, ok := parse(header["Cache-Control"])
	if !ok {
		return true, false
	}
	if _, found := directives["no-store"]; found {
		return true, false
	}
	_, noCache := directives["no-cache"]
	_, pragma := header["Pragma"]
	return noCache || pragma || directives["max-age"] == "0", true
}

// variesByKey tells whether all that an answer varies by is in the key: Authorization is, as the Scope. Origin is not: what
// the gateway itself adds for it is added to each answer anew, and is no matter of the service's.
func variesByKey(vary []string) bool {
	for _, list := range vary {
		for name := range strings.SplitSeq(list, ",") {
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "", "accept-encoding", "authorization":
			default:
				return false
			}
		}
	}
	return true
}

// parse reads Cache-Control (RFC 9111, section 5.2); names in lower case. ok is false where it has quotes, or says the same
// thing twice.
func parse(values []string) (directives map[string]string, ok bool) {
	directives = map[string]string{}
	for _, list := range values {
		if strings.ContainsRune(list, '"') {
			return nil, false
		}
		for directive := range strings.SplitSeq(list, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
			if name = strings.ToLower(name); name == "" {
				continue
			}
			if _, twice := directives[name]; twice {
				return nil, false
			}
			directives[name] = value
		}
	}
	return directives, true
}

// deltaSeconds reads a number of seconds (RFC 9111, section 1.2.2).
func deltaSeconds(text string) (time.Duration, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, false
	}
	return time.Duration(n) * time.Second, true
}
