package gateway_test

import (
	"bufio"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"ashlar.dev/gateway"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/kernel/workload"
)

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func TestTokens(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)

	status, _ := w.post(whoAmI, "{}", bearer(w.token(nil)))
	require.Equal(t, http.StatusOK, status)
	assert.Len(t, e.seen()["Authorization"], 1, "services verify the token again")
	status, _ = w.post(manage, "{}", bearer(w.token(nil)))
	require.Equal(t, http.StatusOK, status, "whether the permission is held is the service's to say")

	_, stranger, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	past := jwt.NewNumericDate(time.Now().Add(-time.Minute))
	good := w.token(nil)
	head, body, _ := strings.Cut(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt","kid":"k1"}`)) + "." + strings.Split(body, ".")[0] + "."
	forged, err := authn.Sign(authn.Claims{SessionID: "s", RegisteredClaims: jwt.RegisteredClaims{
		Issuer: authn.Issuer, Audience: jwt.ClaimStrings{authn.Audience}, Subject: "usr_2", ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}}, "k1", stranger)
	require.NoError(t, err)
	before := e.count()
	for name, c := range map[string]struct {
		header http.Header
		reason string
	}{
		"none at all":    {http.Header{}, rpcerror.ReasonTokenMissing},
		"basic":          {http.Header{"Authorization": {"Basic dTpw"}}, rpcerror.ReasonTokenMissing},
		"empty":          {http.Header{"Authorization": {"Bearer "}}, rpcerror.ReasonTokenMissing},
		"garbage":        {bearer("x.y.z"), rpcerror.ReasonTokenInvalid},
		"alg none":       {bearer(none), rpcerror.ReasonTokenInvalid},
		"forged":         {bearer(forged), rpcerror.ReasonTokenInvalid},
		"cut":            {bearer(head), rpcerror.ReasonTokenInvalid},
		"expired":        {bearer(w.token(func(c *authn.Claims) { c.ExpiresAt = past })), rpcerror.ReasonTokenExpired},
		"wrong audience": {bearer(w.token(func(c *authn.Claims) { c.Audience = jwt.ClaimStrings{"other"} })), rpcerror.ReasonTokenInvalid},
		"wrong issuer":   {bearer(w.token(func(c *authn.Claims) { c.Issuer = "other" })), rpcerror.ReasonTokenInvalid},
		"huge":           {bearer(strings.Repeat("x", 20_000)), rpcerror.ReasonTokenInvalid},
		"by connection":  {http.Header{"Authorization": {"Bearer " + good}, "Connection": {"authorization"}}, rpcerror.ReasonTokenMissing},
	} {
		t.Run(name, func(t *testing.T) {
			for _, procedure := range []string{whoAmI, manage} {
				status, a := w.post(procedure, "{}", c.header)
				assert.Equal(t, http.StatusUnauthorized, status)
				assert.Equal(t, "unauthenticated", a.Code)
				assert.Equal(t, c.reason, a.reason())
				assert.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))
			}
		})
	}
	assert.Equal(t, before, e.count())
}

func TestUnauthenticatedInEachProtocol(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		err := w.client(h2, options...).CallUnary(t.Context(), spec(t, whoAmI), message("text", "x"), &structpb.Struct{})
		requireError(t, err, connect.CodeUnauthenticated, rpcerror.ReasonTokenMissing)
	})
}

