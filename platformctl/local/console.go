package local

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"ashlar.dev/platformctl/output"
)

// console tells a person what goes on. It is safe for concurrent use. What cannot be written is lost: nobody looks.
type console struct {
	color bool

	mu      sync.Mutex
	person  io.Writer // nil: nobody looks any more
	log     io.Writer // nil: there is none
	stamped bool      // each line begins with the time

	followers map[int]func(process, text string)
	followed  int // how many there ever were
}

func newConsole(out io.Writer, environ map[string]string) *console {
	return &console{person: out, color: output.Colors(out, func(name string) string { return environ[name] })}
}

// printf writes a line, to the person and to the log.
func (c *console) printf(format string, arguments ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	line := fmt.Sprintf(format, arguments...) + "\n"
	if c.stamped && line != "\n" {
		line = time.Now().Format("2006-01-02 15:04:05 ") + line
	}
	write(c.person, line)
	write(c.log, line)
}

// Write implements io.Writer, for the log of what serves the control socket.
func (c *console) Write(text []byte) (int, error) {
	c.printf("%s", strings.TrimRight(string(text), "\n"))
	return len(text), nil
}

// eventf writes a line about a process, and tells those who follow.
func (c *console) eventf(process, format string, arguments ...any) {
	text := fmt.Sprintf(format, arguments...)
	c.printf("%-9s %s", process, text)
	text = uncolored.Replace(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, follower := range c.followers {
		follower(process, text)
	}
}

// follow calls follower with each line about a process, without colors, until unfollow is called. It must not block.
func (c *console) follow(follower func(process, text string)) (unfollow func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.followers == nil {
		c.followers = map[int]func(process, text string){}
	}
	c.followed++
	id := c.followed
	c.followers[id] = follower
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.followers, id)
	}
}

// secretf writes a line that no log may keep.
func (c *console) secretf(format string, arguments ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	write(c.person, fmt.Sprintf(format, arguments...)+"\n")
}

// toLog has everything written to a log, too.
func (c *console) toLog(log io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = log
}

// onlyToLog says that nobody looks any more.
func (c *console) onlyToLog() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.person, c.stamped = nil, true
}

func write(w io.Writer, text string) {
	if w != nil {
		_, _ = io.WriteString(w, text)
	}
}

// The colors of a state: of the same length, so that columns stay straight.
const (
	plain  = "\x1b[39m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

var uncolored = strings.NewReplacer(plain, "", green, "", yellow, "", reset, "")

// paint colors text where the person can see colors.
func (c *console) paint(color, text string) string {
	if !c.color {
		return text
	}
	return color + text + reset
}

// row is a line of the table of processes.
type row struct {
	process, state, address string
	pid                     int // 0: not ours
	took                    time.Duration
}

// table writes the table of processes.
func (c *console) table(rows []row) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "SERVICE\t%s\tADDRESS\tPID\tTOOK\n", c.paint(plain, "STATE"))
	for _, r := range rows {
		pid, took := "-", "-"
		if r.pid != 0 {
			pid, took = fmt.Sprint(r.pid), seconds(r.took)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.process, c.paint(green, r.state), r.address, pid, took)
	}
	_ = w.Flush()
	for line := range strings.Lines(text.String()) {
		c.printf("%s", strings.TrimRight(line, " \n"))
	}
}

// seconds writes a duration for people.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
