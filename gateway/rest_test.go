package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"ashlar.dev/gateway"
	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/gen/go/acme/notes/v1/notesv1connect"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/rpc"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/platform/gatewayops"
)

// shelf is a service of notes that answers with what it was asked.
type shelf struct {
	notesv1connect.NoteServiceHandler

	mu      sync.Mutex
	asked   proto.Message
	headers map[string][]string
	err     error
	takes   time.Duration
}

func (s *shelf) take(ctx context.Context, request proto.Message) error {
	info, _ := connect.CallInfoForServerContext(ctx)
	time.Sleep(s.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.headers = request, maps.Collect(info.RequestHeader().All())
	return s.err
}

// last returns what was asked last, and forgets it.
func (s *shelf) last() proto.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

func (s *shelf) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *shelf) CreateNote(ctx context.Context, r *notesv1.CreateNoteRequest) (*notesv1.CreateNoteResponse, error) {
	return &notesv1.CreateNoteResponse{Note: &notesv1.Note{Id: "n1", OrganizationId: r.GetOrganizationId(), Title: r.GetTitle(), Version: 1}}, s.take(ctx, r)
}

func (s *shelf) GetNote(ctx context.Context, r *notesv1.GetNoteRequest) (*notesv1.GetNoteResponse, error) {
	return &notesv1.GetNoteResponse{Note: &notesv1.Note{Id: r.GetNoteId(), OrganizationId: r.GetOrganizationId()}}, s.take(ctx, r)
}

func (s *shelf) ListNotes(ctx context.Context, r *notesv1.ListNotesRequest) (*notesv1.ListNotesResponse, error) {
	return &notesv1.ListNotesResponse{Notes: []*notesv1.Note{{Id: "n1"}}, NextPageToken: "more"}, s.take(ctx, r)
}

func (s *shelf) UpdateNote(ctx context.Context, r *notesv1.UpdateNoteRequest) (*notesv1.UpdateNoteResponse, error) {
	return &notesv1.UpdateNoteResponse{Note: r.GetNote()}, s.take(ctx, r)
}

func (s *shelf) DeleteNote(ctx context.Context, r *notesv1.DeleteNoteRequest) (*notesv1.DeleteNoteResponse, error) {
	return &notesv1.DeleteNoteResponse{}, s.take(ctx, r)
}

func (s *shelf) SearchNotes(ctx context.Context, r *notesv1.SearchNotesRequest) (*notesv1.SearchNotesResponse, error) {
	return &notesv1.SearchNotesResponse{}, s.take(ctx, r)
}

func shelfOffer(s *shelf) offer {
	return offer{
		name: "notes", id: "notes-1", version: "1.0.0", services: []string{notesv1connect.NoteServiceName},
		schema:   &descriptorpb.FileDescriptorSet{File: filesOf(notesv1.File_acme_notes_v1_note_proto)},
		policy:   &kernelv1.GatewayPolicy{Expose: true, Timeout: durationpb.New(within)},
		register: func(server *connect.Server) { notesv1connect.RegisterNoteServiceHandler(server, s) },
	}
}

// refusal is an error as REST tells it: google.rpc.Status.
type refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Details []struct {
		Type     string            `json:"@type"`
		Reason   string            `json:"reason"`
		Domain   string            `json:"domain"`
		Metadata map[string]string `json:"metadata"`
	} `json:"details"`
}

func (r refusal) reason() string {
	for _, d := range r.Details {
		if d.Type == "type.googleapis.com/google.rpc.ErrorInfo" {
			return d.Reason
		}
	}
	return ""
}

// rest sends a request as curl would.
func (w *world) rest(method, path, body string, header http.Header) (*http.Response, string) {
	w.t.Helper()
	return w.restBy(newHTTPClient(w.t, false), method, path, body, header)
}

func (w *world) restBy(client *http.Client, method, path, body string, header http.Header) (*http.Response, string) {
	w.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request, err := http.NewRequest(method, w.url(path), reader)
	require.NoError(w.t, err)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(request.Header, header)
	response, err := client.Do(request)
	require.NoError(w.t, err)
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	return response, string(data)
}

func (w *world) bearer() http.Header { return http.Header{"Authorization": {"Bearer " + w.token(nil)}} }

