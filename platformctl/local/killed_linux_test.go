package local_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// runs reports whether a process is there and not just waiting to be collected.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return !bytes.HasPrefix(state, []byte("Z"))
}

func TestNothingOutlivesAKilledUp(t *testing.T) {
	t.Parallel()
	p := newPlatformTest(t)
	up := p.run("up")
	up.until("Ctrl-C stops everything")
	pids := []int{}
	for _, service := range services {
		pids = append(pids, p.pid(service))
	}
	consul, err := strconv.Atoi(regexp.MustCompile(`(?m)^consul +ready +\S+ +(\d+) `).FindStringSubmatch(up.out.String())[1])
	require.NoError(t, err)
	pids = append(pids, consul)
	up.send(syscall.SIGKILL)
	up.wait()
	for _, pid := range pids {
		eventually(t, func() bool { return !runs(pid) }, fmt.Sprintf("process %d", pid))
	}

	again := p.run("up")
	again.until("Ctrl-C stops everything")
	again.stop()
}
