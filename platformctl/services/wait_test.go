package services

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/local"
	"ashlar.dev/platformctl/output"
)

// Whatever is under way when the time is up, the error says what was waited for.
func TestTheEndOfAWaitIsNoError(t *testing.T) {
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, "cluster.key"), []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600))
	listener, err := net.Listen("unix", filepath.Join(home, "control.sock")) // nobody accepts what comes
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	var out, progress bytes.Buffer
	w := Wait{Where: Where{HomeFlag: local.HomeFlag{Home: home}}, Names: []string{"orders"}, Timeout: 300 * time.Millisecond}
	for range 20 {
		err = w.Run(t.Context(), &output.Streams{Out: &out, Err: &progress})
		require.Equal(t, exit.Unavailable, exit.Code(err), err)
		require.ErrorContains(t, err, "not healthy within 300ms: orders (not there)")
	}
}

func TestErrorsThatEndAWait(t *testing.T) {
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	_, err := (&net.Dialer{}).DialContext(expired, "unix", filepath.Join(t.TempDir(), "none"))
	require.ErrorContains(t, err, "i/o timeout")
	require.True(t, passing(fmt.Errorf("open the control socket: %w", err)))
	require.False(t, passing(errors.New("the cluster key is damaged")))
}
