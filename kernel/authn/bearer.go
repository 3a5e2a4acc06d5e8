package authn

import (
	"strings"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/rpcerror"
)

// Bearer returns the token of an Authorization header (RFC 6750, section 2.1). A header that is missing or holds
// something else is refused with unauthenticated (TOKEN_MISSING).
func Bearer(header string) (string, error) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", rpcerror.New(connect.CodeUnauthenticated, rpcerror.ReasonTokenMissing,
			"an access token is needed: `Authorization: Bearer …`")
	}
	return token, nil
}