// Without keys nobody can be let in, and the caller is told that it is not his fault.
func TestKeysUnavailable(t *testing.T) {
	w := newEmptyWorld(t)
	w.start(nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	status, a := w.post(whoAmI, "{}", bearer(w.token(nil)))
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Equal(t, rpcerror.ReasonKeysUnavailable, a.reason())
	status, _ = w.post(look, "{}", nil)
	assert.Equal(t, http.StatusOK, status)
}

func TestForgedHeadersAreStripped(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	proof, err := workload.NewTokens("audit", w.env.Key).Prove(t.Context(), "echo")
	require.NoError(t, err)
	header := http.Header{
		"Ashlar-Workload": {proof}, "ASHLAR-USER": {"root"}, "Ashlar_Workload": {proof},
		"X-Forwarded-For": {"6.6.6.6"}, "X-Forwarded-Host": {"evil"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-User": {"root"},
		"Forwarded": {"for=6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"}, "True-Client-Ip": {"6.6.6.6"}, "Via": {"1.1 x"},
		"Traceparent": {"00-11111111111111111111111111111111-2222222222222222-01"}, "Tracestate": {"a=b"}, "Baggage": {"user=root"},
		"Authorization": {"Bearer whatever"}, "Connection": {"Upgrade, X-Wish"}, "Upgrade": {"websocket"}, "X-Wish": {"x"},
		"X-Original-Url": {"/admin"}, "X-Http-Method-Override": {"DELETE"},
		"Acme-Metadata": {"kept"},
	}
	status, _ := w.post(change, "{}", header)
	require.Equal(t, http.StatusOK, status)
	seen := http.Header(e.seen())
	for name := range header {
		if strings.HasPrefix(name, "X-Forwarded-") || name == "Traceparent" || name == "Acme-Metadata" {
			continue
		}
		assert.Empty(t, seen[http.CanonicalHeaderKey(name)], name)
		assert.Empty(t, seen[name], name)
	}
	assert.Equal(t, []string{"127.0.0.1"}, seen["X-Forwarded-For"])
	assert.Equal(t, []string{w.gateway.Address()}, seen["X-Forwarded-Host"])
	assert.Equal(t, []string{"http"}, seen["X-Forwarded-Proto"])
	assert.Empty(t, seen["X-Forwarded-User"])
	assert.Equal(t, []string{"kept"}, seen["Acme-Metadata"])
	require.Len(t, seen["Traceparent"], 1, "a trace of our own")
	assert.NotContains(t, seen["Traceparent"][0], "11111111111111111111111111111111")
}

// Whoever asks for an internal procedure learns no more than that there is nothing.
func TestInternalLooksLikeUnknown(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	w.add(echoOffer(t, e))
	hidden := schema("acme/hidden/v1/hidden.proto", "acme.hidden.v1", "HiddenService", method{name: "Do", rule: public})
	w.add(offer{
		name: "hidden", id: "hidden-1", services: []string{"acme.hidden.v1.HiddenService"}, schema: hidden, policy: &kernelv1.GatewayPolicy{},
		register: func(s *connect.Server) { registerAll(s, specs(t, hidden), e) },
	})
	w.routable(look, true)
	proof, err := workload.NewTokens("audit", w.env.Key).Prove(t.Context(), "echo")
	require.NoError(t, err)
	before := e.count()
	gone := "/acme.echo.v1.EchoService/Nothing"
	for _, procedure := range []string{
		secret, "/acme.hidden.v1.HiddenService/Do", "/ashlar.kernel.v1.ManifestService/GetManifest", "/no.such.Service/Do",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodOptions} {
			for _, contentType := range []string{"application/json", "application/grpc", "application/grpc-web+proto", "application/connect+json", "text/html"} {
				var got []string
				for _, path := range []string{procedure, gone} {
					request, err := http.NewRequest(method, w.url(path)+"?encoding=json&message=%7B%7D", nil)
					require.NoError(t, err)
					request.Header.Set("Content-Type", contentType)
					request.Header.Set(workload.Header, proof)
					status, a := w.do(request)
					a.header.Del("Date")
					got = append(got, fmt.Sprint(status, a.header, a.raw))
				}
				assert.Equal(t, got[1], got[0], "%s %s %s", method, procedure, contentType)
			}
		}
	}
	assert.Equal(t, before, e.count())
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		err := w.client(h2, options...).CallUnary(t.Context(), spec(t, secret), message("text", "x"), &structpb.Struct{})
		requireError(t, err, connect.CodeUnimplemented, rpcerror.ReasonUnknownProcedure)
	})
}

