package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"ashlar.dev/conformance/internal/suite"
)

const (
	// schemaVariable names the folder of the suite's schemas, for processes that are this binary.
	schemaVariable = "ASHLAR_TEST_SUITE"
	// The names under which this binary is started as one of them; any other is gateway-under-test.
	runner, reference = "runner", "reference"
	// patience bounds what takes a moment on a machine that has nothing else to do.
	patience = time.Minute
)

func TestMain(m *testing.M) {
	switch name := filepath.Base(os.Args[0]); {
	case os.Getenv(schemaVariable) == "":
		os.Exit(m.Run())
	case name == runner:
		end(beRunner())
	case name == reference:
		end(beReference())
	default:
		main()
	}
}

// beRunner starts gateway-under-test as the suite's runner does, and says where it is.
func beRunner() error {
	folder := filepath.Dir(os.Args[0])
	command := exec.Command(filepath.Join(folder, "gateway-under-test"), "-reference", filepath.Join(folder, reference), "-proto", os.Getenv(schemaVariable))
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := command.Start(); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "gateway", command.Process.Pid)
	return command.Wait()
}

// beReference says that it serves, and stays.
func beReference() error {
	schema, err := suite.Compile(context.Background(), os.Getenv(schemaVariable))
	if err != nil {
		return err
	}
	if _, err := schema.ReadRequest(os.Stdin); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, reference, os.Getpid())
	response, err := where(listener.Addr().String(), nil)
	if err != nil {
		return err
	}
	if err := schema.WriteResponse(os.Stdout, response); err != nil {
		return err
	}
	_, err = listener.Accept() // nobody calls
	return err
}

// Whoever is killed, nobody stays behind, and no file.
func TestNothingOutlivesTheKilled(t *testing.T) {
	t.Parallel()
	folder := suiteFolder(t)
	for _, killed := range []string{runner, "gateway"} {
		t.Run(killed, func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			require.NoError(t, err)
			programs, temporary := t.TempDir(), t.TempDir()
			for _, name := range []string{runner, reference, "gateway-under-test"} {
				require.NoError(t, os.Symlink(self, filepath.Join(programs, name)))
			}
			command := exec.CommandContext(t.Context(), filepath.Join(programs, runner))
			command.Env = append(os.Environ(), schemaVariable+"="+folder, "TMPDIR="+temporary)
			command.Stdin = strings.NewReader(tlsRequest(t))
			answer, err := command.StdoutPipe()
			require.NoError(t, err)
			// All write to it, so that its end is the end of all.
			log, theirs, err := os.Pipe()
			require.NoError(t, err)
			defer func() { _ = log.Close() }()
			require.NoError(t, log.SetReadDeadline(time.Now().Add(patience)))
			command.Stderr = theirs
			require.NoError(t, command.Start())
			require.NoError(t, theirs.Close())
			t.Cleanup(func() { _ = command.Wait() })

			schema, err := suite.Compile(t.Context(), folder)
			require.NoError(t, err)
			response, err := schema.ReadResponse(answer)
			require.NoError(t, err)
			require.NotEmpty(t, response.Certificate)
			pids := map[string][]int{runner: {command.Process.Pid}}
			lines := bufio.NewScanner(log)
			for range 3 {
				require.True(t, lines.Scan(), "%v", lines.Err())
				var name string
				var pid int
				_, err := fmt.Sscan(lines.Text(), &name, &pid)
				require.NoError(t, err, lines.Text())
				pids[name] = append(pids[name], pid)
			}
			require.Len(t, pids["gateway"], 1)
			require.Len(t, pids[reference], 2)

			process, err := os.FindProcess(pids[killed][0])
			require.NoError(t, err)
			require.NoError(t, process.Kill())
			rest, err := io.ReadAll(log)
			require.NoError(t, err, "some of %v still run", pids)
			t.Logf("%s", rest)
			left, err := os.ReadDir(temporary)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

// suiteFolder is where the schemas of the suite are, of the version that tools/conformance pins.
func suiteFolder(t *testing.T) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "connectrpc.com/conformance")
	command.Dir = "../../../tools/conformance"
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := command.Output()
	require.NoError(t, err)
	var module struct {
		Dir string `json:"Dir"`
	}
	require.NoError(t, json.Unmarshal(out, &module))
	return filepath.Join(module.Dir, "proto")
}

// tlsRequest is what the runner sends for a server with TLS: a ServerCompatRequest with use_tls and server_creds.
func tlsRequest(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	var credentials, message []byte
	for field, block := range []*pem.Block{1: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, 2: {Type: "PRIVATE KEY", Bytes: key}} {
		if block != nil {
			credentials = protowire.AppendTag(credentials, protowire.Number(field), protowire.BytesType)
			credentials = protowire.AppendBytes(credentials, pem.EncodeToMemory(block))
		}
	}
	message = protowire.AppendTag(message, 4, protowire.VarintType)
	message = protowire.AppendVarint(message, 1)
	message = protowire.AppendTag(message, 7, protowire.BytesType)
	message = protowire.AppendBytes(message, credentials)
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(message)))) + string(message)
}
