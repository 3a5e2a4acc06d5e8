package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ashlar.dev/kernel/freeport"
)

// askTimeout is how long an up that runs on this machine may take to say what it runs.
const askTimeout = 5 * time.Second

// Script is the file with the environment that up wrote for a program in a home folder; it says so where there is none.
func Script(home, program string) (string, error) {
	path, err := filepath.Abs(filepath.Join(home, "env", program))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s was never started by `platformctl up` on the home folder %s: %w", program, home, err)
	} else if err != nil {
		return "", err
	}
	return path, nil
}

// Command runs a program of the platform with other arguments and the environment that up gives it. bin is the folder of
// programs; empty means that of platformctl.
func Command(ctx context.Context, home, bin, program string, args ...string) (*exec.Cmd, error) {
	script, err := Script(home, program)
	if err != nil {
		return nil, err
	}
	folder, err := ProgramsFolder(bin)
	if err != nil {
		return nil, err
	}
	path, err := exec.LookPath(filepath.Join(folder, program))
	if err != nil {
		return nil, fmt.Errorf("the program of the service %s is missing: %w; `./taskw build` builds it, --bin names another folder", program, err)
	}
	const source = `set -a; . "$1" || exit; set +a; shift; exec "$@"`
	command := exec.CommandContext(ctx, "sh", append([]string{"-c", source, "sh", script, path}, args...)...)
	for _, variable := range os.Environ() {
		// The script refers to the address of a database that was given; those of others are none of the program's business.
		if name, _, _ := strings.Cut(variable, "="); !isOurs(name) || name == databaseVariable(program) {
			command.Env = append(command.Env, variable)
		}
	}
	return command, nil
}

// GatewayURL is where up has the gateway of a home folder; empty where that is not known. Where it has any free port, the
// up that runs is asked.
func GatewayURL(ctx context.Context, home string) string {
	address := gatewayAddress(home)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	if port == "0" {
		port = gatewayPort(ctx, home)
	}
	if port == "" {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = freeport.Host
	}
	return "http://" + net.JoinHostPort(host, port)
}

// gatewayPort is the port that the gateway of a platform has which runs on a home folder; empty where none does.
func gatewayPort(ctx context.Context, home string) string {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	supervisor, err := Dial(ctx, home)
	if err != nil {
		return ""
	}
	defer supervisor.Close(ctx)
	running, err := supervisor.List(ctx)
	if err != nil {
		return ""
	}
	for _, u := range running.GetUnits() {
		if u.GetName() == GatewayName {
			_, port, _ := net.SplitHostPort(u.GetAddress())
			return port
		}
	}
	return ""
}

// gatewayAddress is the address that up gave the gateway of a home folder; empty where that is not known.
func gatewayAddress(home string) string {
	script, err := Script(home, "gateway")
	if err != nil {
		return ""
	}
	file, err := os.Open(script)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "ASHLAR_GATEWAY_ADDR="); ok {
			return strings.Trim(address, "'")
		}
	}
	return ""
}