func TestPathTricks(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	before := e.count()
	for _, path := range []string{
		"/", "//", "/acme.echo.v1.EchoService", "/acme.echo.v1.EchoService/", "//acme.echo.v1.EchoService/Change",
		"/acme.echo.v1.EchoService//Change", "/acme.echo.v1.EchoService/Change/", "/acme.echo.v1.EchoService/change",
		"/ACME.echo.v1.EchoService/Change", "/./acme.echo.v1.EchoService/Change", "/x/../acme.echo.v1.EchoService/Change",
		"/acme.echo.v1.EchoService%2fChange", "/acme.echo.v1.EchoService/%43hange", "/%61cme.echo.v1.EchoService/Change",
		"/acme.echo.v1.EchoService/Change%00", "/acme.echo.v1.EchoService/Change;x=y", "/acme.echo.v1.EchoService/Change%20",
		"/acme.echo.v1.EchoService/Look/../Secret", `/acme.echo.v1.EchoService\Change`, "/" + strings.Repeat("a", 30_000),
		"/%2e%2e/acme.echo.v1.EchoService/Change", "/.well-known/../acme.echo.v1.EchoService/Change", "/.well-known//jwks.json",
		"/.well-known%2fjwks.json",
	} {
		t.Run(path[:min(len(path), 60)], func(t *testing.T) {
			status, body := w.raw("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
			assert.Contains(t, []int{http.StatusNotImplemented, http.StatusBadRequest}, status)
			if status == http.StatusNotImplemented {
				assert.Contains(t, body, rpcerror.ReasonUnknownProcedure)
			}
			status, _ = w.raw("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			assert.Contains(t, []int{http.StatusNotFound, http.StatusBadRequest}, status)
		})
	}
	assert.Equal(t, before, e.count())
}

// raw sends bytes and returns the status and all that comes back.
func (w *world) raw(request string) (int, string) {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.gateway.Address())
	require.NoError(w.t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(w.t, conn.SetDeadline(time.Now().Add(within)))
	_, err = conn.Write([]byte(request))
	require.NoError(w.t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(w.t, err)
	defer func() { _ = response.Body.Close() }()
	var b strings.Builder
	_, _ = bufio.NewReader(response.Body).WriteTo(&b)
	return response.StatusCode, b.String()
}

func TestMethods(t *testing.T) {
	w := newWorld(t, nil)
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	before := e.count()
	query := "?connect=v1&encoding=json&message=%7B%7D"
	for _, c := range []struct {
		method, path, contentType string
		status                    int
		allow                     string
	}{
		{http.MethodGet, change + query, "", http.StatusMethodNotAllowed, "POST"},
		{http.MethodGet, whoAmI + query, "", http.StatusMethodNotAllowed, "POST"},
		{http.MethodPut, change, "application/json", http.StatusMethodNotAllowed, "POST"},
		{http.MethodDelete, look, "application/json", http.StatusMethodNotAllowed, "GET, POST"},
		{http.MethodHead, look, "", http.StatusMethodNotAllowed, "GET, POST"},
		{http.MethodPatch, look, "", http.StatusMethodNotAllowed, "GET, POST"},
		{http.MethodOptions, look, "", http.StatusMethodNotAllowed, "GET, POST"},
		{http.MethodPost, change, "text/plain", http.StatusUnsupportedMediaType, ""},
		{http.MethodPost, change, "", http.StatusUnsupportedMediaType, ""},
		{http.MethodPost, "/.well-known/jwks.json", "application/json", http.StatusMethodNotAllowed, "GET"},
		{http.MethodPost, converse, "application/connect+json", http.StatusHTTPVersionNotSupported, ""},
	} {
		request, err := http.NewRequest(c.method, w.url(c.path), nil)
		require.NoError(t, err)
		if c.contentType != "" {
			request.Header.Set("Content-Type", c.contentType)
		}
		status, a := w.do(request)
		assert.Equal(t, c.status, status, "%s %s", c.method, c.path)
		assert.Equal(t, c.allow, a.header.Get("Allow"), "%s %s", c.method, c.path)
	}
	request, err := http.NewRequest(http.MethodGet, w.url(look+query), strings.NewReader("a body"))
	require.NoError(t, err)
	status, _ := w.do(request)
	assert.Equal(t, http.StatusUnsupportedMediaType, status)
	assert.Equal(t, before, e.count())
}

func TestAlias(t *testing.T) {
	w := newWorld(t, nil)
	request, err := http.NewRequest(http.MethodGet, w.url("/.well-known/jwks.json?encoding=proto&x=y"), nil)
	require.NoError(t, err)
	status, a := w.do(request)
	require.Equal(t, http.StatusOK, status)
	assert.Equal(t, "application/json", a.header.Get("Content-Type"))
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.raw), &set))
	require.Len(t, set.Keys, 1)
	assert.Equal(t, "Ed25519", set.Keys[0]["crv"])
}

