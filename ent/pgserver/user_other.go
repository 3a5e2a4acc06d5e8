//go:build !unix

package pgserver

import (
	"errors"
	"os/exec"
)

type account struct{}

func unprivileged() (*account, error) {
	return nil, errors.New("a PostgreSQL of our own is started on unix only: give the address of one that runs")
}

func (*account) own(string) error { return nil }

func (*account) run(*exec.Cmd) {}
