package pattern

import "testing"

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		pattern, other string
		want           bool
	}{
		{"*", "notes.note.read", true},
		{"*", "*", true},
		{"notes.*", "notes.note.read", true},
		{"notes.*", "notes.note.*", true},
		{"notes.*", "notes.*", true},
		{"notes.*", "*", false},
		{"notes.*", "notesarchive.note.read", false},
		{"notes.note.*", "notes.note.read", true},
		{"notes.note.*", "notes.notebook.read", false},
		{"notes.note.*", "notes.*", false},
		{"notes.note.read", "notes.note.read", true},
		{"notes.note.read", "notes.note.write", false},
		{"notes.note.read", "notes.note.*", false},
		{"", "notes.note.read", false},
		{"note*", "notes.note.read", false},
	} {
		if got := Covers(c.pattern, c.other); got != c.want {
			t.Errorf("Covers(%q, %q) = %t, want %t", c.pattern, c.other, got, c.want)
		}
	}
}
