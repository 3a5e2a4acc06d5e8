package edge

import (
	"net/http"
	"slices"

	connectcors "connectrpc.com/cors"
	"github.com/rs/cors"
)

// corsMaxAge is how long a browser may remember a preflight: two hours, the most that Chromium takes. Seconds.
const corsMaxAge = 7200

// withCORS lets scripts of these origins call. Without origins nothing is added, and browsers refuse. Cookies are not
// credentials here, so none are allowed.
func withCORS(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next // an empty list would mean all to rs/cors
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: connectcors.AllowedMethods(),
		AllowedHeaders: slices.Concat(connectcors.AllowedHeaders(), []string{"Authorization"}),
		ExposedHeaders: slices.Concat(connectcors.ExposedHeaders(), []string{"Retry-After", headerRateLimit, headerRateLimitPolicy}),
		MaxAge:         corsMaxAge,
	}).Handler(next)
}