func newShelf(t testing.TB, change func(*gateway.Config)) (*world, *shelf) {
	w := newWorld(t, change)
	s := &shelf{}
	w.add(shelfOffer(s))
	w.routable(notesv1connect.NoteServiceGetNoteProcedure, true)
	return w, s
}

// Each form of binding arrives as the message that it stands for, and the answer comes back in its own form.
func TestREST(t *testing.T) {
	w, s := newShelf(t, nil)
	for name, c := range map[string]struct {
		method, path, body string
		asked              proto.Message
		answer             string
	}{
		"create": {
			http.MethodPost, "/v1/organizations/org_1/notes", `{"title":"Milk","requestId":"r"}`,
			&notesv1.CreateNoteRequest{OrganizationId: "org_1", Title: "Milk", RequestId: "r"},
			`{"id":"n1","organizationId":"org_1","title":"Milk","version":"1"}`,
		},
		"the path says more than the body": {
			http.MethodPost, "/v1/organizations/org_1/notes", `{"organizationId":"org_2","title":"Milk"}`,
			&notesv1.CreateNoteRequest{OrganizationId: "org_1", Title: "Milk"},
			`{"id":"n1","organizationId":"org_1","title":"Milk","version":"1"}`,
		},
		"get": {
			http.MethodGet, "/v1/organizations/org_1/notes/n7", "",
			&notesv1.GetNoteRequest{OrganizationId: "org_1", NoteId: "n7"}, `{"id":"n7","organizationId":"org_1"}`,
		},
		"escapes": {
			http.MethodGet, "/v1/organizations/org_1/notes/a%2Fb%20%25%3Ac", "",
			&notesv1.GetNoteRequest{OrganizationId: "org_1", NoteId: "a/b %:c"}, `{"id":"a/b %:c","organizationId":"org_1"}`,
		},
		"dots are a name like any other": {
			http.MethodGet, "/v1/organizations/org_1/notes/..", "",
			&notesv1.GetNoteRequest{OrganizationId: "org_1", NoteId: ".."}, `{"id":"..","organizationId":"org_1"}`,
		},
		"list": {
			http.MethodGet, "/v1/organizations/org_1/notes?pageSize=2&page_token=t", "",
			&notesv1.ListNotesRequest{OrganizationId: "org_1", PageSize: 2, PageToken: "t"}, `{"notes":[{"id":"n1"}],"nextPageToken":"more"}`,
		},
		"update": {
			http.MethodPatch, "/v1/organizations/org_1/notes/n7?updateMask=title,body", `{"title":"Bread","version":"3"}`,
			&notesv1.UpdateNoteRequest{
				Note:       &notesv1.Note{OrganizationId: "org_1", Id: "n7", Title: "Bread", Version: 3},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title", "body"}},
			},
			`{"id":"n7","organizationId":"org_1","title":"Bread","version":"3"}`,
		},
		"delete": {
			http.MethodDelete, "/v1/organizations/org_1/notes/n7?version=3", "",
			&notesv1.DeleteNoteRequest{OrganizationId: "org_1", NoteId: "n7", Version: 3}, `{}`,
		},
		"verb": {
			http.MethodGet, "/v1/organizations/org_1/notes:search?query=a%26b", "",
			&notesv1.SearchNotesRequest{OrganizationId: "org_1", Query: "a&b"}, `{}`,
		},
	} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s h2=%v", name, h2), func(t *testing.T) {
				response, body := w.restBy(newHTTPClient(t, h2), c.method, c.path, c.body, w.bearer())
				require.Equal(t, http.StatusOK, response.StatusCode, body)
				assert.JSONEq(t, c.answer, body)
				assert.Equal(t, "application/json", response.Header.Get("Content-Type"))
				asked := s.last()
				assert.True(t, proto.Equal(c.asked, asked), "asked: %v", asked)
			})
		}
	}
	assert.Contains(t, w.metrics(), `protocol="rest"`)
}

