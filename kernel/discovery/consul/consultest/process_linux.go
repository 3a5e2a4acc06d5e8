package consultest

import "syscall"

// attributes makes the agent end with the test, even one that is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
