package database_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"ashlar.dev/ent/database"
	"ashlar.dev/kernel/config"
)

// A server that recovers says so to everybody who connects. This one says so
// twice, and then that the password is wrong, which nobody waits to change.
func TestServerThatStartsIsWaitedFor(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	asked := 0
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			asked++
			server := pgproto3.NewBackend(conn, conn)
			if _, err := server.ReceiveStartupMessage(); err == nil {
				answer := &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P03", Message: "the database system is starting up"}
				if asked > 2 {
					answer.Code, answer.Message = "28P01", "password authentication failed"
				}
				server.Send(answer)
				_ = server.Flush()
				_, _ = io.Copy(io.Discard, conn)
			}
			_ = conn.Close()
		}
	})
	db, err := database.New(config.Secret(fmt.Sprintf("postgres://ashlar@%s/ashlar?sslmode=disable&connect_timeout=60", listener.Addr())))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.ErrorContains(t, db.Check(t.Context()), "refuses the user or the password")
	require.NoError(t, listener.Close())
	serving.Wait()
	require.Equal(t, 3, asked)
}