// What is wrong is told as google.rpc.Status with a reason, whoever says so, and nothing of it reaches the service.
func TestRESTRefusals(t *testing.T) {
	w, s := newShelf(t, nil)
	const notes = "/v1/organizations/org_1/notes"
	for name, c := range map[string]struct {
		method, path, body string
		header             http.Header
		status             int
		reason             string
	}{
		"no token":               {http.MethodGet, notes, "", nil, 401, rpcerror.ReasonTokenMissing},
		"no token, with a body":  {http.MethodPost, notes, `{"title":"x"}`, nil, 401, rpcerror.ReasonTokenMissing},
		"bad token":              {http.MethodGet, notes, "", http.Header{"Authorization": {"Bearer x"}}, 401, rpcerror.ReasonTokenInvalid},
		"unknown path":           {http.MethodGet, "/v1/nothing", "", w.bearer(), 404, "UNKNOWN_PATH"},
		"unknown path, deleted":  {http.MethodDelete, "/v1/nothing", "", w.bearer(), 404, "UNKNOWN_PATH"},
		"empty segment":          {http.MethodGet, "/v1/organizations//org_1/notes", "", w.bearer(), 404, "UNKNOWN_PATH"},
		"slash at the end":       {http.MethodGet, notes + "/n1/shares/", "", w.bearer(), 404, "UNKNOWN_PATH"},
		"empty variable":         {http.MethodDelete, "/v1/organizations//notes/n1", "", w.bearer(), 404, "UNKNOWN_PATH"},
		"literal escaped":        {http.MethodGet, "/v1/organizations/org_1/n%6Ftes", "", w.bearer(), 404, "UNKNOWN_PATH"},
		"other case":             {http.MethodGet, "/V1/organizations/org_1/notes", "", w.bearer(), 404, "UNKNOWN_PATH"},
		"method":                 {http.MethodPut, notes, "", w.bearer(), 405, "METHOD_NOT_ALLOWED"},
		"broken JSON":            {http.MethodPost, notes, `{"title":`, w.bearer(), 400, rpcerror.ReasonInvalidRequest},
		"wrong type":             {http.MethodPatch, notes + "/n1", `{"title":7}`, w.bearer(), 400, rpcerror.ReasonInvalidRequest},
		"unknown parameter":      {http.MethodGet, notes + "?nothing=1", "", w.bearer(), 400, rpcerror.ReasonInvalidRequest},
		"unknown parameter, too": {http.MethodDelete, notes + "/n1?nothing=1", "", w.bearer(), 400, rpcerror.ReasonInvalidRequest},
		"parameter of a type":    {http.MethodGet, notes + "?pageSize=many", "", w.bearer(), 400, rpcerror.ReasonInvalidRequest},
		"GET with a body":        {http.MethodGet, notes, `{}`, w.bearer(), 415, "UNSUPPORTED_MEDIA_TYPE"},
		"DELETE with a body":     {http.MethodDelete, notes + "/n1", `{}`, w.bearer(), 400, rpcerror.ReasonInvalidRequest},
		"form":                   {http.MethodPost, notes, "title=x", with(w.bearer(), "Content-Type", "application/x-www-form-urlencoded"), 415, "UNSUPPORTED_MEDIA_TYPE"},
		"compression":            {http.MethodPost, notes, "x", with(w.bearer(), "Content-Encoding", "br"), 415, "UNSUPPORTED_MEDIA_TYPE"},
		"too large":              {http.MethodPost, notes, `{"title":"` + strings.Repeat("x", rpc.MaxMessageBytes) + `"}`, w.bearer(), 429, rpcerror.ReasonMessageTooLarge},
		"too large, compressed":  {http.MethodPost, notes, zipped(`{"title":"` + strings.Repeat("x", 2*rpc.MaxMessageBytes) + `"}`), with(w.bearer(), "Content-Encoding", "gzip"), 429, rpcerror.ReasonMessageTooLarge},
		"deadline":               {http.MethodGet, notes, "", with(w.bearer(), "X-Server-Timeout", "0"), 504, rpcerror.ReasonDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			response, body := w.rest(c.method, c.path, c.body, c.header)
			assert.Equal(t, c.status, response.StatusCode, body)
			var r refusal
			require.NoError(t, json.Unmarshal([]byte(body), &r), body)
			assert.Equal(t, c.reason, r.reason(), body)
			assert.Positive(t, r.Code, body)
			assert.Nil(t, s.last(), "the service was asked")
			assert.Equal(t, c.status == 405, response.Header.Get("Allow") != "")
			assert.Equal(t, c.status == 401, response.Header.Get("Www-Authenticate") != "")
		})
	}
	// None of these is the service's fault.
	response, body := w.rest(http.MethodGet, notes, "", w.bearer())
	require.Equal(t, http.StatusOK, response.StatusCode, body)
}

