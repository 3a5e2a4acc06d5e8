package main

import (
	"ashlar.dev/platform/service"
	"ashlar.dev/services/notes"
)

// modules are the services of this repository beside the core ones: one import and one line each.
var modules = []service.Module{
	notes.Module(),
}
