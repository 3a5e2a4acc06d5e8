package api

import (
	"errors"
	"strconv"
	"time"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/page"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/notes/internal/store"
)

// resumable is how far a token reaches back. Changes are kept a little longer, because clocks and commits take their time.
const resumable = store.Retention - time.Hour

// resumeToken returns the token for a stream that goes on after a change. It is good for the same viewer. It is not
// secret, and gives no access: whoever makes one up skips changes of a stream of their own. complete is a time up to which
// the stream has told all: what came later may not be kept any more once that is long ago, however new the token is.
func resumeToken(viewer store.Viewer, through int64, complete time.Time) string {
	return page.Token([]string{strconv.FormatInt(through, 10), strconv.FormatInt(complete.Unix(), 10)}, filterOf(viewer)...)
}

func filterOf(viewer store.Viewer) []string {
	return []string{"changes", viewer.OrganizationID, viewer.UserID, strconv.FormatBool(viewer.All)}
}

// parseResumeToken returns the change after which a stream goes on, and the time up to which it has told all.
func parseResumeToken(viewer store.Viewer, token string) (int64, time.Time, error) {
	keys, err := page.Parse(token, 2, filterOf(viewer)...)
	if err != nil {
		return 0, time.Time{}, invalidResumeToken(err)
	}
	through, err := strconv.ParseInt(keys[0], 10, 64)
	seconds, err2 := strconv.ParseInt(keys[1], 10, 64)
	if err := errors.Join(err, err2); err != nil || through < 0 {
		return 0, time.Time{}, invalidResumeToken(err)
	}
	complete := time.Unix(seconds, 0)
	if time.Since(complete) > resumable {
		return 0, time.Time{}, rpcerror.New(connect.CodeOutOfRange, reasonResumeTokenExpired,
			"changes since then are not kept any more: watch without a token, and list")
	}
	return through, complete, nil
}

func invalidResumeToken(cause error) error {
	return rpcerror.New(connect.CodeInvalidArgument, reasonInvalidResumeToken,
		"resume_token is of another caller or organization, or what you may see has changed: watch without one, and list",
		rpcerror.Field("resume_token", "not a token of this stream"), rpcerror.Cause(cause))
}
