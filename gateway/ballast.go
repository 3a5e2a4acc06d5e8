package gateway

import "os"

// ballastBytes is added to what the garbage collector takes for the heap. What the gateway keeps is a few MiB, and each
// request leaves some KiB, so that without it the collector runs dozens of times a second; the process grows by as much
// at most.
const ballastBytes = 64 << 20

// ballast is never written, so that it is no memory of the machine's.
var ballast []byte //nolint:unused // to be there is all that it is for

// easeCollector lets the collector rest between its rounds, where nobody has told it anything.
func easeCollector() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		ballast = make([]byte, ballastBytes)
	}
}
