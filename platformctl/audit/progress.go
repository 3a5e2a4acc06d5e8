package audit

import (
	"fmt"
	"io"

	"ashlar.dev/platformctl/output"
)

// progress tells a person on a terminal how far it is.
type progress struct {
	out   io.Writer // nil: nobody looks
	total int64
}

func newProgress(out io.Writer, total int64) *progress {
	if !output.IsTerminal(out) {
		return &progress{}
	}
	return &progress{out, total}
}

func (p *progress) at(n int64) {
	if p.out != nil {
		fmt.Fprintf(p.out, "\rverifying: %d of %d events", n, p.total)
	}
}

// end clears the line.
func (p *progress) end() {
	if p.out != nil {
		fmt.Fprint(p.out, "\r\033[K")
	}
}
