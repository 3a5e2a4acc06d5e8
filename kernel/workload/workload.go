// Package workload lets one service of the platform prove to another which service it is. Proofs are behind two small
// interfaces, so that certificates (mutual TLS) can take the place of the tokens that are used now.
package workload

import (
	"context"

	"ashlar.dev/kernel/authn"
)

// Header is the request header that carries a proof. The gateway removes it from requests from outside.
const Header = "Ashlar-Workload"

// Prover makes proofs. It is safe for concurrent use.
type Prover interface {
	// Prove returns a proof of who this service is, for one other service to see. It names the user whose call is
	// being served, if ctx has one, so that what is done can be laid at the user's door.
	Prove(ctx context.Context, audience string) (string, error)
}

// Verifier verifies proofs that other services made for this one. It is safe for concurrent use.
type Verifier interface {
	// Verify returns the calling service. Any error means that the proof is worth nothing.
	Verify(proof string) (authn.Principal, error)
}
