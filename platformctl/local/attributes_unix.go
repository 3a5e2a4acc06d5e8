//go:build unix && !linux

package local

import "syscall"

// attributes puts a process into a group of its own. Only Linux ends it when platformctl dies without having stopped it.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
