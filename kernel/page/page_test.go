package page_test

import (
	"fmt"
	"slices"
	"testing"
	"unicode/utf8"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/page"
	"ashlar.dev/kernel/rpcerror"
)

type request struct {
	size  int32
	token string
}

func (r request) GetPageSize() int32   { return r.size }
func (r request) GetPageToken() string { return r.token }

func TestSize(t *testing.T) {
	t.Parallel()
	for asked, want := range map[int32]int{-1: 50, 0: 50, 1: 1, 50: 50, 200: 200, 201: 200, 1 << 30: 200} {
		require.Equal(t, want, page.Size(asked), "%d", asked)
	}
}

// Walking the pages gives each item once, whatever the size.
func TestWalk(t *testing.T) {
	t.Parallel()
	var items []string
	for i := range 101 {
		items = append(items, fmt.Sprintf("item-%03d", i))
	}
	for _, size := range []int32{1, 2, 7, 50, 100, 101, 102, 200} {
		var got []string
		req := request{size: size}
		for {
			cursor, err := page.Open(req, "items", "all")
			require.NoError(t, err)
			var found []string
			for _, item := range items {
				if item > cursor.After && len(found) < cursor.Limit() {
					found = append(found, item)
				}
			}
			found, next := page.Close(cursor, found, func(s string) string { return s })
			require.LessOrEqual(t, len(found), int(size))
			got = append(got, found...)
			if next == "" {
				break
			}
			require.NotEmpty(t, found)
			req.token = next
		}
		require.Equal(t, items, got, "pages of %d", size)
	}
}

func TestTokensOfAnotherListAreRefused(t *testing.T) {
	t.Parallel()
	token := page.Token([]string{"usr_1"}, "ab", "c")
	keys, err := page.Parse(token, 1, "ab", "c")
	require.NoError(t, err)
	require.Equal(t, []string{"usr_1"}, keys)

	bare := page.Token([]string{"x"})
	keys, err = page.Parse(bare, 1)
	require.NoError(t, err)
	require.Equal(t, []string{"x"}, keys)

	for name, test := range map[string]struct {
		token  string
		n      int
		filter []string
	}{
		"another filter":          {token, 1, []string{"ab", "d"}},
		"less of a filter":        {token, 1, []string{"ab"}},
		"more of a filter":        {token, 1, []string{"ab", "c", ""}},
		"no filter":               {token, 1, nil},
		"cut at another place":    {token, 1, []string{"a", "bc"}},
		"in another order":        {token, 1, []string{"c", "ab"}},
		"another number of keys":  {token, 2, []string{"ab", "c"}},
		"a filter where was none": {bare, 1, []string{""}},
		"cut short":               {token[:len(token)-3], 1, []string{"ab", "c"}},
		"no base64":               {"%%%", 1, []string{"ab", "c"}},
		"no JSON":                 {"YWJj", 1, []string{"ab", "c"}},
		"JSON of something else":  {"WzFd", 1, []string{"ab", "c"}},
		"with padding":            {token + "=", 1, []string{"ab", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := page.Parse(test.token, test.n, test.filter...)
			require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
			require.Equal(t, rpcerror.ReasonInvalidPageToken, rpcerror.Reason(err))
		})
	}
	_, err = page.Open(request{token: "%"}, "users")
	require.Equal(t, rpcerror.ReasonInvalidPageToken, rpcerror.Reason(err))
}

func FuzzToken(f *testing.F) {
	f.Add("usr_1", "users", "ann@example.com")
	f.Add("", "", "")
	f.Add("\x00\xff", "a\x00", "\x00b")
	f.Fuzz(func(t *testing.T, key, list, filter string) {
		token := page.Token([]string{key}, list, filter)
		keys, err := page.Parse(token, 1, list, filter)
		require.NoError(t, err)
		if utf8.ValidString(key) { // keys are text
			require.Equal(t, []string{key}, keys)
		}
		_, err = page.Parse(token, 1, list, filter+"x")
		require.Error(t, err)
	})
}

func FuzzParse(f *testing.F) {
	f.Add(page.Token([]string{"usr_1"}, "users"))
	f.Add("bnVsbA")
	f.Add("e30")
	f.Fuzz(func(t *testing.T, token string) {
		keys, err := page.Parse(token, 1, "users")
		switch {
		case err != nil:
			require.Equal(t, rpcerror.ReasonInvalidPageToken, rpcerror.Reason(err))
		case token == "":
			require.Nil(t, keys)
		default:
			require.Len(t, slices.Clone(keys), 1)
		}
	})
}
