package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// progress tells a person how far a build is: on a terminal in one line that changes, elsewhere in a line now and then.
type progress struct {
	position, total int
	target          target
	packages        int // to compile at most; some may be compiled already

	started, printed   time.Time
	modules, compiling int
	terminal           bool
}

const (
	terminalInterval = 200 * time.Millisecond
	logInterval      = 20 * time.Second
)

func (p *progress) begin() {
	p.started, p.printed = time.Now(), time.Now()
	info, err := os.Stderr.Stat()
	p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	estimate := ""
	if p.target.takes > 0 {
		estimate = fmt.Sprintf(" (once; about %d minutes on 2 cores)", int(p.target.takes.Minutes()))
	}
	fmt.Fprintf(os.Stderr, "[%d/%d] building %s%s\n", p.position, p.total, p.target.name, estimate)
}

// downloading counts a line of the go command while it fetches modules.
func (p *progress) downloading(line string) {
	if strings.HasPrefix(line, "go: downloading ") {
		p.modules++
		p.show(fmt.Sprintf("%d modules downloaded", p.modules))
	}
}

// compiled counts a line of `go build -v`.
func (p *progress) compiled(line string) {
	if strings.HasPrefix(line, "go: ") || strings.HasPrefix(line, "#") || strings.Contains(line, " ") {
		return
	}
	p.compiling++
	p.show(fmt.Sprintf("%d of at most %d packages compiled", p.compiling, p.packages))
}

func (p *progress) show(what string) {
	now := time.Now()
	interval := logInterval
	if p.terminal {
		interval = terminalInterval
	}
	if now.Sub(p.printed) < interval {
		return
	}
	p.printed = now
	text := fmt.Sprintf("[%d/%d] %s: %s, %s", p.position, p.total, p.target.name, what, p.elapsed())
	if p.terminal {
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s", text)

		return
	}
	fmt.Fprintln(os.Stderr, text)
}

func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	fmt.Fprintf(os.Stderr, "[%d/%d] %s is built, %s\n", p.position, p.total, p.target.name, p.elapsed())
}

func (p *progress) elapsed() string {
	return time.Since(p.started).Round(time.Second).String()
}
