package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shownBlock is a command and what it prints.
var shownBlock = regexp.MustCompile("(?s)```sh\ncronagent ([^\n]*)\n```\n\n```text\n(.*?)```")

// TestTimelineDocument: the page shows what its command prints. UPDATE_DOCS=1 writes it.
func TestTimelineDocument(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	file := filepath.Join("docs", "timeline.md")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	blocks := 0
	got := shownBlock.ReplaceAllStringFunc(string(text), func(block string) string {
		blocks++
		command := shownBlock.FindStringSubmatch(block)[1]
		var stdout, stderr strings.Builder
		variables := map[string]string{"LANG": "C.UTF-8", "CRONAGENT_STATE_DIR": t.TempDir(), "COLUMNS": "72"}
		code := run(t.Context(), proc{
			calledAs: "cronagent", args: strings.Fields(command), stdout: &stdout, stderr: &stderr, logs: &stderr,
			lookup:  func(name string) (string, bool) { value, ok := variables[name]; return value, ok },
			environ: func() []string { return nil },
		})
		require.Zero(t, code, stderr.String())
		require.Empty(t, stderr.String())
		return "```sh\ncronagent " + command + "\n```\n\n```text\n" + stdout.String() + "```"
	})
	require.Equal(t, 1, blocks)
	if os.Getenv("UPDATE_DOCS") != "" {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	assert.Equal(t, string(text), got, "run the test with UPDATE_DOCS=1")
}

// TestScreen: what a terminal can show is taken from the locale as POSIX has it.
func TestScreen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		all, ctype, lang string
		unicode          bool
	}{
		{"", "", "", false}, {"", "", "C", false}, {"", "", "POSIX", false}, {"", "", "en_US.ISO-8859-1", false},
		{"", "", "C.UTF-8", true}, {"", "", "de_DE.utf8", true}, {"", "C", "C.UTF-8", false}, {"", "C.UTF-8", "C", true}, {"C", "C.UTF-8", "C.UTF-8", false},
	} {
		p := proc{lookup: func(name string) (string, bool) {
			return map[string]string{"LC_ALL": c.all, "LC_CTYPE": c.ctype, "LANG": c.lang}[name], true
		}}
		assert.Equal(t, c.unicode, p.unicode(), c)
	}
	p := proc{lookup: func(name string) (string, bool) {
		return map[string]string{"COLUMNS": "100"}[name], name == "COLUMNS"
	}}
	assert.False(t, p.screenOn(os.Stderr).colors, "TERM is not set")
	assert.Equal(t, 90, p.width(90))
}
