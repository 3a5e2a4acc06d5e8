package client

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"

	"ashlar.dev/kernel/config"
)

// authenticated is a transport whose calls carry a token. Calls with one request are sent again, once, with another token
// where the platform did not take the first.
type authenticated struct {
	inner  connect.Transport
	tokens source
}

// NewClientStream implements connect.Transport.
func (a *authenticated) NewClientStream(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
	token, err := a.tokens.token(ctx, "")
	if err != nil {
		return nil, err
	}
	stream, err := a.open(ctx, spec, token)
	if err != nil || spec.StreamType == connect.StreamTypeClient || spec.StreamType == connect.StreamTypeBidi {
		return stream, err
	}
	return &again{ClientStream: stream, open: func() (connect.ClientStream, error) {
		fresh, err := a.tokens.token(ctx, token)
		if err != nil || fresh == "" {
			return nil, err
		}
		return a.open(ctx, spec, fresh)
	}}, nil
}

func (a *authenticated) open(ctx context.Context, spec connect.Spec, token config.Secret) (connect.ClientStream, error) {
	info, ok := connect.CallInfoForClientContext(ctx)
	if !ok {
		return nil, errors.New("no call info")
	}
	info.RequestHeader().Set("Authorization", "Bearer "+token.Reveal())
	return a.inner.NewClientStream(ctx, spec)
}

// again is a call with one request that can be sent a second time.
type again struct {
	connect.ClientStream

	open     func() (connect.ClientStream, error) // nil: there is no other token
	request  any
	answered bool // whatever comes now is not about the token
}

// Send implements connect.ClientStream.
func (s *again) Send(message any) error {
	s.request = message
	return s.ClientStream.Send(message)
}

// Receive implements connect.ClientStream.
func (s *again) Receive(message any) error {
	err := s.ClientStream.Receive(message)
	if s.answered {
		return err
	}
	s.answered = true
	if err == nil || connect.CodeOf(err) != connect.CodeUnauthenticated {
		return err
	}
	stream, failure := s.open()
	if failure != nil {
		return failure
	}
	if stream == nil {
		return err
	}
	_ = s.ClientStream.Close() // it has failed already
	s.ClientStream = stream
	if err := stream.Send(s.request); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.Receive(message)
}
