package edge

import (
	"context"
	"strings"
	"time"

	"connectrpc.com/connect/v2"

	"ashlar.dev/gateway/internal/limit"
	"ashlar.dev/gateway/internal/live"
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
	c.r, c.giveUp = c.r.WithContext(ctx), func(why error) {
		end(why)
		c.w.wake() // where the caller ends the call, net/http does that itself
	}
	if !c.route.Unary() {
		c.undo(context.AfterFunc(c.h.stopping, func() { c.giveUp(errStopping) }))
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
		c.timer.start(d, c.late)
	}
	switch {
	case !c.route.Unary():
		c.w.stream(c.h.stallTime)
	case c.w.reads || c.rest || c.route.Service == "":
		// Over HTTP/2 the end of the context is enough for what is passed on, where no deadline has been set before.
		c.w.until(c.timer.deadline)
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
	c.principal = principal
	site := limit.Address(addressOf(c.r))
	caller := site
	if principal.Kind == authn.User {
		caller = limit.Principal(principal.UserID)
		if principal.ByAPIKey() {
			caller = limit.Principal(principal.SessionID) // a program leaves its person what is his
		}
	}
	c.caller = c.h.Limits.Hash(caller)
	c.charged = true
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
	c.show()
	if principal.Kind == authn.User {
		c.endAfter(time.Until(principal.ExpiresAt), errExpired)
	}
	return nil
}

// show lets operators see a stream while it is open.
func (c *call) show() {
	if c.h.Live == nil {
		return
	}
	c.live = &live.Stream{
		Procedure: c.route.Procedure, Protocol: c.protocol.String(), HTTP: c.r.Proto, Client: addressOf(c.r).String(),
		Principal: c.principal.UserID, Session: c.principal.SessionID, Service: c.route.Service, TraceID: c.trace.TraceID().String(),
		Since: c.begun.UTC(),
	}
	c.atEnd = append(c.atEnd, c.h.Live.Open(c.live, &c.request.got, &c.w.sent))
}

// wentTo notes where the call went, and how many instances it was offered to.
func (c *call) wentTo(instance string, attempts int) {
	c.instance, c.attempts = instance, attempts
	if c.live != nil {
		c.live.SetInstance(instance)
	}
}

// authenticate verifies a token where the rule asks for one; services verify it again. Where it asks for none, a
// credential that is sent all the same goes no further.
func (c *call) authenticate() (authn.Principal, error) {
	cookie, err := c.takeCookies()
	if err != nil {
		return authn.Principal{}, err
	}
	switch c.route.Access {
	case access.Public:
		c.r.Header.Del("Authorization")
		return authn.Principal{}, nil
	case access.Authenticated, access.Permission:
		token := cookie
		if header := c.r.Header.Get("Authorization"); header != "" || token == "" {
			if token, err = authn.Bearer(header); err != nil {
				return authn.Principal{}, err
			}
		}
		if strings.HasPrefix(token, authn.APIKeyPrefix) && c.h.APIKeys != nil {
			if token, err = c.exchange(token); err != nil {
				return authn.Principal{}, err
			}
		}
		if exact := "Bearer " + token; len(c.r.Header["Authorization"]) != 1 || c.r.Header["Authorization"][0] != exact {
			c.r.Header.Set("Authorization", exact) // one, and nothing beside it
		}
		return c.h.Tokens.Verify(c.r.Context(), token)
	default:
		return authn.Principal{}, unknownProcedure()
	}
}

// exchange gets an access token for an API key. A key that has to be asked for costs the people at the address a request
// more, so that guessing is limited before it costs auth anything.
func (c *call) exchange(secret string) (token string, err error) {
	ctx := c.r.Context()
	if !c.h.APIKeys.Known(secret) {
		site := limit.Address(addressOf(c.r))
		if decision := c.h.Limits.Take(site, site, nil); decision.Wait > 0 {
			return "", rateLimited(decision)
		}
		if c.direct { // its deadline is not in there
			limited, cancel := context.WithDeadline(ctx, c.timer.deadline)
			defer cancel()
			ctx = limited
		}
	}
	if token, err = c.h.APIKeys.Token(ctx, secret); err != nil && c.ended() != nil {
		err = c.failure(err)
	}
	return token, err
}
