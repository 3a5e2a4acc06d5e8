package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// maxRefusalBytes bounds what is kept of a refusal's text.
const maxRefusalBytes = 4 << 10

// Refusal is why a request was not translated into a call.
type Refusal struct {
	// Status is 404 where the path is not known, 405 where the method is not.
	Status int
	// Message says what is wrong with the request; it may be empty.
	Message string
	// Broken says that the call's answer broke off.
	Broken bool
}

// exchange stands between the transcoder and the caller. What the transcoder says of its own accord before the call has
// begun to answer is kept from the caller: it is said anew, with a reason, by whoever asked for the translation.
type exchange struct {
	client http.ResponseWriter
	call   Call
	// answered says that the call answers, so that what is written is meant for the caller.
	answered bool
	broken   bool
	status   int
	text     bytes.Buffer
}

// serve makes the call. An answer that breaks off must not look whole, which the transcoder would make of it.
func (x *exchange) serve(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			err, ok := p.(error)
			if !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			x.answered, x.broken = false, true
		}
	}()
	x.call(&answer{ResponseWriter: w, exchange: x}, r)
}

// refusal returns why there was no call; nil where it has answered.
func (x *exchange) refusal() *Refusal {
	switch {
	case x.answered:
		return nil
	case x.broken:
		return &Refusal{Status: http.StatusBadGateway, Broken: true}
	}
	var said struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(x.text.Bytes(), &said) != nil {
		said.Message = ""
	}
	return &Refusal{Status: x.status, Message: said.Message}
}

// Header implements http.ResponseWriter.
func (x *exchange) Header() http.Header { return x.client.Header() }

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	if x.answered {
		x.client.WriteHeader(status)
	} else if x.status == 0 {
		x.status = status
	}
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(p []byte) (int, error) {
	if x.answered {
		return x.client.Write(p)
	}
	x.text.Write(p[:min(len(p), max(maxRefusalBytes-x.text.Len(), 0))])
	return len(p), nil
}

// Flush implements http.Flusher, which the transcoder asks for. Answers are written in one piece: there is nothing to
// flush.
func (x *exchange) Flush() {}

// Unwrap is what http.ResponseController looks for.
func (x *exchange) Unwrap() http.ResponseWriter { return x.client }

// answer is what the call writes its answer to.
type answer struct {
	http.ResponseWriter

	exchange *exchange
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.exchange.answered = true
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.exchange.answered = true
	return a.ResponseWriter.Write(p)
}

// Unwrap is what http.ResponseController looks for.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// message is the translated message. Where the transcoder has refused the request while it was read, it ends as if it
// were empty, which must not be taken for an empty message.
type message struct {
	io.ReadCloser

	exchange *exchange
}

// Read implements io.Reader.
func (m *message) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if err != nil && m.exchange.status != 0 && !m.exchange.answered {
		return 0, ErrRefused
	}
	return n, err
}
