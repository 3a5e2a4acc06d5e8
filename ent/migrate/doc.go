// Package migrate brings a database to the schema of a binary: it applies the
// checked-in migrations of a service, in order, each once, also when many
// instances start at once.
//
// The migrations come as a file system with a folder per dialect, sqlite and
// postgres, of files in goose's format, as ashlar-ent diff writes them. There is
// no way back. Migrations add first (expand) and remove no sooner than a release
// later (contract), and a migration that removes says so in a comment (package
// directive). What it says is recorded in the database with it, so that a program
// of the release before, which does not have the file, can tell whether it can
// work with the schema. The package must not know a schema or a service.
package migrate
