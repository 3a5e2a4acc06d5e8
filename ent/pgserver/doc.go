// Package pgserver starts a PostgreSQL of its own from the binaries of the
// machine, for tests and for computing migrations.
//
// The server listens on a unix socket in a temporary folder and nowhere else,
// asks for a password, and trades durability for speed (fsync is off, unless it is
// to be durable): what it has committed survives a crash of its process, because
// the operating system has it, and not one of the machine. It ends with the process that started it,
// also when that one is killed. The package imports the standard library only,
// and must not know a service or a schema.
package pgserver
