package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/stretchr/testify/assert"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/types/descriptorpb"
)

// google.api.HttpBody is a body of any type, both ways.
func TestRESTBodiesOfAnyType(t *testing.T) {
	w := newWorld(t, nil)
	o := bound(t, "echo", "acme.echo.v1", map[string]*annotations.HttpRule{"Change": bindPost("/v1/raw", "*")})
	file := o.schema.GetFile()[len(o.schema.GetFile())-1]
	file.Dependency = append(file.Dependency, httpbody.File_google_api_httpbody_proto.Path())
	for _, m := range file.GetService()[0].GetMethod() {
		m.InputType, m.OutputType = new(".google.api.HttpBody"), new(".google.api.HttpBody")
	}
	o.schema = join(&descriptorpb.FileDescriptorSet{File: filesOf(httpbody.File_google_api_httpbody_proto)}, o.schema)
	o.register = func(server *connect.Server) {
		for _, spec := range echoSpecs(t, o.schema, "acme.echo.v1") {
			server.Register(connect.Method{Spec: spec, Handler: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
				var body httpbody.HttpBody
				if err := stream.Receive(&body); err != nil {
					return err
				}
				return stream.Send(&httpbody.HttpBody{ContentType: "text/csv", Data: []byte(body.GetContentType() + "," + strings.ToUpper(string(body.GetData())))})
			}})
		}
	}
	w.add(o)
	w.routable(change, true)
	response, body := w.rest(http.MethodPost, "/v1/raw", "a\nb", http.Header{"Content-Type": {"text/plain"}})
	assert.Equal(t, http.StatusOK, response.StatusCode, body)
	assert.Equal(t, "text/csv", response.Header.Get("Content-Type"))
	assert.Equal(t, "text/plain,A\nB", body)
}
