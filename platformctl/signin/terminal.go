package signin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"

	"ashlar.dev/kernel/config"
	"ashlar.dev/platformctl/exit"
	"ashlar.dev/platformctl/output"
)

// maxLineBytes bounds what is read as an address or a password: auth takes passwords of up to 1024 bytes.
const maxLineBytes = 1024

// terminal asks a person.
type terminal struct {
	in  *os.File
	out io.Writer
}

// terminalOf returns the terminal that a command reads from; nil where it reads from something else.
func terminalOf(streams *output.Streams) *terminal {
	in, ok := streams.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	return &terminal{in, streams.Err}
}

func (t *terminal) ask(question string) (string, error) {
	fmt.Fprint(t.out, question)
	line, err := bufio.NewReader(io.LimitReader(t.in, maxLineBytes)).ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", exit.With(exit.Interrupted, errors.New("nothing was entered"))
	}
	return strings.TrimSpace(line), nil
}

// askSecret asks without showing what is typed. Ctrl-C gives the terminal back as it was.
func (t *terminal) askSecret(question string) (config.Secret, error) {
	before, err := term.GetState(int(t.in.Fd()))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	fmt.Fprint(t.out, question)
	defer fmt.Fprintln(t.out)
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // it waits for a line for as long as the process lives, if it is interrupted
		text, err := term.ReadPassword(int(t.in.Fd()))
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil || len(a.text) == 0 {
			return "", exit.With(exit.Interrupted, errors.New("no password was entered"))
		}
		return config.Secret(a.text), nil
	case <-signals:
		_ = term.Restore(int(t.in.Fd()), before)
		return "", exit.With(exit.Interrupted, errors.New("interrupted"))
	}
}

// readPassword reads a password and the end of its line, if it has one.
func readPassword(in io.Reader) (config.Secret, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxLineBytes+3))
	if err != nil {
		return "", fmt.Errorf("read the password from standard input: %w", err)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(text) == 0 || len(text) > maxLineBytes {
		return "", exit.With(exit.Usage, fmt.Errorf("want a password of 1 to %d bytes on standard input", maxLineBytes))
	}
	return config.Secret(text), nil
}
