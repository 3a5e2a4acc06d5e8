package rpc_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"ashlar.dev/kernel/rpc"
)

// filer is a listener that can be handed to another process.
type filer interface {
	net.Listener
	File() (*os.File, error)
}

// inherit returns a descriptor of its own of a listener, as a process gets one of those who start it.
func inherit(t *testing.T, listener filer) int {
	t.Helper()
	file, err := listener.File()
	require.NoError(t, err)
	defer file.Close()
	descriptor, err := syscall.Dup(int(file.Fd()))
	require.NoError(t, err)
	return descriptor
}

func TestBindAnInheritedListener(t *testing.T) {
	given, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	descriptor := inherit(t, given)
	require.NoError(t, given.Close())

	listener, err := rpc.Bind(t.Context(), "fd:"+strconv.Itoa(descriptor))
	require.NoError(t, err)
	require.Equal(t, given.Addr().String(), listener.Addr().String())
	require.ErrorIs(t, syscall.Close(descriptor), syscall.EBADF, "nobody else gets it")

	_, err = rpc.Bind(t.Context(), listener.Addr().String())
	require.ErrorIs(t, err, syscall.EADDRINUSE)

	go func() {
		if accepted, err := listener.Accept(); err == nil {
			_, _ = io.WriteString(accepted, "here")
			_ = accepted.Close()
		}
	}()
	client, err := net.Dial("tcp", given.Addr().String())
	require.NoError(t, err)
	said, err := io.ReadAll(client)
	require.NoError(t, err)
	require.Equal(t, "here", string(said))
	require.NoError(t, client.Close())
	require.NoError(t, listener.Close())
}

func TestBindRefusesWhatIsNoListener(t *testing.T) {
	local, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "socket"), Net: "unix"})
	require.NoError(t, err)
	defer local.Close()
	for address, says := range map[string]string{
		"fd:":                                   "3 and above",
		"fd:-1":                                 "3 and above",
		"fd:0":                                  "3 and above",
		"fd:2":                                  "3 and above", // where the log goes
		"fd:x":                                  "3 and above",
		"fd:99999999999":                        "3 and above",
		"fd:1000000":                            "bad file descriptor",
		"fd:" + strconv.Itoa(inherit(t, local)): "not a listener of TCP",
	} {
		_, err := rpc.Bind(t.Context(), address)
		require.ErrorContains(t, err, "listen on "+address+": ", address)
		require.ErrorContains(t, err, says, address)
	}
}

func TestInherited(t *testing.T) {
	require.Equal(t, "fd:3", rpc.Inherited(0)) // os/exec: entry i becomes file descriptor 3+i
	require.Equal(t, "fd:4", rpc.Inherited(1))
}