func TestRESTErrorsOfServices(t *testing.T) {
	w, s := newShelf(t, nil)
	detail, err := connectproto.NewErrorDetail(&notesv1.Note{Id: "n1"})
	require.NoError(t, err)
	s.fail(rpcerror.New(connect.CodeAborted, "NOTE_CHANGED", "the note has changed", rpcerror.Meta("version", "4")).
		WithDetail(detail).WithDetail(&connect.ErrorDetail{Type: "acme.unknown.v1.Nothing", Value: []byte{8, 1}}))
	for _, path := range []string{"/v1/organizations/org_1/notes", "/v1/organizations/org_1/notes/n1"} {
		response, body := w.rest(http.MethodGet, path, "", w.bearer())
		assert.Equal(t, http.StatusConflict, response.StatusCode)
		var r refusal
		require.NoError(t, json.Unmarshal([]byte(body), &r), body)
		assert.Equal(t, int(connect.CodeAborted), r.Code)
		assert.Equal(t, "the note has changed", r.Message)
		assert.Equal(t, "NOTE_CHANGED", r.reason())
		require.Len(t, r.Details, 2, "those of types that are known: %s", body)
		assert.Equal(t, map[string]string{"version": "4"}, r.Details[0].Metadata)
		assert.Equal(t, "type.googleapis.com/acme.notes.v1.Note", r.Details[1].Type)
	}
}

// A call by REST counts like any other, and its answer says so.
func TestRESTIsLimited(t *testing.T) {
	w, _ := newShelf(t, func(c *gateway.Config) { c.RateLimit, c.RateBurst = 0.001, 100 })
	var last *http.Response
	var body string
	for range 102 {
		if last, body = w.rest(http.MethodGet, "/v1/organizations/org_1/notes", "", w.bearer()); last.StatusCode != http.StatusOK {
			break
		}
	}
	require.Equal(t, http.StatusTooManyRequests, last.StatusCode)
	assert.NotEmpty(t, last.Header.Get("Retry-After"))
	var r refusal
	require.NoError(t, json.Unmarshal([]byte(body), &r))
	assert.Equal(t, rpcerror.ReasonRateLimited, r.reason())
}

// A call may take as long by REST as otherwise: longer than what is refused at once may take to be written.
func TestRESTTakesItsTime(t *testing.T) {
	w := newWorld(t, nil)
	w.add(shelfOffer(&shelf{takes: 2500 * time.Millisecond}))
	w.routable(notesv1connect.NoteServiceCreateNoteProcedure, true)
	var running sync.WaitGroup
	defer running.Wait()
	for _, h2 := range []bool{false, true} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			client := newHTTPClient(t, h2)
			running.Go(func() {
				request, err := http.NewRequest(method, w.url("/v1/organizations/org_1/notes/n1"), nil)
				if !assert.NoError(t, err) {
					return
				}
				request.Header.Set("Authorization", "Bearer "+w.token(nil))
				response, err := client.Do(request)
				if assert.NoError(t, err, "%s, HTTP/2: %v", method, h2) {
					assert.Equal(t, http.StatusOK, response.StatusCode)
					_ = response.Body.Close()
				}
			})
		}
	}
}

func TestRESTWhenTheServiceIsGone(t *testing.T) {
	w := newWorld(t, nil)
	b := w.add(shelfOffer(&shelf{}))
	w.routable(notesv1connect.NoteServiceGetNoteProcedure, true)
	b.leave()
	b.kill()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		response, body := w.rest(method, "/v1/organizations/org_1/notes", map[string]string{http.MethodPost: `{"title":"x"}`}[method], w.bearer())
		assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
		var r refusal
		require.NoError(t, json.Unmarshal([]byte(body), &r))
		assert.Equal(t, rpcerror.ReasonServiceUnavailable, r.reason())
	}
}

