package edge

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ashlar.dev/gateway/internal/cache"
	"ashlar.dev/gateway/internal/wire"
	"ashlar.dev/kernel/access"
)

// etagBytes is how much of a digest is a tag: enough that no two answers have the same, also where somebody tries.
const etagBytes = 16

// maxQueryBytes bounds what a key of the cache may hold of a request.
const maxQueryBytes = 4 << 10

// cacheKey is under which key the answer may be kept; ok is false where it may not. Procedures that take a permission are
// not kept: whether somebody has it is the service's to say, each time.
func (c *call) cacheKey() (key cache.Key, ok bool) {
	if c.h.Cache == nil || c.protocol != wire.ConnectGet || len(c.r.URL.RawQuery) > maxQueryBytes {
		return key, false
	}
	key.Host, key.TLS = c.r.Host, c.r.TLS != nil
	key.Procedure, key.Query, key.Encoding = c.route.Procedure, c.r.URL.RawQuery, strings.Join(c.r.Header["Accept-Encoding"], ",")
	switch c.route.Access {
	case access.Public:
		return key, true
	case access.Authenticated:
		p := c.principal
		key.Scope = cache.Scope{User: p.UserID, Session: p.SessionID, Organization: p.OrganizationID}
		return key, p.UserID != ""
	default:
		return key, false
	}
}

// fromCache answers a call that has been admitted, if the answer is there. Else land has to be called once it is known
// whether there will be one.
func (c *call) fromCache() (answered bool) {
	key, ok := c.cacheKey()
	if !ok {
		return false
	}
	bypass, keep := cache.Bypass(c.r.Header)
	c.keep = keep
	if bypass {
		return false
	}
	if answer := c.h.Cache.Get(key, time.Now()); answer != nil {
		c.answerKept(answer)
		return true
	}
	landed, wait := c.h.Cache.Fly(key)
	c.landed = landed
	if wait == nil {
		return false
	}
	timer := time.NewTimer(time.Until(c.timer.deadline))
	defer timer.Stop()
	select {
	case <-wait:
	case <-timer.C:
	case <-c.r.Context().Done():
	}
	if answer := c.h.Cache.Get(key, time.Now()); answer != nil {
		c.answerKept(answer)
		return true
	}
	return false
}

// land lets those go on who wait for the answer that this call gets. It comes before anything is written: the caller may
// be slow to take it.
func (c *call) land() {
	if c.landed != nil {
		c.landed()
		c.landed = nil
	}
}

// answerKept answers from the cache.
func (c *call) answerKept(a *cache.Answer) {
	header := c.w.Header()
	for _, field := range a.Fields {
		header.Add(field[0], field[1])
	}
	now := time.Now()
	header.Set("Age", strconv.FormatInt(int64(now.Sub(a.Began)/time.Second), 10))
	header.Set("Cache-Status", "ashlar; hit; ttl="+strconv.FormatInt(int64(a.Until.Sub(now)/time.Second), 10)) // RFC 9211
	c.code, c.cached = wire.OK, true
	c.writeTagged(a.ETag, a.Body)
}

// answerGet answers a GET with a whole answer of its service that is no error: it gets a tag where it has none, is kept if it
// may be, and is not sent where the caller has it.
func (c *call) answerGet(o *offer, body []byte) {
	header := c.w.Header()
	own := http.Header{} // what the service says, without what is ours for this caller
	for _, field := range o.head.Fields {
		own[field.Name] = append(own[field.Name], field.Value)
	}
	tag := own.Get("ETag")
	if tag == "" {
		tag = makeTag(own.Get("Content-Type"), own.Get("Content-Encoding"), body)
		header.Set("ETag", tag)
		own.Set("ETag", tag)
	}
	varies := []string{"Accept-Encoding"}
	if c.route.Access != access.Public {
		varies = append(varies, "Authorization")
	}
	for _, name := range varies {
		addVary(header, name)
		addVary(own, name)
	}
	if key, ok := c.cacheKey(); ok {
		fresh, age, ok := cache.Freshness(own, c.route.Access == access.Public)
		c.h.Cache.Worthwhile(c.route.Procedure, ok)
		if ok && c.keep {
			now := time.Now()
			c.h.Cache.Put(key, &cache.Answer{Fields: pairs(own), Body: append([]byte(nil), body...), ETag: tag, Began: now.Add(-age), Until: now.Add(fresh)})
		}
	}
	c.land()
	c.writeTagged(tag, body)
}

// pairs lists the fields of a header that are kept.
func pairs(header http.Header) (out [][2]string) {
	for name, values := range header {
		if name == "Age" {
			continue // it is told anew
		}
		for _, value := range values {
			out = append(out, [2]string{name, value})
		}
	}
	return out
}

// writeTagged writes an answer, or that it has not changed (RFC 9110, section 15.4.5).
func (c *call) writeTagged(tag string, body []byte) {
	if c.route.Access != access.Public {
		addVary(c.w.Header(), "Cookie") // which may hold what Authorization stands for here
	}
	if !matches(c.r.Header["If-None-Match"], tag) {
		c.w.WriteHeader(http.StatusOK)
		if len(body) > 0 {
			if _, err := c.w.Write(body); err != nil {
				c.cause = err
			}
		}
		return
	}
	header := c.w.Header()
	for _, name := range []string{"Content-Length", "Content-Type", "Content-Encoding"} {
		header.Del(name)
	}
	c.w.WriteHeader(http.StatusNotModified)
}

// makeTag makes a strong entity tag (RFC 9110, section 8.8.3).
func makeTag(contentType, encoding string, body []byte) string {
	digest := sha256.New()
	for _, part := range [][]byte{[]byte(contentType), {0}, []byte(encoding), {0}, body} {
		_, _ = digest.Write(part) // it never fails
	}
	return `"` + base64.RawURLEncoding.EncodeToString(digest.Sum(nil)[:etagBytes]) + `"`
}

// matches tells whether If-None-Match names a tag, by the weak comparison (RFC 9110, section 13.1.2).
func matches(values []string, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for _, list := range values {
		if strings.TrimSpace(list) == "*" {
			return true
		}
		// A comma may be in a tag, which then is not found: the answer is sent, which is never wrong.
		for candidate := range strings.SplitSeq(list, ",") {
			if strings.TrimPrefix(strings.TrimSpace(candidate), "W/") == tag {
				return true
			}
		}
	}
	return false
}

// addVary says that answers differ by a field of the request, if nobody has said so.
func addVary(header http.Header, name string) {
	for _, list := range header["Vary"] {
		for said := range strings.SplitSeq(list, ",") {
			if said = strings.TrimSpace(said); said == "*" || strings.EqualFold(said, name) {
				return
			}
		}
	}
	header.Add("Vary", name)
}
