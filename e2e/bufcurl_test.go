package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
)

// bufCurl is a way to run `buf curl`.
type bufCurl struct {
	t     *testing.T
	url   string
	flags []string
}

func (c bufCurl) start(procedure, data string, more ...string) *program {
	c.t.Helper()
	args := append([]string{"curl", "--data=" + data}, append(more, c.flags...)...)
	return startProgram(c.t, environ("BUF_CACHE_DIR="+c.t.TempDir()), built(c.t, "buf"), append(args, c.url+"/"+procedure)...)
}

// call expects a call to succeed and reads its response.
func (c bufCurl) call(procedure, data string, response proto.Message, more ...string) {
	c.t.Helper()
	p := c.start(procedure, data, more...)
	require.Zero(c.t, p.wait(c.t, failWithin), "%s", p.stderr)
	require.NoError(c.t, protojson.Unmarshal([]byte(p.stdout.String()), response), "%s", p.stdout)
}

// `buf curl` in all three protocols. Where there is no schema at hand it learns it from the gateway, which takes a stream in
// both directions, and thus HTTP/2.
func TestBufCurl(t *testing.T) {
	p := shared(t)
	somebody := newcomer(t, p.url())
	for _, c := range []struct {
		name    string
		flags   []string
		reflect bool
	}{
		{"connect over h2c", []string{"--protocol=connect", "--http2-prior-knowledge"}, true},
		{"grpc over h2c", []string{"--protocol=grpc", "--http2-prior-knowledge"}, true},
		{"grpcweb over h2c", []string{"--protocol=grpcweb", "--http2-prior-knowledge"}, true},
		{"connect over http1", []string{"--protocol=connect", "--schema=."}, false},
		{"grpcweb over http1", []string{"--protocol=grpcweb", "--schema=."}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			curl := bufCurl{t: t, url: p.url(), flags: c.flags}
			request, err := protojson.Marshal(&authv1.LoginRequest{Email: somebody.email, Password: password})
			require.NoError(t, err)
			var tokens authv1.LoginResponse
			curl.call(login, string(request), &tokens)

			var me authv1.WhoAmIResponse
			curl.call(whoAmI, "{}", &me, "--header=Authorization: Bearer "+tokens.GetTokens().GetAccessToken())
			assert.Equal(t, somebody.id, me.GetUserId())

			refused := curl.start(whoAmI, "{}")
			assert.NotZero(t, refused.wait(t, failWithin))
			var why answer
			require.NoError(t, understandConnect(&why, []byte(refused.stderr.String())), "%s", refused.stderr)
			assert.Equal(t, "unauthenticated", why.code)
			assert.Equal(t, "TOKEN_MISSING", why.info().GetReason())

			if c.reflect {
				// A stream from the server, which goes on for as long as somebody listens.
				watch := curl.start("grpc.health.v1.Health/Watch", `{"service": "ashlar.auth.v1.AuthService"}`)
				require.NoError(t, watch.says(`"SERVING"`, failWithin))
				assert.True(t, watch.running())
			}
		})
	}
}
