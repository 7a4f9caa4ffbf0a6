package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestManualPages: there is a page for each of our commands and one for those of the
// platform CLI. Each has every section, every flag and every example of its help, is
// made of the same bytes each time, and is what a strict reader of such pages takes.
func TestManualPages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "man")
	build := exec.Command("go", "build", "-tags", "man,nethttpomithttp2", "-trimpath", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // all as in dist.sh: what it compiles serves both
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, folder := range []string{"first", "second"} {
		out, err = exec.Command(program, filepath.Join(dir, folder)).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	files, err := filepath.Glob(filepath.Join(dir, "first", "*"))
	require.NoError(t, err)
	pages := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		again, err := os.ReadFile(filepath.Join(dir, "second", filepath.Base(file)))
		require.NoError(t, err)
		assert.Equal(t, string(text), string(again))
		pages[filepath.Base(file)] = string(text)
	}

	root := newRoot(proc{args: []string{"help"}})
	root.InitDefaultHelpCmd()
	want := map[string][]*cobra.Command{"cronagent.1": {root}}
	for _, cmd := range root.Commands() {
		page := "cronagent-platform.1"
		if cmd.GroupID != platformGroup {
			page = "cronagent-" + cmd.Name() + ".1"
		}
		want[page] = append(want[page], allCommands(cmd)...)
	}
	plain := strings.NewReplacer(`\-`, "-", `\(aq`, "'", `\(dq`, `"`, `\(ga`, "`", `\(ha`, "^", `\(ti`, "~", `\e`, `\`, `\&`, "")
	for name, commands := range want {
		page, ok := pages[name]
		require.True(t, ok, "there is no page %s", name)
		for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"} {
			assert.Contains(t, page, "\n.SH "+section+"\n", "%s has no %s", name, section)
		}
		text := plain.Replace(page)
		for _, cmd := range commands {
			cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if !f.Hidden {
					assert.Contains(t, text, `\fB--`+f.Name+`\fR`, "%s does not have --%s of %s", name, f.Name, cmd.CommandPath())
				}
			})
			assert.Contains(t, text, cmd.Example, "%s does not have the examples of %s", name, cmd.CommandPath())
		}
	}
	assert.Len(t, pages, len(want), "there are pages of nothing")

	reference, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	_, variables, _ := strings.Cut(string(reference), "\n### That you set\n")
	variables, _, _ = strings.Cut(variables, "\n### ")
	found := regexp.MustCompile("`([A-Z]+(?:_[A-Z]+)*)`").FindAllStringSubmatch(variables, -1)
	assert.Greater(t, len(found), 15)
	for _, variable := range found {
		assert.Contains(t, plain.Replace(pages["cronagent.1"]), variable[1], "docs/configuration.md has a variable that the page does not have")
	}

	// A page without a date is the same on any day.
	lint, _ := exec.Command("mandoc", append([]string{"-Tlint", "-Wwarning"}, files...)...).CombinedOutput()
	for line := range strings.Lines(string(lint)) {
		assert.Contains(t, line, `missing date, using ""`, "mandoc")
	}
	assert.Equal(t, len(files), strings.Count(string(lint), "\n"), "mandoc has looked at each")
}
