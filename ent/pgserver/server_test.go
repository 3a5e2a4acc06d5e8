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

	"github.com/jackc/pgx/v5"
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

func TestRestart(t *testing.T) {
	t.Parallel()
	server, err := pgserver.Start(t.Context())
	skipWithout(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	connect := func() (*pgx.Conn, error) { return pgx.Connect(t.Context(), server.URL("postgres")) }
	conn, err := connect()
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE kept (n int)")
	require.NoError(t, err)
	for i, mode := range []pgserver.Mode{pgserver.Fast, pgserver.Immediate, pgserver.Kill} {
		_, err = conn.Exec(t.Context(), "INSERT INTO kept VALUES (1)")
		require.NoError(t, err)
		require.NoError(t, server.Halt(t.Context(), mode))
		require.Error(t, conn.Ping(t.Context()), mode)
		_, err = connect()
		require.Error(t, err, mode)
		require.NoError(t, server.Resume(t.Context()))
		conn, err = connect()
		require.NoError(t, err, mode)
		var n int
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&n))
		assert.Equal(t, i+1, n, mode)
	}
	require.NoError(t, server.Restart(t.Context(), pgserver.Fast))
	require.NoError(t, server.Halt(t.Context(), pgserver.Fast))
	folder := home(t, server.URL("postgres"))
	require.NoError(t, server.Stop(), "also one that is halted")
	assert.NoDirExists(t, folder)
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
	}, time.Minute, 10*time.Millisecond)
}

// skipWithout skips where PostgreSQL is not installed, but not in CI.
func skipWithout(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, pgserver.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	require.NoError(t, err)
}
