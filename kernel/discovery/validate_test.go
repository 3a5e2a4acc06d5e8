package discovery_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/discovery"
)

func TestValidate(t *testing.T) {
	many := make(map[string]string)
	for i := range 64 {
		many[fmt.Sprintf("key-%d", i)] = ""
	}
	for _, test := range []struct {
		name  string
		spoil func(*discovery.Registration)
		want  string // part of the error; empty: valid
	}{
		{"as it should be", func(*discovery.Registration) {}, ""},
		{"IPv6", func(r *discovery.Registration) { r.Address = "[::1]:4001" }, ""},
		{"host name", func(r *discovery.Registration) { r.Address = "orders-0.example:4001" }, ""},
		{"one letter", func(r *discovery.Registration) { r.Service, r.ID = "a", "a" }, ""},
		{"slash in id", func(r *discovery.Registration) { r.ID = "orders/1" }, `id "orders/1"`},
		{"id too long", func(r *discovery.Registration) { r.ID = strings.Repeat("a", 129) }, "1 to 128"},
		{"service ends in dash", func(r *discovery.Registration) { r.Service = "orders-" }, "DNS label"},
		{"service too long", func(r *discovery.Registration) { r.Service = strings.Repeat("a", 64) }, "at most 63"},
		{"no port", func(r *discovery.Registration) { r.Address = "localhost" }, "want host:port"},
		{"wildcard", func(r *discovery.Registration) { r.Address = ":80" }, "host is missing"},
		{"port too high", func(r *discovery.Registration) { r.Address = "h:65536" }, "1 to 65535"},
		{"port by name", func(r *discovery.Registration) { r.Address = "h:http" }, "1 to 65535"},
		{"check without scheme", func(r *discovery.Registration) { r.CheckURL = "127.0.0.1:1/healthz" }, "check URL"},
		{"metadata key", func(r *discovery.Registration) { r.Metadata = map[string]string{"a b": ""} }, `metadata key "a b"`},
		{"metadata value", func(r *discovery.Registration) { r.Metadata = map[string]string{"a": strings.Repeat("v", 513)} }, "longer than 512"},
		{"too much metadata", func(r *discovery.Registration) { r.Metadata = many }, "64 metadata entries"},
		{"long version", func(r *discovery.Registration) { r.Version = strings.Repeat("1", 513) }, "version is longer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := discovery.Registration{
				Instance: discovery.Instance{
					ID: "orders-7f3a", Service: "orders", Address: "127.0.0.1:4001", Version: "1.0.0",
					Metadata: map[string]string{"zone": "north"},
				},
				CheckURL: "http://127.0.0.1:4002/readyz",
			}
			test.spoil(&r)
			err := r.Validate()
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, discovery.ErrInvalid)
			require.ErrorContains(t, err, test.want)
		})
	}
}
