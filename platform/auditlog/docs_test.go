package auditlog_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/encoding/protojson"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/platform/auditlog"
)

// block returns the first piece of code of a kind in the page about the record, after some words.
func block(t *testing.T, after, kind string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/audit.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), after)
	require.True(t, found, after)
	_, rest, found = strings.Cut(rest, "```"+kind+"\n")
	require.True(t, found, kind)
	code, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	return code
}

func TestTheCheckpointInTheDocs(t *testing.T) {
	t.Parallel()
	s := signer(t, "ashlar/audit", 'a')
	text, err := s.Sign(1042, tlog.RecordHash([]byte("docs/audit.md")))
	require.NoError(t, err)
	require.Equal(t, text, block(t, "empty line, and the signature", ""))
}

func TestTheExampleInTheDocs(t *testing.T) {
	t.Parallel()
	var e auditv1.Event
	require.NoError(t, protojson.Unmarshal([]byte(block(t, "An example to try", "json")), &e))
	hash := auditlog.LeafHash(&e)
	page, err := os.ReadFile("../../docs/audit.md")
	require.NoError(t, err)
	require.Contains(t, string(page), fmt.Sprintf("Its leaf has %d bytes, and the hash `%s`.", len(auditlog.Leaf(&e)), hex.EncodeToString(hash[:])))
}

// The program in the docs, which shares nothing with ours, computes the same.
func TestTheProgramInTheDocs(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "python3 is not on PATH, and in CI no test may be skipped")
		t.Skip("python3 is not on PATH")
	}
	program := block(t, "Compute it yourself", "python")
	text, err := os.ReadFile("testdata/leaves.json")
	require.NoError(t, err)
	var vectors map[string]struct {
		Event json.RawMessage `json:"event"`
	}
	require.NoError(t, json.Unmarshal(text, &vectors))
	var tree auditlog.Tree
	var lines bytes.Buffer
	for range 3 { // more than two levels, and not complete
		for _, vector := range vectors {
			var e auditv1.Event
			require.NoError(t, protojson.Unmarshal(vector.Event, &e))
			tree.Add(auditlog.LeafHash(&e))
			require.NoError(t, json.Compact(&lines, vector.Event))
			lines.WriteByte('\n')
		}
	}
	tree.Add(tlog.RecordHash(auditlog.Leaf(event(5))))
	last, err := protojson.Marshal(event(5))
	require.NoError(t, err)
	require.NoError(t, json.Compact(&lines, last))
	command := exec.CommandContext(t.Context(), python, "-c", program)
	command.Stdin = &lines
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, fmt.Sprintf("root %d %s\n", tree.Size(), tree.Root()), string(out))
}
