package h2

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
)

// begin takes the head of a response; interim ones are passed over.
func (s *stream) begin(f *http2.MetaHeadersFrame) error {
	status, err := strconv.Atoi(f.PseudoValue("status"))
	if err != nil || status < 100 || status > 999 || len(f.PseudoFields()) != 1 || status == http.StatusSwitchingProtocols {
		return errProtocol // RFC 9113, sections 8.3.2 and 8.6
	}
	if status < http.StatusOK {
		if f.StreamEnded() {
			return errProtocol
		}
		return nil
	}
	header, err := headerOf(f, true)
	if err != nil {
		return err
	}
	s.response = &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status, Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: header, ContentLength: -1, Body: body{s},
	}
	if values := header["Content-Length"]; len(values) > 0 {
		length, err := strconv.ParseUint(values[0], 10, 62)
		if err != nil || len(values) > 1 {
			return errProtocol
		}
		s.response.ContentLength = int64(length)
		s.left = s.response.ContentLength
		if status == http.StatusNotModified {
			s.left = 0
		}
	}
	s.answered = true
	return nil
}

// trail takes trailers, with which a response ends.
func (s *stream) trail(f *http2.MetaHeadersFrame) error {
	if !f.StreamEnded() || len(f.PseudoFields()) > 0 {
		return errProtocol
	}
	var err error
	s.trailer, err = headerOf(f, false)
	return err
}

// headerOf returns the fields that are for the one who asked. Fields of connections are none of HTTP/2 (RFC 9113, section
// 8.2.2), and a response with one cannot be trusted.
func headerOf(f *http2.MetaHeadersFrame, head bool) (http.Header, error) {
	fields := f.RegularFields()
	header := make(http.Header, len(fields))
	values := make([]string, len(fields)) // one piece for all of them
	for i, field := range fields {
		switch field.Name {
		case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
			return nil, errProtocol
		case "trailer", "proxy-authenticate":
			continue
		case "content-length":
			if !head {
				return nil, errProtocol
			}
		}
		name := canonical(field.Name)
		values[i] = field.Value
		if before, ok := header[name]; ok {
			header[name] = append(before, field.Value)
		} else {
			header[name] = values[i : i+1 : i+1]
		}
	}
	return header, nil
}

// Names that are frequent, in both forms.
var lower, upper = func() (lower, upper map[string]string) {
	lower, upper = map[string]string{}, map[string]string{}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Connect-Accept-Encoding",
		"Connect-Content-Encoding", "Connect-Protocol-Version", "Connect-Timeout-Ms", "Content-Encoding", "Content-Length",
		"Content-Type", "Date", "Etag", "Grpc-Accept-Encoding", "Grpc-Encoding", "Grpc-Message", "Grpc-Status",
		"Grpc-Status-Details-Bin", "Grpc-Timeout", "If-None-Match", "Last-Modified", "Origin", "Referer", "Te", "Traceparent",
		"Tracestate", "User-Agent", "Vary", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Grpc-Web",
		"X-User-Agent",
	} {
		lower[name] = strings.ToLower(name)
		upper[lower[name]] = name
	}
	return lower, upper
}()

// lowered is a header's name as it is sent.
func lowered(name string) string {
	if known, ok := lower[name]; ok {
		return known
	}
	return strings.ToLower(name)
}

// canonical is a header's name as net/http has it.
func canonical(name string) string {
	if known, ok := upper[name]; ok {
		return known
	}
	return http.CanonicalHeaderKey(name)
}
