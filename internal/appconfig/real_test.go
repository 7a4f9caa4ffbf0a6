package appconfig_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
)

// realCrons names a directory of crons: blocks from public repositories, each
// with its origin on the first line, as deep or as commented out as it stood there.
const realCrons = "CRONAGENT_REAL_CRONS"

// asMeant takes a block out of its place: without the comment marks of a block
// that is commented out as a whole, and without what all lines are indented by.
func asMeant(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")[1:]
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "crons:") }) {
		mark := regexp.MustCompile(`^ *# ?`)
		var kept []string
		begun := false
		for _, l := range lines {
			bare := mark.ReplaceAllString(l, "")
			if begun = begun || strings.HasPrefix(bare, "crons:"); begun {
				kept = append(kept, bare)
			}
		}
		// "#crons:" and "#  auto:" differ in whether a blank follows the mark.
		if len(kept) > 1 && !strings.HasPrefix(kept[1], " ") {
			for i := range kept[1:] {
				kept[i+1] = " " + kept[i+1]
			}
		}
		return strings.Join(kept, "\n") + "\n"
	}
	indent := len(lines[0]) - len(strings.TrimLeft(lines[0], " "))
	for i, l := range lines {
		lines[i] = l[min(indent, len(l)-len(strings.TrimLeft(l, " "))):]
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestRealCrons(t *testing.T) {
	t.Parallel()
	dir := os.Getenv(realCrons)
	if dir == "" {
		t.Skipf("%s names no directory of real crons", realCrons)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	specLine := regexp.MustCompile(`^\s*spec: *["']?([^"'#]*?)["']?\s*$`)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			text := asMeant(string(data))
			origin, _, _ := strings.Cut(string(data), "\n")
			root := tree(t, map[string]string{".platform.app.yaml": text, "index_external_sites.sh": "./index\n"})
			app, err := readApp(t, filepath.Join(root, ".platform.app.yaml"), "")

			if strings.Contains(origin, "not valid YAML") {
				assert.Equal(t, []string{"3:11: the spec * * * * * is not in quotes; without them * begins a YAML alias | write spec: '* * * * *'"}, problems(t, err))
				return
			}
			require.NoError(t, err, "%s", text)
			require.NoError(t, app.Problem)
			var want, got []string
			for line := range strings.Lines(text) {
				if m := specLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
					want = append(want, m[1])
				}
			}
			for _, c := range app.Crons {
				require.NoError(t, c.Problem, c.Name)
				assert.Equal(t, appconfig.Platform, c.Scheduler)
				assert.NotNil(t, c.Schedule)
				assert.NotEmpty(t, c.Start)
				got = append(got, c.Spec)
				if strings.Contains(origin, "!include") {
					assert.Equal(t, "./index\n", c.Start)
				}
			}
			assert.NotEmpty(t, want)
			assert.Equal(t, want, got, "every cron that its author wrote, in that order")

			// And each works below variables.cronagent.crons as it is.
			moved := "variables:\n  cronagent:\n    " + strings.ReplaceAll(text, "\n", "\n    ") + "\n"
			require.NoError(t, os.WriteFile(filepath.Join(root, ".platform.app.yaml"), []byte(moved), 0o600))
			agent, err := readApp(t, filepath.Join(root, ".platform.app.yaml"), "")
			require.NoError(t, err, "%s", moved)
			require.Len(t, agent.Crons, len(app.Crons))
			for i, c := range agent.Crons {
				assert.Equal(t, []string{app.Crons[i].Name, app.Crons[i].Spec, app.Crons[i].Start}, []string{c.Name, c.Spec, c.Start})
			}
		})
	}
}
