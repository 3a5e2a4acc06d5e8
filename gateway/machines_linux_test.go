package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two machines are two processes of the test, each in a network namespace of its own, that are joined by a cable. Nothing leaves
// them, and nothing is left of them when they end: the namespaces have no names.
const (
	envMachine = "GATEWAY_TEST_MACHINE" // which one a process is; the test as it is called is none
	// Addresses for tests of devices (RFC 2544, appendix C.2.2).
	hereAddress  = "198.18.0.1"
	thereAddress = "198.18.0.2"
)

// machine is the other machine, as seen from here.
type machine struct {
	t     *testing.T
	stdin io.Writer
	says  *bufio.Scanner
}

// onTwoMachines runs here and there on a machine each. What is there ends when it has been there for as long as here takes.
func onTwoMachines(t *testing.T, here func(t *testing.T, other *machine), there func(t *testing.T, orders orders)) {
	switch os.Getenv(envMachine) {
	case "":
		t.Parallel()
		mayHaveNetworks(t)
		cmd := again(t, "here")
		output, err := cmd.CombinedOutput()
		t.Logf("%s", output)
		require.NoError(t, err)
	case "here":
		ip(t, "link", "set", "lo", "up")
		here(t, newMachine(t))
	default:
		orders := orders{
			"join": func(string) string {
				ip(t, "link", "set", "lo", "up")
				ip(t, "address", "add", thereAddress+"/30", "dev", "cable")
				ip(t, "link", "set", "cable", "up")
				return ""
			},
			// Seen from here, both are the same at first: what is sent is lost. A cable that is pulled is noticed when nobody
			// answers to ARP, whoever hears and is not heard is noticed by silence only.
			"pull the cable": func(string) string { ip(t, "link", "set", "cable", "down"); return "" },
			"be mute":        func(string) string { ip(t, "route", "add", "blackhole", hereAddress+"/32"); return "" },
			"come back": func(string) string {
				ip(t, "link", "set", "cable", "up")
				_ = exec.Command("ip", "route", "del", "blackhole", hereAddress+"/32").Run() // it may not be mute
				return ""
			},
		}
		there(t, orders)
		orders.obey(t)
	}
}

// mayHaveNetworks skips the test where the machine, or who runs it, cannot have networks of their own, and fails it in CI.
func mayHaveNetworks(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may have networks")
	}
	_, err := exec.LookPath("ip")
	if err == nil {
		cmd := exec.Command("ip", "link", "set", "lo", "up")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		var output []byte
		if output, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("a network namespace: %w: %s", err, output)
		}
	}
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
}

// again is this test once more, as a machine with a network of its own that ends with this process.
func again(t *testing.T, name string) *exec.Cmd {
	top, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+top+"$", "-test.v="+strconv.FormatBool(name == "here"), "-test.timeout=5m")
	cmd.Env = append(os.Environ(), envMachine+"="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func ip(t *testing.T, args ...string) {
	output, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(t, err, "ip %s: %s", strings.Join(args, " "), output)
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	cmd := again(t, "there")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	m := &machine{t: t, stdin: stdin, says: bufio.NewScanner(stdout)}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ip(t, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", strconv.Itoa(cmd.Process.Pid))
	ip(t, "address", "add", hereAddress+"/30", "dev", "cable")
	ip(t, "link", "set", "cable", "up")
	m.order("join", "")
	return m
}

// order lets the other machine do something, and returns what it says.
func (m *machine) order(name, argument string) string {
	m.t.Helper()
	_, err := fmt.Fprintf(m.stdin, "%s:%s\n", name, argument)
	require.NoError(m.t, err)
	for m.says.Scan() {
		if said, ok := strings.CutPrefix(m.says.Text(), "> "); ok {
			return said
		}
		fmt.Fprintln(os.Stderr, m.says.Text())
	}
	m.t.Fatalf("the other machine has ended: %v", m.says.Err())
	return ""
}

// orders are what a machine can be told to do.
type orders map[string]func(argument string) string

// obey does what it is told until nobody tells anything any more.
func (o orders) obey(t *testing.T) {
	for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
		name, argument, _ := strings.Cut(scanner.Text(), ":")
		order := o[name]
		require.NotNil(t, order, name)
		_, _ = fmt.Fprintln(os.Stdout, "> "+order(argument))
	}
}
