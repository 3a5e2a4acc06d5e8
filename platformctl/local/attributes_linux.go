package local

import "syscall"

// attributes puts a process into a group of its own, and has the kernel kill it when platformctl dies without having
// stopped it, as after kill -9.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
