package pgserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/pgserver"
)

// victim marks the process that starts a server and is killed.
const victim = "ASHLAR_TEST_PGSERVER_VICTIM"

// notFound is what it prints where there is no PostgreSQL.
const notFound = "not found"

func TestMain(m *testing.M) {
	if os.Getenv(victim) == "" {
		os.Exit(m.Run())
	}
	server, err := pgserver.Start(context.Background())
	if errors.Is(err, pgserver.ErrNotFound) {
		fmt.Println(notFound)
		return
	}
	if err != nil {
		panic(err)
	}
	fmt.Println(server.URL("postgres"))
	time.Sleep(time.Hour) // until killed
}

// home is the folder of the server at address.
func home(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(strings.TrimSpace(address))
	require.NoError(t, err)
	folder := u.Query().Get("host")
	require.DirExists(t, folder)
	return folder
}

func TestStop(t *testing.T) {
	t.Parallel()
	server, err := pgserver.Start(t.Context())
	skipWithout(t, err)
	folder := home(t, server.URL("postgres"))
	require.NoError(t, server.Stop())
	assert.NoDirExists(t, folder)
	require.NoError(t, server.Stop())
}

func TestEndsWithTheProcessThatStartedIt(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victim+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	address, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	if strings.TrimSpace(address) == notFound {
		require.NoError(t, cmd.Wait())
		skipWithout(t, pgserver.ErrNotFound)
	}
	folder := home(t, address)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool {
		_, err := os.Stat(folder)
		return errors.Is(err, os.ErrNotExist)
	}, 20*time.Second, 10*time.Millisecond)
}

// skipWithout skips where PostgreSQL is not installed, but not in CI.
func skipWithout(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, pgserver.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	require.NoError(t, err)
}
