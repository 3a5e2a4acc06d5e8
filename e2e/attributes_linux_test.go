package e2e

import "syscall"

// attributes makes a process end with the tests, even if these are killed.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
