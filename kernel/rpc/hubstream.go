package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
)

// hubStream is the caller's side of a call through a hub. It hands the handler copies of messages, and the caller
// response headers, and of errors only what would cross a network.
type hubStream struct {
	connect.ClientStream

	ctx          context.Context
	cancel       context.CancelFunc
	streamType   connect.StreamType
	outer, inner *connect.CallInfo
}

// Send implements connect.ClientStream.
func (s *hubStream) Send(message any) error {
	sent, err := copied(message)
	if err != nil {
		return err
	}
	err = s.ClientStream.Send(sent)
	if errors.Is(err, io.EOF) && (s.streamType == connect.StreamTypeUnary || s.streamType == connect.StreamTypeServer) {
		// The handler has ended without reading the request. Why, Receive says; callers of these two shapes take an
		// error of Send for the outcome.
		return nil
	}
	return asRemote(err)
}

// Receive implements connect.ClientStream.
func (s *hubStream) Receive(message any) error {
	if s.streamType == connect.StreamTypeUnary {
		return s.receiveAnswer(message)
	}
	err := s.ClientStream.Receive(message)
	// Headers of a stream are there when the handler has ended, and it may be writing them until then.
	if ended(err) {
		s.copyHeaders()
		s.cancel()
	}
	if err != nil {
		return asRemote(err)
	}
	return tooLarge(message)
}

// receiveAnswer waits for the one answer, and no longer than the caller wants to, whatever the handler does.
func (s *hubStream) receiveAnswer(message any) error {
	target, ok := message.(proto.Message)
	if !ok {
		return notProto(message)
	}
	// The handler may go on after the caller has left, so it must not have the caller's message.
	answer := target.ProtoReflect().New().Interface()
	done := make(chan error, 1)
	go func() {
		defer s.cancel()
		done <- s.ClientStream.Receive(answer)
	}()
	select {
	case err := <-done:
		s.copyHeaders()
		if err != nil {
			return asRemote(err)
		}
		proto.Reset(target)
		proto.Merge(target, answer)
		return tooLarge(answer)
	case <-s.ctx.Done():
		return asRemote(s.ctx.Err())
	}
}

// Close implements connect.ClientStream.
func (s *hubStream) Close() error {
	s.cancel()
	return s.ClientStream.Close()
}

func (s *hubStream) copyHeaders() {
	if s.outer != nil {
		copyHeader(s.outer.ResponseHeader(), s.inner.ResponseHeader())
		copyHeader(s.outer.ResponseTrailer(), s.inner.ResponseTrailer())
	}
}

// isolatedStream is the handler's side.
type isolatedStream struct{ connect.ServerStream }

// Send implements connect.ServerStream.
func (s isolatedStream) Send(message any) error {
	sent, err := copied(message)
	if err != nil {
		return err
	}
	return s.ServerStream.Send(sent)
}

// Receive implements connect.ServerStream.
func (s isolatedStream) Receive(message any) error {
	if err := s.ServerStream.Receive(message); err != nil {
		return err
	}
	return tooLarge(message)
}

// copied returns a message that its sender can no longer change.
func copied(message any) (proto.Message, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, notProto(message)
	}
	return proto.Clone(m), nil
}

// tooLarge refuses messages that a server or client would refuse from a network.
func tooLarge(message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return notProto(message)
	}
	if size := proto.Size(m); size > MaxMessageBytes {
		return connect.Errorf(connect.CodeResourceExhausted, "message size %d is larger than configured max %d", size, MaxMessageBytes)
	}
	return nil
}

func notProto(message any) error { return fmt.Errorf("%T is no protobuf message", message) }

// ended tells whether err says that the handler has ended, and not only that nobody waits for it.
func ended(err error) bool {
	var e *connect.Error
	return errors.As(err, &e) || errors.Is(err, io.EOF)
}

// asRemote keeps code, message and details of an error, and drops its cause.
func asRemote(err error) error {
	var e *connect.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		// First of all: its cause may be any of those below.
		out := connect.NewError(e.Code(), e.Message())
		for _, detail := range e.Details() {
			out = out.WithDetail(detail)
		}
		return out.WithRemote()
	case errors.Is(err, io.EOF):
		return err
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, "the call was canceled").WithCause(err)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, "the deadline has passed").WithCause(err)
	default:
		return connect.NewError(connect.CodeUnknown, "").WithRemote()
	}
}
