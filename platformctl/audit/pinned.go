package audit

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect/v2"

	"ashlar.dev/platform/auditlog"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/profile"
)

// pinned is what a profile remembers of the log behind a gateway: the key that was trusted when it was first seen, and the
// newest checkpoint that was verified.
type pinned struct {
	VerifierKey string `json:"verifierKey"`
	Checkpoint  string `json:"checkpoint"`
}

// maxKeyBytes bounds the text of a key: the name of a log, and some 60 bytes.
const maxKeyBytes = 512

func pinName(gateway string) string { return "audit log at " + gateway }

// trust returns the key to verify with, and the checkpoint that was verified before; nil where the log was never seen. It
// fails with exit.Tampered where the service has another key than the one that is trusted.
func trust(p *profile.Profile, gateway, given, offered string) (key string, before *auditlog.Checkpoint, err error) {
	var known pinned
	found, err := p.Pinned(pinName(gateway), &known)
	if err != nil {
		return "", nil, err
	}
	switch {
	case len(offered) > maxKeyBytes:
		return "", nil, exit.With(exit.Tampered, fmt.Errorf("the service names a key of %d bytes, which is none", len(offered)))
	case given != "" && given != offered:
		return "", nil, keyChanged("the key that --key names", given, offered)
	case given == "" && found && known.VerifierKey != offered:
		return "", nil, keyChanged("the key that this profile knows", known.VerifierKey, offered)
	case !found:
		return offered, nil, nil
	}
	// What was seen is remembered, whatever key it was signed with.
	seen, err := auditlog.OpenCheckpoint(known.Checkpoint, known.VerifierKey)
	if err != nil {
		return "", nil, fmt.Errorf("profile %s: %s: %w", p.Name, pinName(gateway), err)
	}
	return offered, &seen, nil
}

func keyChanged(which, trusted, offered string) error {
	return exit.With(exit.Tampered, fmt.Errorf("%s is not that of this log:\n  trusted: %q\n  offered: %q\n"+
		"  Ask the platform's operator whether the log got another key; if so, and the new one is right, name it with --key",
		which, trusted, offered))
}

// pin remembers a checkpoint that was verified, unless a newer one is known by now; with forget in any case.
func pin(ctx context.Context, store *profile.Store, name, gateway string, now pinned, size int64, forget bool) error {
	return store.Update(ctx, name, func(p *profile.Profile) error {
		var known pinned
		found, err := p.Pinned(pinName(gateway), &known)
		if err != nil {
			return err
		}
		if found && !forget && known.VerifierKey == now.VerifierKey {
			seen, err := auditlog.OpenCheckpoint(known.Checkpoint, known.VerifierKey)
			if err == nil && seen.Size > size {
				return nil
			}
		}
		return p.Pin(pinName(gateway), now)
	})
}

// coded gives an error about a log that was tampered with its exit code; that the service has found it out by itself is one.
func coded(err error) error {
	if connect.CodeOf(err) == connect.CodeDataLoss {
		return exit.With(exit.Tampered, client.Explain(err))
	}
	if errors.Is(err, auditlog.ErrTampered) || errors.Is(err, auditlog.ErrSignature) || errors.Is(err, auditlog.ErrCheckpoint) {
		return exit.With(exit.Tampered, err)
	}
	return err
}
