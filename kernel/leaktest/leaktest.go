// Package leaktest looks for goroutines that tests have left behind, with goleak, which waits less than half a second for the
// last ones to end. A machine that has much else to do takes longer, and so do libraries that sleep before they see that they
// were closed.
package leaktest

import (
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines have to end.
const patience = 10 * time.Second

// Main runs the tests of a package, and ends the process. It fails where they have left goroutines behind.
func Main(m goleak.TestingM) { goleak.VerifyTestMain(patient{m}) }

// patient waits after the tests until nothing is left; what is left then is for goleak to tell.
type patient struct{ goleak.TestingM }

// Run implements goleak.TestingM.
func (p patient) Run() int {
	code := p.TestingM.Run()
	if code == 0 {
		_ = Find()
	}
	return code
}

// Find returns an error that names the goroutines that are left beside the caller's, once they have had their time to end.
func Find(options ...goleak.Option) error {
	err := goleak.Find(options...)
	for begun := time.Now(); err != nil && time.Since(begun) < patience; {
		err = goleak.Find(options...) // waits itself
	}
	return err
}
