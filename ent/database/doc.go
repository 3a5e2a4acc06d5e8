// Package database opens the database of a service, SQLite or PostgreSQL, from
// its address, with the settings that the platform relies on, and runs
// transactions on it.
//
// It must not know a schema or a service: those come with the ent client that a
// service makes from [Database.Driver].
package database
