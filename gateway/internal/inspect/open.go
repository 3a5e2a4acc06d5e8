package inspect

import (
	"fmt"
	"net/http"
	"strconv"

	"ashlar.dev/gateway/internal/live"
)

// How many things are shown at once, where nobody says how many, and at most.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Connections serves the connections that are open, by age: `?limit=` and `?after=`, which the answer names in `next`, page
// through them; `?client=` keeps those of one address.
func (i *Inspector) Connections() http.Handler {
	return paged("connections", i.Live.Connections)
}

// Streams serves the streams that are open, like Connections; `?principal=` and `?procedure=` keep those of one.
func (i *Inspector) Streams() http.Handler {
	return paged("streams", i.Live.Streams)
}

func paged[T any](name string, list func(live.Query) live.Page[T]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values := r.URL.Query()
		query := live.Query{
			Limit: defaultLimit, Client: values.Get("client"), Principal: values.Get("principal"), Procedure: values.Get("procedure"),
		}
		if text := values.Get("limit"); text != "" {
			limit, err := strconv.Atoi(text)
			if err != nil || limit < 1 || limit > maxLimit {
				http.Error(w, fmt.Sprintf("limit: want a number from 1 to %d", maxLimit), http.StatusBadRequest)
				return
			}
			query.Limit = limit
		}
		if text := values.Get("after"); text != "" {
			after, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				http.Error(w, "after: want the `next` of an answer", http.StatusBadRequest)
				return
			}
			query.After = after
		}
		page := list(query)
		answer := map[string]any{name: page.Items, "total": page.Total}
		if page.Next > 0 {
			answer["next"] = strconv.FormatUint(page.Next, 10)
		}
		writeJSON(w, answer)
	})
}
