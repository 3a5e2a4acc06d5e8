package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"ashlar.dev/platform/home"
)

const (
	tailLines = 12
	tailBytes = 16 << 10
)

// rotate puts the log of the last run aside, in place of the one of the run before.
func rotate(path string) error {
	err := os.Rename(path, path+".1")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// tail returns the last lines that were written to a log after an offset, in a form for people.
func tail(path string, from int64) []string {
	file, err := os.Open(path)
	if err != nil {
		return []string{err.Error()}
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return []string{err.Error()}
	}
	start := max(from, info.Size()-tailBytes)
	content, err := io.ReadAll(io.NewSectionReader(file, start, info.Size()-start))
	if err != nil {
		return []string{err.Error()}
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	if start > from && len(lines) > 1 {
		lines = lines[1:] // begun before
	}
	lines = lines[max(0, len(lines)-tailLines):]
	for i, line := range lines {
		lines[i] = readable(line)
	}
	return lines
}

// readable turns a line of slog's JSON into level, message and the rest. Other lines stay as they are.
func readable(line string) string {
	var record map[string]any
	decoder := json.NewDecoder(bytes.NewReader([]byte(line)))
	decoder.UseNumber()
	if decoder.Decode(&record) != nil || record["msg"] == nil {
		return line
	}
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "%-5v %v", record["level"], record["msg"])
	for _, key := range slices.Sorted(maps.Keys(record)) {
		switch key {
		case "time", "level", "msg", "service", "instance":
		default:
			_, _ = fmt.Fprintf(&text, "  %s=%v", key, record[key])
		}
	}
	return text.String()
}

// logFile is the path of a process's log.
func logFile(h *home.Home, process string) string { return h.Path("logs", process+".log") }
