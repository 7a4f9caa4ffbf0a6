package check_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/check"
)

const pages = "../../docs/checks"

var example = regexp.MustCompile("(?s)(Bad|Good):\n\n```yaml\n(.*?)```")

// TestPages: each rule has a page that says what the table says, with a bad example
// that is reported and a good one that is not; and the index lists them.
// UPDATE_DOCS=1 writes the index.
func TestPages(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(pages, "*.md"))
	require.NoError(t, err)
	for _, file := range files {
		code := strings.TrimSuffix(filepath.Base(file), ".md")
		assert.True(t, code == "README" || check.ByCode(code) != nil, "%s is the page of no rule", file)
	}
	index := "| code | severity | finds | `--fix` |\n| --- | --- | --- | --- |\n"
	for _, rule := range check.Rules {
		fix := map[bool]string{true: "yes"}[rule.Fixes]
		index += "| [`" + rule.Code + "`](" + rule.Code + ".md) | " + string(rule.Severity) + " | " + strings.ReplaceAll(rule.What, "|", `\|`) + " | " + fix + " |\n"
		text, err := os.ReadFile(filepath.Join(pages, rule.Code+".md"))
		if !assert.NoError(t, err) {
			continue
		}
		page := string(text)
		assert.True(t, strings.HasPrefix(page, "# "+rule.Code+"\n\n*"+string(rule.Severity)+"*: "), rule.Code)
		words := strings.Join(strings.Fields(page), " ")
		assert.Contains(t, words, ": "+rule.What+".", rule.Code)
		assert.Equal(t, rule.Fixes, strings.Contains(words, "`cronagent check --fix` rewrites it"), rule.Code)
		var opts check.Options
		for _, plan := range check.Plans() {
			if strings.Contains(page, "`--plan "+plan.Name+"`") {
				opts.Plan = plan
			}
		}
		examples := example.FindAllStringSubmatch(page, -1)
		require.Len(t, examples, 2, rule.Code)
		for _, e := range examples {
			text := "name: app\ntype: 'php:8.3'\n" + e[2]
			if strings.HasPrefix(e[2], "applications:") {
				text = "-- .upsun/config.yaml --\n" + e[2]
			}
			reported := false
			for _, f := range found(t, text, opts) {
				reported = reported || f.Code == rule.Code
				if e[1] == "Good" {
					assert.Equal(t, check.Notice, f.Severity, "%s: the good example has %+v", rule.Code, f)
				}
			}
			assert.Equal(t, e[1] == "Bad", reported, "%s: %s", rule.Code, e[1])
		}
	}
	const begin, end = "<!-- rules -->\n", "<!-- end of rules -->\n"
	text, err := os.ReadFile(filepath.Join(pages, "README.md"))
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	want := before + begin + index + end + after
	if os.Getenv("UPDATE_DOCS") != "" {
		require.NoError(t, os.WriteFile(filepath.Join(pages, "README.md"), []byte(want), 0o644))
		return
	}
	assert.Equal(t, want, string(text), "run the test with UPDATE_DOCS=1")
}
