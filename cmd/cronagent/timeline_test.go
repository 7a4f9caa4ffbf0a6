package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/timeline"
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

// TestTimelineJSON: the page names every field, and no other.
func TestTimelineJSON(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "timeline.md"))
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(page), "## As JSON")
	section, _, _ = strings.Cut(section, "## ")
	documented := map[string]bool{}
	for _, code := range regexp.MustCompile("`[^`]+`").FindAllString(section, -1) {
		for _, word := range regexp.MustCompile(`[a-z_]+`).FindAllString(code, -1) {
			documented[word] = true
		}
	}
	delete(documented, "json") // the option
	fields := map[string]bool{}
	var walk func(reflect.Type)
	walk = func(v reflect.Type) {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || v == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			f := v.Field(i)
			if name := f.Tag.Get("json"); name != "" && name != "-" {
				fields[name] = true
			}
			if f.IsExported() && f.Tag.Get("json") != "-" {
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[timeline.Picture]())
	assert.Equal(t, fields, documented)
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
