// Package migrate brings a database to the schema of a binary: it applies the
// checked-in migrations of a service, in order, each once, also when many
// instances start at once.
//
// The migrations come as a file system with a folder per dialect, sqlite and
// postgres, of files in goose's format, as ashlar-ent diff writes them. There is
// no way back. Instances of the release before keep running on the new schema,
// since migrations add first (expand) and remove no sooner than a release later
// (contract); they do not start on it. The package must not know a schema or a
// service.
package migrate
