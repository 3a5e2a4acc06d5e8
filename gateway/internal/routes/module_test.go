package routes_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/gateway/internal/overload"
	"ashlar.dev/gateway/internal/routes"
	kernelv1 "ashlar.dev/gen/go/ashlar/kernel/v1"
)

// Whoever registers in discovery can answer anything: that must not end the gateway.
func TestAnAnswerWithoutSchemas(t *testing.T) {
	t.Parallel()
	claim := &kernelv1.Manifest{Name: "notes", Services: []string{"acme.notes.v1.NoteService"}}
	_, err := routes.NewModule("notes", overload.NewService(), &kernelv1.GetManifestResponse{Manifest: claim})
	require.ErrorContains(t, err, "acme.notes.v1.NoteService")

	m, err := routes.NewModule("notes", overload.NewService(), &kernelv1.GetManifestResponse{Manifest: &kernelv1.Manifest{Name: "notes"}})
	require.NoError(t, err, "a service without RPCs of its own")
	require.Equal(t, "notes", m.Service)
	_, err = routes.NewModule("notes", overload.NewService(), nil)
	require.ErrorContains(t, err, "the manifest is of")
}
