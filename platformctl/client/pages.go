package client

import (
	"errors"
	"fmt"
	"io"
)

// maxPage is the largest page that any RPC gives.
const maxPage = 200

// PageFlags are what commands have in common that list things.
type PageFlags struct {
	Limit int  `help:"How many to show at most." default:"50" placeholder:"N"`
	All   bool `help:"Show all, whatever the limit."`
}

// Pages gets a list page by page until there are as many as the flags say; where there are more, a person is told so. page
// returns a page of at most size items, and the token of the next one, empty where it was the last.
func Pages[T any](f PageFlags, person io.Writer, page func(size int32, token string) (items []T, next string, err error)) ([]T, error) {
	var all []T
	for token := ""; ; {
		size := maxPage
		if !f.All {
			size = min(maxPage, f.Limit-len(all))
		}
		items, next, err := page(int32(size), token)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		switch {
		case next == "":
			return all, nil
		case next == token && len(items) == 0:
			return nil, errors.New("the platform gives the same empty page again and again")
		case !f.All && len(all) >= f.Limit:
			fmt.Fprintln(person, "There are more: --all shows them, --limit N that many.")
			return all, nil
		}
		token = next
	}
}

// Validate refuses a limit that shows nothing. kong calls it.
func (f PageFlags) Validate() error {
	if !f.All && f.Limit < 1 {
		return fmt.Errorf("--limit %d: want at least 1", f.Limit)
	}
	return nil
}
