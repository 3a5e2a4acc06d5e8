package client

import "crypto/rand"

// RequestFlag is what commands have in common that create something.
type RequestFlag struct {
	RequestID string `help:"Makes it safe to run the command again: the same id creates nothing new. Made up where not set." placeholder:"ID"`
}

// Request returns the id of the request.
func (f RequestFlag) Request() string {
	if f.RequestID != "" {
		return f.RequestID
	}
	return rand.Text()
}
