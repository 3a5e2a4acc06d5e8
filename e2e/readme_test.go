package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const readme = "README.md"

// What the README says and no test may use: where its reader's platform is.
const (
	readmeGateway = "http://127.0.0.1:8080"
	readmeHome    = ".ashlar/"
)

// block is a fenced block of a page.
type block struct {
	language, text string
}

// walk returns the fenced blocks of the README after "## A walk", word for word but for two strings: where the gateway
// is, and the folder where the platform keeps its files.
func walk(t testing.TB, gateway, home string) []block {
	t.Helper()
	blocks := section(t, readme, "A walk")
	replaced := strings.NewReplacer(readmeGateway, gateway, readmeHome, home+"/")
	for i := range blocks {
		blocks[i].text = replaced.Replace(blocks[i].text)
	}
	return blocks
}

// section returns the fenced blocks of a section of a page.
func section(t testing.TB, page, title string) []block {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, page))
	require.NoError(t, err)
	_, text, found := strings.Cut(string(content), "\n## "+title+"\n")
	require.True(t, found, "%s has no section `## %s`", page, title)
	text, _, _ = strings.Cut(text, "\n## ")
	var blocks []block
	for {
		_, rest, found := strings.Cut(text, "\n```")
		if !found {
			break
		}
		head, inside, _ := strings.Cut(rest, "\n")
		inside, text, found = strings.Cut(inside, "\n```")
		require.True(t, found, "a block of %s does not end", page)
		blocks = append(blocks, block{language: head, text: inside + "\n"})
	}
	require.NotEmpty(t, blocks)
	return blocks
}

// inLanguage returns the blocks in a language.
func inLanguage(blocks []block, language string) []string {
	var texts []string
	for _, b := range blocks {
		if b.language == language {
			texts = append(texts, b.text)
		}
	}
	return texts
}
