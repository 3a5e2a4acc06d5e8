// Package provision makes the database of a platform on PostgreSQL such that the server itself keeps its services apart:
// a role and a schema for each, a password that only that service's file holds, and no rights for anybody else.
//
// What it does to the server is one script of SQL, [Plan.SQL], which an administrator can read and run instead. Passwords
// are not in it: they are set afterwards, as verifiers that the client computes. It may be run as often as one likes.
//
// The package must not know a schema, and not open a database for anything else: it links no database engine.
package provision
