package main

import (
	"crypto/rsa"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// checks verifies the bearer token of each request anew, and limits how often its subject may call. It stands in for
// plugins that do so and does no more than it must: it writes no log and sets no headers.
type checks struct {
	KeyFile  string  `json:"key_file"` // PEM of a public key for RS256
	Issuer   string  `json:"issuer"`
	Audience string  `json:"audience"`
	Rate     float64 `json:"rate"` // requests per second, and the burst

	key    *rsa.PublicKey
	parser *jwt.Parser
	limits sync.Map // of subjects, to *rate.Limiter
}

var (
	_ caddy.Provisioner           = (*checks)(nil)
	_ caddyhttp.MiddlewareHandler = (*checks)(nil)
)

// CaddyModule implements caddy.Module.
func (*checks) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.checks", New: func() caddy.Module { return new(checks) }}
}

// parseChecks reads `checks * KEY_FILE ISSUER AUDIENCE RATE`: without the asterisk Caddy takes the path of a file for one of
// requests.
func parseChecks(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	c := new(checks)
	var perSecond string
	h.Next()
	if !h.Args(&c.KeyFile, &c.Issuer, &c.Audience, &perSecond) || h.NextArg() {
		return nil, h.ArgErr()
	}
	var err error
	if c.Rate, err = strconv.ParseFloat(perSecond, 64); err != nil {
		return nil, h.Errf("rate: %v", err)
	}
	return c, nil
}

// Provision implements caddy.Provisioner.
func (c *checks) Provision(caddy.Context) error {
	pem, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return err
	}
	if c.key, err = jwt.ParseRSAPublicKeyFromPEM(pem); err != nil {
		return fmt.Errorf("%s: %w", c.KeyFile, err)
	}
	c.parser = jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithIssuer(c.Issuer),
		jwt.WithAudience(c.Audience), jwt.WithExpirationRequired())
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (c *checks) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return caddyhttp.Error(http.StatusUnauthorized, nil)
	}
	var claims jwt.RegisteredClaims
	if _, err := c.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return c.key, nil }); err != nil {
		return caddyhttp.Error(http.StatusUnauthorized, err)
	}
	limit, ok := c.limits.Load(claims.Subject)
	if !ok {
		limit, _ = c.limits.LoadOrStore(claims.Subject, rate.NewLimiter(rate.Limit(c.Rate), int(c.Rate)))
	}
	if l, ok := limit.(*rate.Limiter); !ok || !l.Allow() {
		return caddyhttp.Error(http.StatusTooManyRequests, nil)
	}
	return next.ServeHTTP(w, r)
}