// An answer that breaks off is an error, not half an answer.
func TestRESTAnswerThatBreaksOff(t *testing.T) {
	w := newWorld(t, nil)
	b := w.add(shelfOffer(&shelf{}))
	w.routable(notesv1connect.NoteServiceGetNoteProcedure, true)
	good := b.http.Handler
	b.http.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/acme.notes.") {
			good.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Content-Length", "100000")
		_, _ = rw.Write([]byte(`{"notes":[`))
		_ = http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		response, body := w.rest(method, "/v1/organizations/org_1/notes", map[string]string{http.MethodPost: `{"title":"x"}`}[method], w.bearer())
		assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode, body)
		var r refusal
		require.NoError(t, json.Unmarshal([]byte(body), &r), body)
		assert.Equal(t, rpcerror.ReasonServiceUnavailable, r.reason())
	}
}

// bound returns the test service with annotations: of its procedures those that rules name.
func bound(t testing.TB, name, pkg string, rules map[string]*annotations.HttpRule) offer {
	e := newEcho()
	set := schema(strings.ReplaceAll(pkg, ".", "/")+"/echo.proto", pkg, "EchoService", echoMethods...)
	file := set.GetFile()[len(set.GetFile())-1]
	for _, m := range file.GetService()[0].GetMethod() {
		if rule := rules[m.GetName()]; rule != nil {
			proto.SetExtension(m.GetOptions(), annotations.E_Http, rule)
		}
	}
	annotated := append(filesOf(annotations.File_google_api_annotations_proto), set.GetFile()...)
	file.Dependency = append(file.Dependency, annotations.File_google_api_annotations_proto.Path())
	set = join(&descriptorpb.FileDescriptorSet{File: annotated})
	return offer{
		name: name, id: name + "-1", version: "1.0.0", services: []string{pkg + ".EchoService"}, schema: set,
		policy:   &kernelv1.GatewayPolicy{Expose: true},
		register: func(server *connect.Server) { registerAll(server, echoSpecs(t, set, pkg), e) },
	}
}

// A path goes on while there is an older version for which the procedure has side effects.
func TestRESTWhileVersionsDiffer(t *testing.T) {
	const procedure = "/acme.first.v1.EchoService/"
	w := newWorld(t, nil)
	newer := bound(t, "first", "acme.first.v1", map[string]*annotations.HttpRule{"Look": bindGet("/v1/things")})
	older := bound(t, "first", "acme.first.v1", map[string]*annotations.HttpRule{"Look": bindGet("/v1/things")})
	newer.id, newer.version = "first-2", "2.0.0"
	for _, file := range older.schema.GetFile() {
		for _, service := range file.GetService() {
			for _, m := range service.GetMethod() {
				m.GetOptions().IdempotencyLevel = nil
			}
		}
	}
	w.add(newer)
	w.routable(procedure+"Look", true)
	get := func() int {
		response, body := w.rest(http.MethodGet, "/v1/things", "", nil)
		if response.StatusCode != http.StatusOK {
			t.Log(body)
		}
		return response.StatusCode
	}
	require.Equal(t, http.StatusOK, get())
	w.add(older)
	require.Eventually(t, func() bool {
		request, err := http.NewRequest(http.MethodGet, w.url(procedure+"Look?connect=v1&encoding=json&message=%7B%7D"), nil)
		require.NoError(t, err)
		status, _ := w.do(request)
		return status == http.StatusMethodNotAllowed
	}, within, time.Millisecond, "both versions are known")
	for range 10 {
		require.Equal(t, http.StatusOK, get())
	}
}

