package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"ashlar.dev/platform/home"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

// The process in the background writes to the standard output and error of the one that a person started until
// everything is ready. Then it writes this byte, and goes over to its log.
const readyByte = 0

// detach starts this command again in the background, and returns when everything is ready or has failed.
func (u *Up) detach(ctx context.Context, streams *output.Streams) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("go to the background: %w", err)
	}
	ctx, _, stop := interruptible(ctx)
	defer stop()

	cmd := exec.Command(self, u.arguments()...)
	// A session of its own has no terminal whose end, or Ctrl-C, could reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stderr = streams.Err
	progress, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("go to the background: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("go to the background: %w", err)
	}
	interrupted := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer interrupted()
	if copyUntilReady(streams.Out, progress) {
		return cmd.Process.Release()
	}
	err = cmd.Wait()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok && failed.Exited() {
		return &exit.Error{Code: failed.ExitCode()} // it has said why
	}
	if err == nil {
		err = errors.New("it ended")
	}
	return fmt.Errorf("the process in the background did not get ready: %w", err)
}

// arguments are those of the process in the background. Everything that may be secret comes by the environment.
func (u *Up) arguments() []string {
	arguments := []string{"up", "--background", "--home=" + u.Home, "--gateway-addr=" + u.GatewayAddr,
		"--ready-timeout=" + u.ReadyTimeout.String(), "--stop-timeout=" + u.StopTimeout.String()}
	for flag, value := range map[string]string{"bin": u.Bin, "consul-addr": u.ConsulAddr, "admin-email": u.AdminEmail, "root": u.Root, "databases": u.Databases} {
		if value != "" {
			arguments = append(arguments, "--"+flag+"="+value)
		}
	}
	if u.NoRestart {
		arguments = append(arguments, "--no-restart")
	}
	if len(u.Only) > 0 {
		arguments = append(arguments, "--only="+strings.Join(u.Only, ","))
	}
	return arguments
}

// copyUntilReady copies what the process in the background says, and reports whether it has become ready.
func copyUntilReady(to io.Writer, from io.Reader) bool {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		text, _, ready := bytes.Cut(buffer[:n], []byte{readyByte})
		_, _ = to.Write(text) // whether anybody reads it does not matter
		if ready || err != nil {
			return ready
		}
	}
}

// background is the process in the background, as it sees itself.
type background struct {
	out *console
	log *os.File
}

// newBackground has everything that is written to out go to a log, too.
func newBackground(h *home.Home, out *console) (*background, error) {
	path := logFile(h, "up")
	if err := rotate(path); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	out.toLog(log)
	return &background{out: out, log: log}, nil
}

// ready lets go of the process that waits.
func (b *background) ready() error {
	b.out.onlyToLog()
	if _, err := os.Stdout.Write([]byte{readyByte}); err != nil && !errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("say that everything is ready: %w", err)
	}
	// What Go itself has to say before it dies goes to the log, and the pipe is closed.
	log := int(b.log.Fd())
	return errors.Join(unix.Dup2(log, int(os.Stdout.Fd())), unix.Dup2(log, int(os.Stderr.Fd())))
}

func (b *background) close() {
	b.out.toLog(nil)
	_ = b.log.Close()
}