func TestRateLimitOfTheGateway(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.RateLimit, c.RateBurst = 0.001, 5 })
	e := newEcho()
	w.add(echoOffer(t, e))
	w.routable(look, true)
	header := bearer(w.token(nil))
	for i := range 5 {
		status, a := w.post(whoAmI, "{}", header)
		require.Equal(t, http.StatusOK, status)
		if i < 3 {
			assert.NotContains(t, a.header, "Ratelimit", "who is far from the limit has no use for it")
		} else {
			assert.Regexp(t, fmt.Sprintf(`^"gateway";r=%d;t=\d+$`, 4-i), a.header.Get("RateLimit"))
			assert.Equal(t, `"gateway";q=5;w=5000`, a.header.Get("RateLimit-Policy"))
		}
	}
	status, a := w.post(whoAmI, "{}", header)
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.Equal(t, "resource_exhausted", a.Code)
	assert.Equal(t, rpcerror.ReasonRateLimited, a.reason())
	assert.NotEmpty(t, a.header.Get("Retry-After"))
	assert.Equal(t, `"gateway";r=0;t=`+a.header.Get("Retry-After"), a.header.Get("RateLimit"))
	assert.Equal(t, `"gateway";q=5;w=5000`, a.header.Get("RateLimit-Policy"))
	assert.Contains(t, a.raw, "google.rpc.RetryInfo")
	assert.Contains(t, a.raw, "google.rpc.QuotaFailure")
	assert.Contains(t, a.raw, "all procedures: 0.001 requests a second, 5 at once")
	status, _ = w.post(whoAmI, "{}", bearer(w.token(func(c *authn.Claims) { c.Subject = "usr_2" })))
	assert.Equal(t, http.StatusOK, status, "another caller has a limit of his own")

	t.Run("also for those who guess", func(t *testing.T) {
		for range 6 {
			status, a = w.post(whoAmI, "{}", bearer("guess"))
		}
		assert.Equal(t, rpcerror.ReasonRateLimited, a.reason())
	})
	everywhere(t, func(t *testing.T, h2 bool, options []connecthttp.Option) {
		err := w.client(h2, options...).CallUnary(t.Context(), spec(t, look), message("text", "x"), &structpb.Struct{})
		requireError(t, err, connect.CodeResourceExhausted, rpcerror.ReasonRateLimited)
	})
}