// What only an older version has can be called by REST, too, until that version is gone. Where a path would fit both, it is the
// newer one's.
func TestRESTOfOlderVersions(t *testing.T) {
	const procedure = "/acme.first.v1.EchoService/"
	w := newWorld(t, published)
	older := bound(t, "first", "acme.first.v1", map[string]*annotations.HttpRule{
		"Look": bindGet("/v1/old-things"), "Change": bindPost("/v1/changes", "*"), "Manage": bindGet("/v1/things"), "WhoAmI": bindGet("/v1/me"),
	})
	newer := bound(t, "first", "acme.first.v1", map[string]*annotations.HttpRule{"Look": bindGet("/v1/things")})
	newer.id, newer.version = "first-2", "2.0.0"
	service := newer.schema.GetFile()[len(newer.schema.GetFile())-1].GetService()[0]
	service.Method = slices.DeleteFunc(service.GetMethod(), func(m *descriptorpb.MethodDescriptorProto) bool {
		return slices.Contains([]string{"Change", "Manage", "WhoAmI"}, m.GetName())
	})
	status := func(method, path, body string, header http.Header) int {
		response, _ := w.rest(method, path, body, header)
		return response.StatusCode
	}
	old := w.add(older)
	w.routable(procedure+"Change", true)
	require.Equal(t, http.StatusOK, status(http.MethodGet, "/v1/old-things", "", nil))
	w.add(newer)
	require.Eventually(t, func() bool { return status(http.MethodGet, "/v1/things", "", nil) == http.StatusOK }, within, time.Millisecond,
		"the newer version's procedure is public")
	for range 10 { // an instance of the newer version would not know it
		require.Equal(t, http.StatusOK, status(http.MethodPost, "/v1/changes", "{}", nil))
	}
	require.Equal(t, http.StatusUnauthorized, status(http.MethodGet, "/v1/me", "", nil))
	require.Equal(t, http.StatusOK, status(http.MethodGet, "/v1/me", "", w.bearer()))
	require.Equal(t, http.StatusNotFound, status(http.MethodGet, "/v1/old-things", "", nil), "the newest version says where its procedures are")
	require.Equal(t, http.StatusOK, status(http.MethodPost, procedure+"Manage", "{}", w.bearer()), "who has lost his path is still an RPC")
	var explained gatewayops.Explanation
	w.ops("/routes/explain?method=POST&path=/v1/changes", &explained)
	require.Equal(t, procedure+"Change", explained.Procedure)
	require.Eventually(t, func() bool {
		_, described := w.rest(http.MethodGet, "/openapi.json", "", nil)
		return strings.Contains(described, "EchoService_Change_Rest") && !strings.Contains(described, "EchoService_Manage_Rest")
	}, within, time.Millisecond)

	w.add(bound(t, "second", "acme.second.v1", map[string]*annotations.HttpRule{"Change": bindPost("/v1/changes", "*")}))
	require.Eventually(t, func() bool { return strings.Contains(w.out.String(), "it claims what another one has") }, within, time.Millisecond)
	old.leave()
	w.routable(procedure+"Change", false)
	require.Equal(t, http.StatusNotFound, status(http.MethodGet, "/v1/me", "", nil))
	w.routable("/acme.second.v1.EchoService/Change", true)
	require.Equal(t, http.StatusOK, status(http.MethodPost, "/v1/changes", "{}", nil))
}

func echoSpecs(t testing.TB, set *descriptorpb.FileDescriptorSet, pkg string) []connect.Spec {
	var out []connect.Spec
	for _, spec := range specs(t, set) {
		if strings.HasPrefix(spec.Procedure, "/"+pkg+".") {
			out = append(out, spec)
		}
	}
	return out
}

func bindGet(path string) *annotations.HttpRule {
	return &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: path}}
}

func bindPost(path, body string) *annotations.HttpRule {
	return &annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: path}, Body: body}
}

// Nothing that cannot be called as an RPC can be called by REST.
func TestRESTReachesNothingInternal(t *testing.T) {
	w := newWorld(t, nil)
	w.add(bound(t, "echo", "acme.echo.v1", map[string]*annotations.HttpRule{
		"Look": bindGet("/v1/look"), "Secret": bindGet("/v1/secret"), "Count": bindGet("/v1/count"), "Change": bindPost("/v1/change", "*"), "WhoAmI": bindGet("/v1/me"),
	}))
	hidden := bound(t, "hidden", "acme.hidden.v1", map[string]*annotations.HttpRule{"Look": bindGet("/v1/hidden")})
	hidden.policy.Expose = false
	w.add(hidden)
	w.routable(look, true)
	for path, status := range map[string]int{
		"/v1/look": 200, "/v1/secret": 404, "/v1/count": 415, "/v1/hidden": 404, "/v1/me": 401, "/v1/change": 405,
	} {
		response, _ := w.rest(http.MethodGet, path, "", nil)
		assert.Equal(t, status, response.StatusCode, path)
	}
	response, body := w.rest(http.MethodPost, "/v1/change", `{"text":"a"}`, nil)
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.JSONEq(t, `{"texts":["a"]}`, body)
	// The translator takes RPCs, too, if it is asked; it is not.
	response, _ = w.rest(http.MethodPost, secret, `{}`, nil)
	assert.Equal(t, http.StatusNotImplemented, response.StatusCode)
	response, _ = w.rest(http.MethodPost, "/v1/change", `{}`, http.Header{"Connect-Protocol-Version": {"1"}})
	assert.Equal(t, http.StatusNotImplemented, response.StatusCode, "it says that it is an RPC, and is none")
}

