// Package discoverytest holds every registry to the same behavior: one suite, run by the tests of each implementation.
package discoverytest