// What is refused before anybody's limit has been asked counts at the address. Nothing is free, but to be asked whether one lives.
func TestRefusalsAreLimited(t *testing.T) {
	json := http.Header{"Content-Type": {"application/json"}}
	for name, c := range map[string]struct {
		method, path, body string
		header             http.Header
		status             int
	}{
		"no such path":       {http.MethodGet, "/nothing", "", nil, http.StatusNotFound},
		"no such procedure":  {http.MethodPost, "/acme.echo.v1.EchoService/No", "{}", json, http.StatusNotImplemented},
		"internal":           {http.MethodPost, secret, "{}", json, http.StatusNotImplemented},
		"method":             {http.MethodPut, look, "{}", json, http.StatusMethodNotAllowed},
		"method of an alias": {http.MethodPost, "/.well-known/jwks.json", "{}", json, http.StatusMethodNotAllowed},
		"media type":         {http.MethodPost, look, "{}", http.Header{"Content-Type": {"text/html"}}, http.StatusUnsupportedMediaType},
		"GET with a body":    {http.MethodGet, look + "?encoding=json&message=%7B%7D", "{}", nil, http.StatusUnsupportedMediaType},
		"version of HTTP":    {http.MethodPost, converse, "{}", http.Header{"Content-Type": {"application/connect+json"}}, http.StatusHTTPVersionNotSupported},
		"timeout":            {http.MethodPost, look, "{}", http.Header{"Content-Type": {"application/json"}, "Connect-Timeout-Ms": {"x"}}, http.StatusBadRequest},
		"no time":            {http.MethodPost, look, "{}", http.Header{"Content-Type": {"application/json"}, "Connect-Timeout-Ms": {"0"}}, http.StatusGatewayTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *gateway.Config) { c.RateLimit, c.RateBurst = 0.001, 5 })
			w.add(echoOffer(t, newEcho()))
			w.routable(look, true)
			ask := func() (int, answer) {
				request, err := http.NewRequest(c.method, w.url(c.path), strings.NewReader(c.body))
				require.NoError(t, err)
				maps.Copy(request.Header, c.header)
				return w.do(request)
			}
			for range 5 {
				status, _ := ask()
				require.Equal(t, c.status, status)
			}
			status, a := ask()
			if c.status == http.StatusHTTPVersionNotSupported {
				assert.Contains(t, a.raw, rpcerror.ReasonRateLimited, "a stream has its error in its last message")
			} else {
				assert.Equal(t, http.StatusTooManyRequests, status)
			}
			assert.Equal(t, `"gateway";q=5;w=5000`, a.header.Get("RateLimit-Policy"))
			assert.NotEmpty(t, a.header.Get("Retry-After"))
			status, a = w.post(look, "{}", nil)
			assert.Equal(t, http.StatusTooManyRequests, status, "it is the same bucket")
			assert.Equal(t, rpcerror.ReasonRateLimited, a.reason())
			status, _ = w.post(whoAmI, "{}", bearer(w.token(nil)))
			assert.Equal(t, http.StatusOK, status, "who has signed in has his own")
			response, err := newHTTPClient(t, false).Get(w.url("/healthz"))
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			assert.Equal(t, http.StatusOK, response.StatusCode)
		})
	}
}

func TestRateLimitOfTheManifest(t *testing.T) {
	w := newWorld(t, nil)
	o := echoOffer(t, newEcho())
	o.policy.RateLimit = &kernelv1.RateLimit{Requests: 1, Per: durationpb.New(time.Hour), Burst: 3}
	w.add(o)
	header := bearer(w.token(nil))
	w.routable(look, true)
	for range 3 {
		status, _ := w.post(whoAmI, "{}", header)
		require.Equal(t, http.StatusOK, status)
	}
	status, a := w.post(whoAmI, "{}", header)
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.Equal(t, rpcerror.ReasonRateLimited, a.reason())
	request, err := http.NewRequest(http.MethodGet, w.url("/.well-known/jwks.json"), nil)
	require.NoError(t, err)
	status, _ = w.do(request)
	assert.Equal(t, http.StatusOK, status, "other services are not concerned")
}