// Whose annotations make no sense is not to be called by REST, and everything else goes on.
func TestRESTWithAnnotationsThatMakeNoSense(t *testing.T) {
	w := newWorld(t, nil)
	w.add(bound(t, "good", "acme.good.v1", map[string]*annotations.HttpRule{"Look": bindGet("/v1/good")}))
	nested := bindGet("/v1/bad")
	nested.AdditionalBindings = []*annotations.HttpRule{{
		Pattern: &annotations.HttpRule_Get{Get: "/v1/bad2"}, AdditionalBindings: []*annotations.HttpRule{bindGet("/v1/bad3")},
	}}
	bad := map[string]*annotations.HttpRule{
		"empty": {}, "nested": nested,
		"nofield": bindGet("/v1/bad/{nothing}"), "nobody": bindPost("/v1/bad", "nothing"),
		"noslash": bindGet("v1/bad"), "open": bindGet("/v1/{bad"), "closed": bindGet("/v1/bad}"), "twostars": bindGet("/v1/{fields=**}/bad"),
		"all": bindGet("/{fields=**}"), "root": bindGet("/"), "star": bindGet("/*/bad"), "dotted": bindGet("/acme.good.v1.EchoService/Look"),
		"wellknown": bindGet("/.well-known/bad"), "health": bindGet("/healthz"), "docs": bindGet("/docs/bad"), "openapi": bindGet("/openapi.json"),
		"escaped": bindGet("/v1/b%61d"), "query": bindGet("/v1/bad?x=y"), "long": bindGet("/v1/" + strings.Repeat("x", 1000)),
		"custom": {Pattern: &annotations.HttpRule_Custom{Custom: &annotations.CustomHttpPattern{Kind: "*", Path: "/v1/bad"}}},
	}
	for name, rule := range bad {
		w.add(bound(t, name, "acme."+name+".v1", map[string]*annotations.HttpRule{"Look": rule}))
	}
	w.add(bound(t, "twice", "acme.twice.v1", map[string]*annotations.HttpRule{"Look": bindGet("/v1/bad"), "Change": bindGet("/v1/bad")}))
	for name := range bad {
		w.routable("/acme."+name+".v1.EchoService/Change", true)
	}
	w.routable("/acme.twice.v1.EchoService/Change", true)
	w.routable("/acme.good.v1.EchoService/Change", true)
	for path, status := range map[string]int{
		"/v1/good": 200, "/v1/bad": 404, "/v1/bad2": 404, "/v1/bad/x": 404, "/v1/": 404, "/": 404, "/x/bad": 404,
		"/.well-known/bad": 404, "/healthz": 200,
	} {
		response, _ := w.rest(http.MethodGet, path, "", nil)
		assert.Equal(t, status, response.StatusCode, path)
	}
	for name := range bad {
		assert.Regexp(t, `"a service cannot be called by REST[^}]*"peer":"`+name+`"`, w.out.String(), name)
	}
}

