package database

import (
	"fmt"
	"strconv"
	"strings"

	"ashlar.dev/platform/dbstate"
	"ashlar.dev/platformctl/output"
)

// states are the states of several databases.
type states []dbstate.State

// Table implements output.Tabular.
func (s states) Table() output.Table {
	t := output.Table{Header: []string{"SERVICE", "STATE", "VERSION", "SIZE", "CONNECTIONS", "MIGRATIONS", "DATABASE"}}
	for _, each := range s {
		t.Rows = append(t.Rows, []string{each.Service, each.String(), version(each), size(each.Bytes), connections(each.Connections), migrations(each), each.Database})
	}
	return t
}

func version(s dbstate.State) string {
	if s.Version == 0 {
		return ""
	}
	return strconv.FormatInt(s.Version, 10)
}

// connections is how many there are, and may be.
func connections(c *dbstate.Connections) string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%d/%d", c.Open, c.Most)
}

// migrations names those that were just applied, those that are to be, and why none of them would help.
func migrations(s dbstate.State) string {
	var parts []string
	if len(s.Applied) > 0 {
		parts = append(parts, "applied "+strings.Join(s.Applied, ", "))
	}
	if len(s.Pending) > 0 {
		parts = append(parts, "pending "+strings.Join(s.Pending, ", "))
	}
	if s.Refusal != "" {
		parts = append(parts, s.Refusal)
	}
	return strings.Join(parts, "; ")
}

// size writes a number of bytes for people.
func size(bytes int64) string {
	const step = 1024
	if bytes < step {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes)/step, 0
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	for value >= step && unit < len(units)-1 {
		value /= step
		unit++
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}
