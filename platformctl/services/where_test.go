package services

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/platformctl/local"
)

func TestConsulGetsTheTokenOfTheEnvironment(t *testing.T) {
	tokens := make(chan string, 16)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case tokens <- r.Header.Get("X-Consul-Token"):
		default:
		}
		http.Error(w, "it is not told", http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	t.Setenv("CONSUL_HTTP_TOKEN", "consul's own")
	for given, want := range map[string]string{"ashlar's": "ashlar's", "": "consul's own"} {
		t.Setenv("ASHLAR_CONSUL_TOKEN", given)
		p, err := Where{HomeFlag: local.HomeFlag{Home: t.TempDir()}, ConsulAddr: strings.TrimPrefix(server.URL, "http://")}.open(t.Context())
		require.NoError(t, err)
		_, err = p.overview(t.Context())
		require.Error(t, err)
		require.NotContains(t, err.Error(), want)
		require.Equal(t, want, <-tokens)
		for len(tokens) > 0 {
			<-tokens
		}
		p.close()
	}
}