// Two services cannot have the same path; which one has it does not change while it is there.
func TestRESTConflicts(t *testing.T) {
	for name, second := range map[string]*annotations.HttpRule{
		"same":                       bindGet("/v1/things/{fields}"),
		"of another name":            bindGet("/v1/things/{fields=*}"),
		"a literal for a variable":   bindGet("/v1/things/special"),
		"a variable for a literal":   bindGet("/v1/{fields=*}/x"),
		"everything":                 bindGet("/v1/{fields=**}"),
		"another method, in its way": bindPost("/v1/things/special", "*"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.add(bound(t, "zzz", "acme.first.v1", map[string]*annotations.HttpRule{"Look": bindGet("/v1/things/*")}))
			w.routable("/acme.first.v1.EchoService/Look", true)
			w.add(bound(t, "aaa", "acme.second.v1", map[string]*annotations.HttpRule{"Change": second}))
			require.Eventually(t, func() bool { return strings.Contains(w.out.String(), "it claims what another one has") }, within, time.Millisecond)
			w.routable("/acme.second.v1.EchoService/Look", false)
			response, _ := w.rest(http.MethodGet, "/v1/things/special", "", nil)
			assert.Equal(t, http.StatusOK, response.StatusCode)
		})
	}
	t.Run("none", func(t *testing.T) {
		w := newWorld(t, nil)
		w.add(bound(t, "zzz", "acme.first.v1", map[string]*annotations.HttpRule{"Look": bindGet("/v1/things/*")}))
		w.add(bound(t, "aaa", "acme.second.v1", map[string]*annotations.HttpRule{
			"Change": bindPost("/v1/things/*", "*"), "Look": bindGet("/v1/things/*:count"), "Manage": bindGet("/v1/things"), "WhoAmI": bindGet("/v1/things/*/parts"),
		}))
		w.routable("/acme.first.v1.EchoService/Look", true)
		w.routable("/acme.second.v1.EchoService/Look", true)
		for path, method := range map[string]string{"/v1/things/x": "GET POST", "/v1/things/x:count": "GET"} {
			for each := range strings.FieldsSeq(method) {
				response, _ := w.rest(each, path, map[string]string{"POST": "{}"}[each], nil)
				assert.Equal(t, http.StatusOK, response.StatusCode, "%s %s", each, path)
			}
		}
	})
}

// A script of another origin that may call RPCs may call by REST.
func TestRESTAcrossOrigins(t *testing.T) {
	w, _ := newShelf(t, func(c *gateway.Config) { c.CORSOrigins = []string{"https://app.example.com"} })
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		response, _ := w.rest(http.MethodOptions, "/v1/organizations/org_1/notes", "", http.Header{
			"Origin": {"https://app.example.com"}, "Access-Control-Request-Method": {method}, "Access-Control-Request-Headers": {"authorization,content-type"},
		})
		assert.Equal(t, "https://app.example.com", response.Header.Get("Access-Control-Allow-Origin"), method)
	}
}

func with(header http.Header, name, value string) http.Header {
	header.Set(name, value)
	return header
}

func zipped(text string) string {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return out.String()
}

// Operators who ask what takes a request are told of paths by REST, and of what describes them, as callers are served.
func TestExplainKnowsREST(t *testing.T) {
	w, s := newShelf(t, func(c *gateway.Config) { c.OpenAPI = true })
	const notes = "/v1/organizations/org_1/notes"
	for _, c := range []struct {
		method, path string
		taken        bool
		procedure    string
		why          string
	}{
		{"GET", notes, true, notesv1connect.NoteServiceListNotesProcedure, "by REST; access is permission; 1 of 1"},
		{"GET", notes + "/a%2Fb?view=full", true, notesv1connect.NoteServiceGetNoteProcedure, "by REST"},
		{"POST", notes, true, notesv1connect.NoteServiceCreateNoteProcedure, "by REST"},
		{"PATCH", notes + "/n1", true, notesv1connect.NoteServiceUpdateNoteProcedure, "by REST"},
		{"DELETE", notes + "/n1", true, notesv1connect.NoteServiceDeleteNoteProcedure, "by REST"},
		{"PUT", notes, false, "", "does not have this method (405)"},
		{"GET", "/v1/nothing", false, "", "no service claims it"},
		{"GET", "/a%2Fb", false, "", "escaped"},
		{"GET", "/openapi.json", true, "", "itself"},
		{"GET", "/docs", true, "", "itself"},
		{"POST", "/docs", false, "", "GET only"},
	} {
		var e gatewayops.Explanation
		require.Equal(t, http.StatusOK, w.ops(explainPath(c.method, c.path), &e))
		assert.Equal(t, c.taken, e.Taken, "%s %s", c.method, c.path)
		assert.Equal(t, c.procedure, e.Procedure, "%s %s", c.method, c.path)
		assert.Contains(t, e.Why, c.why, "%s %s", c.method, c.path)
	}
	assert.Nil(t, s.last(), "nobody was asked")
}
