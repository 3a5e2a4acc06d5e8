package balance

import (
	"slices"
	"sync/atomic"
)

const (
	// retryCost is how many requests pay for one retry: a tenth of the load may be repetitions.
	retryCost = 10
	// maxSaved bounds what is saved up: a hundred retries at once.
	maxSaved = 100 * retryCost
	// firstSaved is what a service begins with.
	firstSaved = 10 * retryCost
)

// budget bounds how much of the load of a service is retries.
type budget struct{ spent atomic.Int64 } // below the start; the zero value begins with firstSaved

// deposit notes a request.
func (b *budget) deposit() {
	if spent := b.spent.Load(); spent > firstSaved-maxSaved {
		b.spent.CompareAndSwap(spent, spent-1) // one that is lost among many does not matter
	}
}

// retry tells whether a request that failed may be sent once more, and pays for it. Where there is no other instance, that
// costs nothing.
func (c *cluster) retry(tried *tried) bool {
	if tried.count == maxTries || !slices.ContainsFunc(c.current().endpoints, tried.wants) {
		return false
	}
	if c.budget.withdraw() {
		c.counts.retried.Add(1)
		return true
	}
	c.counts.denied.Add(1)
	return false
}

// withdraw pays for a retry, if it can be paid.
func (b *budget) withdraw() bool {
	for {
		spent := b.spent.Load()
		if spent > firstSaved-retryCost {
			return false
		}
		if b.spent.CompareAndSwap(spent, spent+retryCost) {
			return true
		}
	}
}
