// Package profile keeps what platformctl remembers between two commands: for each profile, which gateway it talks to,
// who is signed in there, and what that person's tokens are. It must not know any RPC.
//
// Profiles are files of one folder, $ASHLAR_CONFIG_HOME or else ashlar in the user's configuration folder
// ($XDG_CONFIG_HOME, ~/.config). Only the owner can read them, and what others could read is refused. They are replaced
// as a whole, never written to, and changed under a lock, so that several commands at once see each other's changes.
package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"ashlar.dev/kernel/config"
)

// DefaultName is the profile where nobody says otherwise.
const DefaultName = "default"

// Tokens are what a person is signed in with.
type Tokens struct {
	Access  config.Secret
	Refresh config.Secret
	// ExpiresAt is when the access token stops working, by the clock of the platform.
	ExpiresAt time.Time
}

// SignedIn tells whether there is anything to be signed in with.
func (t Tokens) SignedIn() bool { return t.Refresh != "" }

// Profile is one person at one platform.
type Profile struct {
	// Name is that of the profile.
	Name string
	// Gateway is the URL of the gateway that gave the tokens; they are sent to no other.
	Gateway string
	// UserID and Email are whose tokens they are.
	UserID, Email string
	// Organization is the id of the organization that commands are about where they do not say another one.
	Organization string
	Tokens       Tokens

	pinned map[string]json.RawMessage
}

// Pinned reads what a command keeps under a key, such as the key of an audit log that was trusted on first use, into
// value; it reports whether there is something.
func (p *Profile) Pinned(key string, value any) (bool, error) {
	text, ok := p.pinned[key]
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal(text, value); err != nil {
		return false, fmt.Errorf("profile %s: %s: %w", p.Name, key, err)
	}
	return true, nil
}

// Pin keeps a value, which must not be a secret, under a key. It is stored by Store.Update.
func (p *Profile) Pin(key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("profile %s: %s: %w", p.Name, key, err)
	}
	if p.pinned == nil {
		p.pinned = map[string]json.RawMessage{}
	}
	p.pinned[key] = text
	return nil
}

// stored is the form on disk. It is the only place where tokens show.
type stored struct {
	Gateway      string                     `json:"gateway,omitempty"`
	UserID       string                     `json:"userId,omitempty"`
	Email        string                     `json:"email,omitempty"`
	Organization string                     `json:"organization,omitempty"`
	AccessToken  string                     `json:"accessToken,omitempty"`
	RefreshToken string                     `json:"refreshToken,omitempty"`
	ExpiresAt    time.Time                  `json:"expiresAt,omitzero"`
	Pinned       map[string]json.RawMessage `json:"pinned,omitempty"`
}

func (p *Profile) encode() ([]byte, error) {
	return json.MarshalIndent(stored{
		Gateway: p.Gateway, UserID: p.UserID, Email: p.Email, Organization: p.Organization,
		AccessToken: p.Tokens.Access.Reveal(), RefreshToken: p.Tokens.Refresh.Reveal(), ExpiresAt: p.Tokens.ExpiresAt,
		Pinned: p.pinned,
	}, "", "  ")
}

func decode(name string, text []byte) (*Profile, error) {
	var s stored
	if err := json.Unmarshal(text, &s); err != nil {
		// The error of encoding/json may quote what it stumbled over, and that may be a token.
		return nil, errors.New("it is no profile: mend or remove it")
	}
	return &Profile{
		Name: name, Gateway: s.Gateway, UserID: s.UserID, Email: s.Email, Organization: s.Organization,
		Tokens: Tokens{Access: config.Secret(s.AccessToken), Refresh: config.Secret(s.RefreshToken), ExpiresAt: s.ExpiresAt},
		pinned: s.Pinned,
	}, nil
}

var names = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// CheckName refuses what cannot be the name of a profile: it becomes the name of a file.
func CheckName(name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("profile %q: a name has up to 63 small letters, digits, dots, dashes and underscores, and begins with a letter or digit", name)
	}
	return nil
}
