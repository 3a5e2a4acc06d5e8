// Package page makes the opaque tokens by which lists are paged (AIP-158). A token holds where the next page begins
// and for which filter it was made, so that it cannot be used with another.
package page

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/rpcerror"
)

// The sizes of pages.
const (
	DefaultSize = 50
	MaxSize     = 200
)

// Size returns how many items a page has when the caller asked for n: DefaultSize for 0, at most MaxSize.
func Size(n int32) int {
	switch {
	case n <= 0:
		return DefaultSize
	case n > MaxSize:
		return MaxSize
	default:
		return int(n)
	}
}

type token struct {
	After  []string `json:"a"`
	Filter string   `json:"f"`
}

// Token returns the token for the page that begins after the item with these keys, in a list with these filter values.
func Token(after []string, filter ...string) string {
	b, err := json.Marshal(token{After: after, Filter: fingerprint(filter)})
	if err != nil {
		panic(err) // strings always marshal
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// Parse returns the keys in a token that Token made for n keys and the same filter values. An empty token gives nil:
// the first page. Any other is refused with invalid_argument (INVALID_PAGE_TOKEN).
func Parse(s string, n int, filter ...string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	t, err := parse(s)
	if err == nil && len(t.After) != n {
		err = errors.New("wrong number of keys")
	}
	if err == nil && t.Filter != fingerprint(filter) {
		err = errors.New("made for another filter")
	}
	if err != nil {
		return nil, rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidPageToken,
			"page_token was not made by this list with this filter", rpcerror.Field("page_token", "not a token of this list"), rpcerror.Cause(err))
	}
	return t.After, nil
}

func parse(s string) (token, error) {
	var t token
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(b, &t)
}

func fingerprint(filter []string) string {
	if len(filter) == 0 {
		return ""
	}
	h := sha256.New()
	for _, f := range filter {
		// The terminator keeps ("ab", "c") and ("a", "bc") apart.
		h.Write([]byte(f))
		h.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:9])
}
