package edge

import (
	"fmt"
	"net/http"
	"strconv"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gateway/internal/limit"
	"ashlar.dev/kernel/rpcerror"
)

// Fields by which callers are told of rate limits (draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4), in the
// form that net/http gives names.
const (
	headerRateLimit       = "Ratelimit"
	headerRateLimitPolicy = "Ratelimit-Policy"
)

// near is from which part of a burst on a caller is told how much of it is left. Nobody else has any use for it, and two
// more fields on every answer cost both sides.
const near = 4

// tellLimit adds the fields about the bucket that is nearest to its end, where it is near.
func tellLimit(header http.Header, d limit.Decision) {
	if d.Wait == 0 && d.Left*near >= d.Quota.Burst {
		return // also without any limit
	}
	name := quotaName(d)
	until := d.Full // then all is there again
	if d.Wait > 0 {
		until = d.Wait // then the next request can be made
	}
	header[headerRateLimitPolicy] = []string{name + ";q=" + strconv.Itoa(d.Quota.Burst) + ";w=" + seconds(d.Window)}
	header[headerRateLimit] = []string{name + ";r=" + strconv.Itoa(d.Left) + ";t=" + seconds(until)}
}

// quotaName is a String of RFC 8941; what is in it needs no escapes.
func quotaName(d limit.Decision) string {
	of := d.Quota.Of
	if of == "" {
		of = "gateway"
	}
	if d.ByAddress {
		return `"` + of + ` by address"`
	}
	return `"` + of + `"`
}

// charge takes a request that is answered before it is known who calls, or how often he may, from what is left at its
// address: no answer is free of any limit. It returns an error where nothing is left.
func (c *call) charge() *connect.Error {
	if c.charged {
		return nil
	}
	c.charged = true
	site := limit.Address(addressOf(c.r))
	decision := c.h.Limits.Take(site, site, nil)
	tellLimit(c.w.Header(), decision)
	if decision.Wait == 0 {
		return nil
	}
	return rateLimited(decision)
}

func rateLimited(d limit.Decision) *connect.Error {
	subject := "caller"
	if d.ByAddress {
		subject = "address"
	}
	of := d.Quota.Of
	if of == "" {
		of = "all procedures"
	}
	return rpcerror.New(connect.CodeResourceExhausted, rpcerror.ReasonRateLimited, "too many requests", rpcerror.RetryAfter(d.Wait),
		rpcerror.Quota(subject, fmt.Sprintf("%s: %g requests a second, %d at once", of, d.Quota.PerSecond, d.Quota.Burst)))
}
