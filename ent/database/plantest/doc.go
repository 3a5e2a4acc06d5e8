// Package plantest finds out what the queries of a store cost when its tables
// are large: it fills them, has the store called, and looks at how the database
// answers each statement that was really sent.
package plantest
