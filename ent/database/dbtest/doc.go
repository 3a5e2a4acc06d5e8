// Package dbtest gives tests real databases: SQLite files, and databases of a
// PostgreSQL server that the test binary starts once, from the binaries of the
// machine.
package dbtest
