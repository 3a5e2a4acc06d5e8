package edge

import (
	"context"
	"time"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gateway/internal/limit"
	"ashlar.dev/gateway/internal/wire"
	"ashlar.dev/kernel/access"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/rpcerror"
)

// allowed is how long the call may take: what the caller says, and for a unary call no more than the manifest and the
// gateway allow. limited is false where there is no bound.
func (c *call) allowed() (d time.Duration, limited bool, err error) {
	d, limited, err = wire.Timeout(c.protocol, c.r.Header)
	if err != nil {
		return 0, false, rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest, err.Error())
	}
	if c.route.Unary() {
		longest := c.h.current.Load().maxTimeout
		if c.route.Timeout > 0 {
			longest = min(longest, c.route.Timeout)
		}
		if !limited || d > longest {
			d, limited = longest, true
		}
	}
	return d, limited, nil
}

// bound gives the call its deadline, and a context that ends with it. Streams also end when the gateway stops, and
// public ones at a certain age. cancel is never nil.
func (c *call) bound() (cancel context.CancelFunc, err error) {
	d, limited, err := c.allowed()
	if err != nil {
		return func() {}, err
	}
	ctx, end := context.WithCancelCause(context.WithValue(c.traced(), callKey{}, c))
	c.r, c.giveUp = c.r.WithContext(ctx), end
	c.undo(context.AfterFunc(ctx, c.w.wake))
	if !c.route.Unary() {
		c.undo(context.AfterFunc(c.h.stopping, func() { end(errStopping) }))
		if c.route.Access == access.Public {
			c.endAfter(c.h.streamAge, errTooOld)
		}
	}
	cancel = func() {
		for _, undo := range c.atEnd {
			undo()
		}
		c.timer.stop()
		end(nil)
	}
	if limited && d <= 0 {
		end(context.DeadlineExceeded)
		return cancel, c.failure(context.DeadlineExceeded)
	}
	if limited {
		c.timer.start(d, func() { end(context.DeadlineExceeded) })
	}
	if c.route.Unary() {
		c.w.until(c.timer.deadline)
	} else {
		c.w.stream(c.h.stallTime)
	}
	return cancel, nil
}

// endAfter gives the call up after some time, unless it has ended by then.
func (c *call) endAfter(d time.Duration, why error) {
	c.undo(time.AfterFunc(d, func() { c.giveUp(why) }).Stop)
}

func (c *call) undo(stop func() bool) { c.atEnd = append(c.atEnd, func() { stop() }) }

// admit finds out who calls, and how often. A caller who fails to prove who he is counts as whoever is at that
// address, so that guessing is limited, too. A stream ends when the token of its caller expires; services look at the
// token only when a stream begins, and rely on the gateway for that.
func (c *call) admit() error {
	principal, denied := c.authenticate()
	site := limit.Address(c.client())
	caller := site
	if principal.Kind == authn.User {
		caller = limit.Principal(principal.UserID)
	}
	c.caller = c.h.Limits.Hash(caller)
	decision := c.h.Limits.Take(caller, site, c.route.Quotas)
	tellLimit(c.w.Header(), decision)
	if decision.Wait > 0 {
		return rateLimited(decision)
	}
	if denied != nil || c.route.Unary() {
		return denied
	}
	leave, ok := c.h.Streams.Enter(caller, site)
	if !ok {
		return tooManyStreams()
	}
	c.atEnd = append(c.atEnd, leave)
	if principal.Kind == authn.User {
		c.endAfter(time.Until(principal.ExpiresAt), errExpired)
	}
	return nil
}

// authenticate verifies a token where the rule asks for one; services verify it again. Where it asks for none, a
// credential that is sent all the same goes no further.
func (c *call) authenticate() (authn.Principal, error) {
	switch c.route.Access {
	case access.Public:
		c.r.Header.Del("Authorization")
		return authn.Principal{}, nil
	case access.Authenticated, access.Permission:
		token, err := authn.Bearer(c.r.Header.Get("Authorization"))
		if err != nil {
			return authn.Principal{}, err
		}
		if exact := "Bearer " + token; len(c.r.Header["Authorization"]) != 1 || c.r.Header["Authorization"][0] != exact {
			c.r.Header.Set("Authorization", exact) // one, and nothing beside it
		}
		return c.h.Tokens.Verify(c.r.Context(), token)
	default:
		return authn.Principal{}, unknownProcedure()
	}
}
