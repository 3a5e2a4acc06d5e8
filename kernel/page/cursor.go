package page

// Request is a list request: every one has these two fields.
type Request interface {
	GetPageSize() int32
	GetPageToken() string
}

// Cursor is where a page begins and how long it is.
type Cursor struct {
	// After is the key of the last item of the page before; empty on the first page.
	After  string
	size   int
	filter []string
}

// Open returns the cursor of a list request. filter holds the list's name and all values that decide what is in it and
// in which order: a token is good for the same ones only.
func Open(req Request, filter ...string) (Cursor, error) {
	keys, err := Parse(req.GetPageToken(), 1, filter...)
	if err != nil {
		return Cursor{}, err
	}
	c := Cursor{size: Size(req.GetPageSize()), filter: filter}
	if keys != nil {
		c.After = keys[0]
	}
	return c, nil
}

// Limit is how many items to look for: one more than the page has, to know whether there is a next one.
func (c Cursor) Limit() int { return c.size + 1 }

// Close cuts what was found to the page and returns the token of the next one, or "" on the last.
func Close[T any](c Cursor, found []T, key func(T) string) ([]T, string) {
	if len(found) <= c.size {
		return found, ""
	}
	found = found[:c.size]
	return found, c.Token(key(found[c.size-1]))
}

// Token returns the token of the page that begins after an item, for lists whose pages also end for another reason than
// their size.
func (c Cursor) Token(after string) string { return Token([]string{after}, c.filter...) }
