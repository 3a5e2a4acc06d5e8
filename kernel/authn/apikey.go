package authn

import (
	"strings"

	"ashlar.dev/kernel/id"
)

// APIKeyPrefix is how the secret of an API key begins, by which it can be told from an access token.
const APIKeyPrefix = "ak_"

// APIKey is the kind of the ids of API keys. In an access token that was given for one, it stands in place of a session's.
const APIKey id.Kind = "key"

// ByAPIKey tells whether the principal is a user for whom a program acts, with an API key.
func (p Principal) ByAPIKey() bool { return strings.HasPrefix(p.SessionID, string(APIKey)+"_") }