func TestRateLimitOfAProcedure(t *testing.T) {
	w := newWorld(t, nil)
	o := echoOffer(t, newEcho())
	o.policy.RateLimit = &kernelv1.RateLimit{Requests: 1, Per: durationpb.New(time.Hour), Burst: 5}
	o.policy.Procedures = map[string]*kernelv1.ProcedurePolicy{
		whoAmI: {RateLimit: &kernelv1.RateLimit{Requests: 1, Per: durationpb.New(time.Hour), Burst: 2}},
	}
	w.add(o)
	header := bearer(w.token(nil))
	w.routable(look, true)
	for range 2 {
		status, _ := w.post(whoAmI, "{}", header)
		require.Equal(t, http.StatusOK, status)
	}
	status, a := w.post(whoAmI, "{}", header)
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.Equal(t, `"`+whoAmI+`";q=2;w=7200`, a.header.Get("RateLimit-Policy"))
	for range 3 {
		status, _ = w.post(manage, "{}", header)
		assert.Equal(t, http.StatusOK, status, "what was refused cost nothing of the service's limit")
	}
	status, a = w.post(manage, "{}", header)
	assert.Equal(t, http.StatusTooManyRequests, status, "the service's limit holds for all of its procedures")
	assert.Equal(t, `"echo";q=5;w=18000`, a.header.Get("RateLimit-Policy"))
}

func TestTimeoutOfAProcedure(t *testing.T) {
	w := newWorld(t, nil)
	o := echoOffer(t, newEcho())
	o.policy.Procedures = map[string]*kernelv1.ProcedurePolicy{change: {Timeout: durationpb.New(100 * time.Millisecond)}}
	w.add(o)
	w.routable(look, true)
	status, a := w.post(change, `{"do": "wait"}`, nil)
	assert.Equal(t, http.StatusGatewayTimeout, status)
	assert.Equal(t, "deadline_exceeded", a.Code)
}

func TestCORS(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.CORSOrigins = []string{"https://app.example.com", "http://localhost:*"} })
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	preflight := func(origin string) (int, http.Header) {
		request, err := http.NewRequest(http.MethodOptions, w.url(change), nil)
		require.NoError(t, err)
		request.Header.Set("Origin", origin)
		request.Header.Set("Access-Control-Request-Method", "POST")
		request.Header.Set("Access-Control-Request-Headers", "authorization,connect-protocol-version,connect-timeout-ms,content-type")
		status, a := w.do(request)
		return status, a.header
	}
	for _, origin := range []string{"https://app.example.com", "http://localhost:5173"} {
		status, header := preflight(origin)
		assert.Equal(t, http.StatusNoContent, status)
		assert.Equal(t, origin, header.Get("Access-Control-Allow-Origin"))
		assert.Equal(t, "POST", header.Get("Access-Control-Allow-Methods"))
		assert.Contains(t, header.Get("Access-Control-Allow-Headers"), "authorization")
		assert.Equal(t, "true", header.Get("Access-Control-Allow-Credentials"))
	}
	for _, origin := range []string{"https://evil.example.com", "null", "http://localhost.evil.com:1", "https://app.example.com.evil.com"} {
		_, header := preflight(origin)
		assert.Empty(t, header.Get("Access-Control-Allow-Origin"), origin)
	}
	status, a := w.post(change, "{}", http.Header{"Origin": {"http://localhost:5173"}})
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "http://localhost:5173", a.header.Get("Access-Control-Allow-Origin"))
	for _, name := range []string{"Grpc-Status", "Retry-After", "Ratelimit", "Ratelimit-Policy"} {
		assert.Contains(t, a.header.Get("Access-Control-Expose-Headers"), name)
	}
	_, a = w.post("/no.such/Thing", "{}", http.Header{"Origin": {"http://localhost:5173"}})
	assert.Equal(t, "http://localhost:5173", a.header.Get("Access-Control-Allow-Origin"), "errors can be read, too")
}

func TestNoOriginsMeansNone(t *testing.T) {
	w := newWorld(t, nil)
	w.add(echoOffer(t, newEcho()))
	w.routable(look, true)
	_, a := w.post(change, "{}", http.Header{"Origin": {"https://app.example.com"}})
	assert.Empty(t, a.header.Get("Access-Control-Allow-Origin"))
}
