// Package wire knows the Connect, gRPC and gRPC-Web protocols as they look from between two peers: which one a request
// speaks, its deadline, where a stream's messages end and what its end says. It never decodes a message.
package wire

import (
	"net/http"
	"strings"
)

// Protocol is how a request speaks.
type Protocol int

// The protocols. The zero value is anything that is no RPC.
const (
	None Protocol = iota
	ConnectUnary
	ConnectGet
	ConnectStream
	GRPC
	GRPCWeb
	// REST is how a caller speaks whose request has been translated; the call itself is a Connect one then.
	REST
)

// String returns the protocol's name in metrics and logs.
func (p Protocol) String() string {
	switch p {
	case ConnectUnary:
		return "connect"
	case ConnectGet:
		return "connect_get"
	case ConnectStream:
		return "connect_stream"
	case GRPC:
		return "grpc"
	case GRPCWeb:
		return "grpc_web"
	case REST:
		return "rest"
	default:
		return "none"
	}
}

// ProtocolOf tells by method and content type how a request speaks. Like the services, it takes a POST of any other
// `application/…` for a Connect call, with or without Connect-Protocol-Version, so that curl needs no more than a body.
func ProtocolOf(r *http.Request) Protocol {
	if r.Method == http.MethodGet {
		return ConnectGet
	}
	if r.Method != http.MethodPost {
		return None
	}
	contentType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	contentType = strings.ToLower(strings.TrimSpace(contentType))
	switch {
	case contentType == "application/grpc-web" || strings.HasPrefix(contentType, "application/grpc-web+"):
		return GRPCWeb
	case contentType == "application/grpc" || strings.HasPrefix(contentType, "application/grpc+"):
		return GRPC
	case strings.HasPrefix(contentType, "application/connect+"):
		return ConnectStream
	case strings.HasPrefix(contentType, "application/"):
		return ConnectUnary
	default:
		return None
	}
}

// Framed tells whether bodies are made of enveloped messages: five bytes of flags and length before each.
func (p Protocol) Framed() bool { return p == ConnectStream || p == GRPC || p == GRPCWeb }
