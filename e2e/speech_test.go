package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// speech is a way to call: what a caller that is not ours would send and understand, byte by byte.
type speech struct {
	name        string
	http2       bool
	contentType string
}

// speeches are the ways that all callers must be answered in.
var speeches = []speech{
	{name: "connect json over http1", contentType: "application/json"},
	{name: "connect proto over h2c", contentType: "application/proto", http2: true},
	{name: "grpc over h2c", contentType: "application/grpc+proto", http2: true},
	{name: "grpcweb over http1", contentType: "application/grpc-web+proto"},
}

// everySpeech runs a test once for each way to call.
func everySpeech(t *testing.T, test func(t *testing.T, s speech)) {
	t.Helper()
	for _, s := range speeches {
		t.Run(s.name, func(t *testing.T) { test(t, s) })
	}
}

func (s speech) json() bool   { return strings.HasSuffix(s.contentType, "json") }
func (s speech) web() bool    { return strings.HasPrefix(s.contentType, "application/grpc-web") }
func (s speech) framed() bool { return strings.HasPrefix(s.contentType, "application/grpc") }

// callTimeout is the deadline that callers here set, and thus how long an answer may take.
const callTimeout = 10 * time.Second

// codes are the names of gRPC's status codes in the Connect protocol, by number.
var codes = []string{
	"", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
	"resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable",
	"data_loss", "unauthenticated",
}

// call is one request.
type call struct {
	url       string // of the gateway
	procedure string // without the slash before it
	token     string
	message   proto.Message
	raw       []byte // sent as the message instead
}

// answer is what came back.
type answer struct {
	http    int
	code    string // as Connect names it; empty: no error
	text    string
	details []proto.Message
	payload []byte
}

// info is the ErrorInfo of the answer; an empty one where there is none.
func (a answer) info() *errdetails.ErrorInfo {
	for _, detail := range a.details {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return &errdetails.ErrorInfo{}
}

func (a answer) String() string {
	return fmt.Sprintf("HTTP %d, %q: %s %v", a.http, a.code, a.text, a.details)
}

// one returns a client for one request, whose connection is not used again.
func (s speech) client() *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	transport.Protocols.SetHTTP1(!s.http2)
	transport.Protocols.SetUnencryptedHTTP2(s.http2)
	return &http.Client{Transport: transport}
}

// try sends a request and reads the answer in the protocol's own words. An error means that there was no such answer.
func (s speech) try(ctx context.Context, c call) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout+time.Second)
	defer cancel()
	body := c.raw
	if body == nil {
		var err error
		if body, err = s.marshal(c.message); err != nil {
			return answer{}, err
		}
	}
	if s.framed() {
		body = frame(body)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/"+c.procedure, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", s.contentType)
	if s.framed() {
		request.Header.Set("Grpc-Timeout", strconv.FormatInt(callTimeout.Milliseconds(), 10)+"m")
		request.Header.Set("Te", "trailers")
	} else {
		request.Header.Set("Connect-Protocol-Version", "1")
		request.Header.Set("Connect-Timeout-Ms", strconv.FormatInt(callTimeout.Milliseconds(), 10))
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	client := s.client()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a, err := s.understand(response, content)
	if err != nil {
		return a, fmt.Errorf("%s is not answered in its own words: %w; HTTP %d %v\n%q", s.name, err, response.StatusCode, response.Header, content)
	}
	return a, nil
}

// send is try where there must be an answer.
func (s speech) send(t testing.TB, c call) answer {
	t.Helper()
	a, err := s.try(t.Context(), c)
	require.NoError(t, err)
	return a
}

func (s speech) marshal(m proto.Message) ([]byte, error) {
	if s.json() {
		return protojson.Marshal(m)
	}
	return proto.Marshal(m)
}

// understand reads an answer.
func (s speech) understand(response *http.Response, content []byte) (answer, error) {
	a := answer{http: response.StatusCode, payload: content}
	switch {
	case s.framed():
		return a, s.understandFramed(&a, response, content)
	case response.StatusCode == http.StatusOK:
		if got := response.Header.Get("Content-Type"); got != s.contentType {
			return a, fmt.Errorf("the content type is %q", got)
		}
		return a, nil
	}
	return a, understandConnect(&a, content)
}

// understandConnect reads an error as the Connect protocol has it
// (https://connectrpc.com/docs/protocol#error-end-stream).
func understandConnect(a *answer, content []byte) error {
	var said struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Details []struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"details"`
	}
	if err := json.Unmarshal(content, &said); err != nil {
		return err
	}
	if said.Code == "" {
		return errors.New("the error has no code")
	}
	a.code, a.text = said.Code, said.Message
	for _, d := range said.Details {
		value, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(d.Value, "="))
		if err != nil {
			return err
		}
		detail, err := (&anypb.Any{TypeUrl: "type.googleapis.com/" + d.Type, Value: value}).UnmarshalNew()
		if err != nil {
			return err
		}
		a.details = append(a.details, detail)
	}
	return nil
}

// understandFramed reads an answer as gRPC over HTTP/2 and gRPC-Web have it: HTTP's own status is 200, the outcome is in
// trailers, which for gRPC-Web are the last frame of the body; without a message they may be the headers.
func (s speech) understandFramed(a *answer, response *http.Response, content []byte) error {
	if response.StatusCode != http.StatusOK {
		return errors.New("HTTP's status is not 200")
	}
	if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, strings.TrimSuffix(s.contentType, "+proto")) {
		return fmt.Errorf("content type %q", got)
	}
	trailers := response.Trailer
	if response.Header.Get("Grpc-Status") != "" {
		trailers = response.Header
	}
	a.payload = nil
	for len(content) > 0 {
		flags, part, rest, err := unframe(content)
		if err != nil {
			return err
		}
		content = rest
		if flags&0x80 == 0 {
			a.payload = append(a.payload, part...)
			continue
		}
		if !s.web() {
			return errors.New("a frame of trailers, which only gRPC-Web has")
		}
		header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(part, "\r\n"...)))).ReadMIMEHeader()
		if err != nil {
			return err
		}
		trailers = http.Header(header)
	}
	number, err := strconv.Atoi(trailers.Get("Grpc-Status"))
	if err != nil || number < 0 || number >= len(codes) {
		return fmt.Errorf("grpc-status is %q", trailers.Get("Grpc-Status"))
	}
	a.code, a.text = codes[number], trailers.Get("Grpc-Message")
	encoded := trailers.Get("Grpc-Status-Details-Bin")
	if encoded == "" {
		return nil
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return err
	}
	var status rpcstatus.Status
	if err := proto.Unmarshal(raw, &status); err != nil {
		return err
	}
	for _, d := range status.GetDetails() {
		detail, err := d.UnmarshalNew()
		if err != nil {
			return err
		}
		a.details = append(a.details, detail)
	}
	return nil
}

// frame puts gRPC's five bytes before a message: no compression, and its length.
func frame(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

func unframe(content []byte) (flags byte, part, rest []byte, err error) {
	if len(content) < 5 {
		return 0, nil, nil, errors.New("the body ends within a frame")
	}
	length := int(binary.BigEndian.Uint32(content[1:5]))
	if len(content)-5 < length {
		return 0, nil, nil, errors.New("the body ends within a frame")
	}
	return content[0], content[5 : 5+length], content[5+length:], nil
}
