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

// resumable is how long a token is good for. Changes are kept a little longer, because clocks and commits take their time.
const resumable = store.Retention - time.Hour

// resumeToken returns the token for a stream that goes on after a change. It is good for the same viewer. It is not
// secret, and gives no access: whoever makes one up skips changes of a stream of their own.
func resumeToken(viewer store.Viewer, through int64) string {
	return page.Token([]string{strconv.FormatInt(through, 10), strconv.FormatInt(time.Now().Unix(), 10)}, filterOf(viewer)...)
}

func filterOf(viewer store.Viewer) []string {
	return []string{"changes", viewer.OrganizationID, viewer.UserID, strconv.FormatBool(viewer.All)}
}

// parseResumeToken returns the change after which a stream goes on.
func parseResumeToken(viewer store.Viewer, token string) (int64, error) {
	keys, err := page.Parse(token, 2, filterOf(viewer)...)
	if err != nil {
		return 0, invalidResumeToken(err)
	}
	through, err := strconv.ParseInt(keys[0], 10, 64)
	made, err2 := strconv.ParseInt(keys[1], 10, 64)
	if err := errors.Join(err, err2); err != nil || through < 0 {
		return 0, invalidResumeToken(err)
	}
	if time.Since(time.Unix(made, 0)) > resumable {
		return 0, rpcerror.New(connect.CodeOutOfRange, reasonResumeTokenExpired,
			"changes since then are not kept any more: watch without a token, and list")
	}
	return through, nil
}

func invalidResumeToken(cause error) error {
	return rpcerror.New(connect.CodeInvalidArgument, reasonInvalidResumeToken,
		"resume_token is of another caller or organization, or what you may see has changed: watch without one, and list",
		rpcerror.Field("resume_token", "not a token of this stream"), rpcerror.Cause(cause))
}
