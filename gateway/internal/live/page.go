package live

import (
	"net"
	"slices"
	"sync"
)

// Query asks for a part of what is open.
type Query struct {
	// After is the id after which the part begins: things have ids in the order in which they were opened.
	After uint64
	// Limit is how many things there may be in it.
	Limit int
	// Client, Principal and Procedure leave out what is not theirs, where they are set. Connections have only the first.
	Client, Principal, Procedure string
}

// Page is a part of what is open, by id.
type Page[T any] struct {
	Items []T
	// Total is how many things match in all.
	Total int
	// Next is the After of the next part; 0 where this was the last.
	Next uint64
}

// Connections returns open connections.
func (r *Registry) Connections(q Query) Page[Connection] {
	return page(&r.connections, q, func(c *connection) bool {
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		return q.Principal == "" && q.Procedure == "" && (q.Client == "" || host == q.Client)
	}, (*connection).snapshot)
}

// Streams returns open streams.
func (r *Registry) Streams(q Query) Page[OpenStream] {
	return page(&r.streams, q, func(s *Stream) bool {
		return (q.Client == "" || s.Client == q.Client) && (q.Principal == "" || s.Principal == q.Principal) &&
			(q.Procedure == "" || s.Procedure == q.Procedure)
	}, (*Stream).snapshot)
}

// Count returns how many connections and streams are open.
func (r *Registry) Count() (connections, streams int) {
	count := func(all *sync.Map) (n int) {
		all.Range(func(any, any) bool { n++; return true })
		return n
	}
	return count(&r.connections), count(&r.streams)
}

// page looks at all that is open, which costs eight bytes for each, and copies what it returns.
func page[T, S any](all *sync.Map, q Query, matches func(T) bool, snapshot func(T) S) Page[S] {
	out := Page[S]{Items: []S{}}
	var ids []uint64
	all.Range(func(key, value any) bool {
		id, _ := key.(uint64) // nothing else is in there
		if thing, ok := value.(T); ok && matches(thing) {
			out.Total++
			if id > q.After {
				ids = append(ids, id)
			}
		}
		return true
	})
	slices.Sort(ids)
	if len(ids) > q.Limit {
		ids = ids[:q.Limit]
		out.Next = ids[len(ids)-1]
	}
	for _, id := range ids {
		if value, open := all.Load(id); open {
			if thing, ok := value.(T); ok {
				out.Items = append(out.Items, snapshot(thing))
			}
		}
	}
	return out
}
