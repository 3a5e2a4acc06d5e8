package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/workload"
)

// TokenVerifier tells whom an access token speaks for. Its errors are for the caller to see.
type TokenVerifier interface {
	Verify(ctx context.Context, token string) (authn.Principal, error)
}

// Decider tells whether a user holds a permission in an organization, or, where organization is empty, everywhere. An
// error means that it cannot tell; the call is then refused with unavailable.
type Decider interface {
	Decide(ctx context.Context, userID, permission, organization string) (bool, error)
}

// DeciderFunc is a function that is a Decider.
type DeciderFunc func(ctx context.Context, userID, permission, organization string) (bool, error)

// Decide implements Decider.
func (f DeciderFunc) Decide(ctx context.Context, userID, permission, organization string) (bool, error) {
	return f(ctx, userID, permission, organization)
}

// Denial is a call that was refused because its caller lacks a permission.
type Denial struct {
	Procedure, Permission, Organization string
}

// Authenticate finds out who calls, before anything of the request is decoded, and puts the principal into the context.
// Credentials count only where the rule asks for them; a header that claims an identity is never trusted.
func Authenticate(rules *Rules, tokens TokenVerifier, workloads workload.Verifier) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			info, ok := connect.CallInfoForServerContext(ctx)
			if !ok {
				return errors.New("no call info")
			}
			principal, err := authenticate(ctx, rules.Of(spec.Procedure).Kind, info.RequestHeader(), tokens, workloads)
			if err != nil {
				return err
			}
			return next(authn.NewContext(ctx, principal), spec, stream)
		}
	}
}

func authenticate(
	ctx context.Context, kind Kind, header *connect.Header, tokens TokenVerifier, workloads workload.Verifier,
) (authn.Principal, error) {
	switch kind {
	case Public:
		return authn.Principal{}, nil
	case Authenticated, Permission:
		token, err := authn.Bearer(header.Get("Authorization"))
		if err != nil {
			return authn.Principal{}, err
		}
		return tokens.Verify(ctx, token)
	case Internal:
		principal, err := workloads.Verify(header.Get(workload.Header))
		if err != nil {
			return authn.Principal{}, rpcerror.New(connect.CodePermissionDenied, rpcerror.ReasonServicesOnly,
				"only services of the platform may call this", rpcerror.Cause(err))
		}
		return principal, nil
	default:
		return authn.Principal{}, rpcerror.New(connect.CodeUnimplemented, rpcerror.ReasonUnknownProcedure, "no such procedure")
	}
}

// Authorize asks the decider where the rule names a permission, and reports each refusal to denied. Where the request
// names the organization, the first message is decoded before that, and nothing else is done with it.
func Authorize(rules *Rules, decider Decider, denied func(context.Context, Denial)) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			rule := rules.Of(spec.Procedure)
			if rule.Kind != Permission {
				return next(ctx, spec, stream)
			}
			check := func(organization string) error {
				err := authorize(ctx, rule, organization, decider)
				if connect.CodeOf(err) == connect.CodePermissionDenied {
					denied(ctx, Denial{Procedure: spec.Procedure, Permission: rule.Permission, Organization: organization})
				}
				return err
			}
			if len(rule.organization) == 0 {
				if err := check(""); err != nil {
					return err
				}
				return next(ctx, spec, stream)
			}
			return next(ctx, spec, &guardedStream{ServerStream: stream, rule: rule, check: check})
		}
	}
}

func authorize(ctx context.Context, rule Rule, organization string, decider Decider) error {
	allowed, err := decider.Decide(ctx, authn.FromContext(ctx).UserID, rule.Permission, organization)
	if err != nil {
		return rpcerror.New(connect.CodeUnavailable, rpcerror.ReasonPolicyUnavailable,
			"permissions cannot be checked at the moment", rpcerror.Cause(err))
	}
	if allowed {
		return nil
	}
	options := []rpcerror.Option{rpcerror.Meta("permission", rule.Permission)}
	where := "everywhere"
	if organization != "" {
		options = append(options, rpcerror.Meta("organization", organization))
		where = "in organization " + organization
	}
	return rpcerror.New(connect.CodePermissionDenied, rpcerror.ReasonPermissionDenied,
		fmt.Sprintf("permission %s is needed %s", rule.Permission, where), options...)
}

// maxOrganizationBytes bounds the id of an organization.
const maxOrganizationBytes = 64

// checkOrganization refuses what cannot be the id of an organization before anybody is asked about it. Requests are
// validated after the decision only.
func checkOrganization(field, organization string) error {
	var wrong string
	switch {
	case len(organization) > maxOrganizationBytes:
		wrong = fmt.Sprintf("must have at most %d bytes", maxOrganizationBytes)
	case strings.ContainsFunc(organization, func(r rune) bool { return r < ' ' || r > '~' }):
		wrong = "must be printable ASCII"
	default:
		return nil
	}
	return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest, field+" "+wrong, rpcerror.Field(field, wrong))
}

// guardedStream checks the request before it hands it on. RuleOf sees to it that there is one only; should there be
// more, each is checked.
type guardedStream struct {
	connect.ServerStream

	rule    Rule
	check   func(organization string) error
	checked bool
}

var errNotChecked = errors.New("the handler answers before it has received the request, so nobody has checked the permission")

// Receive implements connect.ServerStream.
func (s *guardedStream) Receive(message any) error {
	if err := s.ServerStream.Receive(message); err != nil {
		return err
	}
	request, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", message)
	}
	organization := s.rule.Organization(request)
	if err := checkOrganization(s.rule.field, organization); err != nil {
		return err
	}
	if err := s.check(organization); err != nil {
		return err
	}
	s.checked = true
	return nil
}

// SendHeaders implements connect.ServerStream.
func (s *guardedStream) SendHeaders() error {
	if !s.checked {
		return errNotChecked
	}
	return s.ServerStream.SendHeaders()
}

// Send implements connect.ServerStream.
func (s *guardedStream) Send(message any) error {
	if !s.checked {
		return errNotChecked
	}
	return s.ServerStream.Send(message)
}
