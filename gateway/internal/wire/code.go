package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"connectrpc.com/connect/v2"
)

// OK is the outcome of a call that succeeded, beside the names of the error codes.
const OK = "ok"

// Unread is the outcome of a call that ended properly and whose last words could not be read.
const Unread = "unread"

// CodeOfEnd returns the outcome that the last frame of a stream tells.
func CodeOfEnd(p Protocol, content []byte, compressed bool) string {
	if compressed {
		content = gunzip(content)
	}
	if p == GRPCWeb {
		for line := range strings.SplitSeq(string(content), "\r\n") {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimSpace(name), "grpc-status") {
				return CodeOfStatus(strings.TrimSpace(value))
			}
		}
		return Unread
	}
	var end struct {
		Error *struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	switch err := json.Unmarshal(content, &end); {
	case err != nil:
		return Unread
	case end.Error == nil:
		return OK
	default:
		return known(end.Error.Code)
	}
}

// CodeOfError returns the code in the body of a Connect unary error.
func CodeOfError(body []byte, contentEncoding string) string {
	if strings.EqualFold(contentEncoding, "gzip") {
		body = gunzip(body)
	}
	var e struct {
		Code string `json:"code"`
	}
	if json.Unmarshal(body, &e) != nil {
		return Unread
	}
	return known(e.Code)
}

// CodeOfStatus returns the name of the code in a grpc-status.
func CodeOfStatus(status string) string {
	n, err := strconv.ParseUint(status, 10, 8)
	switch {
	case err != nil:
		return Unread
	case n == 0:
		return OK
	default:
		return known(connect.Code(n).String())
	}
}

// known keeps names that a service makes up out of the metrics.
func known(code string) string {
	var c connect.Code
	if c.UnmarshalText([]byte(code)) != nil || c < connect.CodeCanceled || c > connect.CodeUnauthenticated || c.String() != code {
		return Unread
	}
	return code
}

// gunzip returns what it can; nil where that is nothing.
func gunzip(data []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	out, _ := io.ReadAll(io.LimitReader(r, maxEndBytes))
	return out
}

// WebEnd returns the last frame of a gRPC-Web body with the trailers that header holds.
func WebEnd(header http.Header) []byte {
	var b strings.Builder
	for name, values := range header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "grpc-") {
			for _, value := range values {
				b.WriteString(lower + ": " + value + "\r\n")
			}
		}
	}
	return webEnd([]byte(b.String()))
}
