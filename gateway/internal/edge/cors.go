package edge

import (
	"net/http"
	"slices"

	connectcors "connectrpc.com/cors"
	"github.com/rs/cors"
)

// corsMaxAge is how long a browser may remember a preflight: two hours, the most that Chromium takes. Seconds.
const corsMaxAge = 7200

// newCORS lets scripts of these origins call, with the cookies that hold tokens unless that is everybody. Without origins
// it is nil: nothing is added, and browsers refuse.
func newCORS(origins []string) *cors.Cors {
	if len(origins) == 0 {
		return nil // an empty list would mean all to rs/cors
	}
	return cors.New(cors.Options{
		AllowedOrigins:   origins,
		AllowedMethods:   append(connectcors.AllowedMethods(), http.MethodPut, http.MethodPatch, http.MethodDelete), // REST's
		AllowedHeaders:   slices.Concat(connectcors.AllowedHeaders(), []string{"Authorization"}),
		ExposedHeaders:   slices.Concat(connectcors.ExposedHeaders(), []string{"Retry-After", headerRateLimit, headerRateLimitPolicy}),
		MaxAge:           corsMaxAge,
		AllowCredentials: !slices.Contains(origins, "*"),
	})
}
