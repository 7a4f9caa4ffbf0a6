package appconfig_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
)

// TestLayout: each byte of a text is found in the file, or it is said that it is not.
func TestLayout(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		yaml string // of x:
		ok   bool
	}{
		"plain":                   {"php bin/console # comment", true},
		"in single quotes":        {"'php ''x'' y'", true},
		"in double quotes":        {`"php \"x\" \\ y"`, true},
		"with an escape":          {`"php\tx"`, false},
		"on several lines":        {"php\n      x", false},
		"folded":                  {">\n    php\n    x", false},
		"a block":                 {"|\n    php x\n\n      php ü\n    end\n", true},
		"a block that is chomped": {"|-\n    php x\n    end", true},
		"a block that is kept":    {"|+\n    php x\n\n", true},
		"a block with its indent": {"|2 # comment\n      php x\n    y\n", true},
		"behind an anchor":        {"&a 'php x'", true},
		"a block behind a tag":    {"!!str |\n    php x\n", true},
	} {
		for _, variant := range []string{"", "\ufeff", "\r\n"} {
			text := "name: app\nü: 1\nx: " + c.yaml + "\n"
			if variant == "\r\n" {
				text = strings.ReplaceAll(text, "\n", "\r\n")
			} else {
				text = variant + text
			}
			root := tree(t, map[string]string{".platform.app.yaml": text})
			source, err := appconfig.ReadFile(filepath.Join(root, ".platform.app.yaml"))
			require.NoError(t, err, name)
			app, ok := source.Written("")
			require.True(t, ok)
			x, ok := app.Get("x")
			require.True(t, ok)
			value, ok := x.Text()
			require.True(t, ok)
			layout, ok := x.Layout()
			if !assert.Equal(t, c.ok, ok, "%s %q", name, variant) || !ok {
				continue
			}
			lines := strings.Split(text, "\n")
			for i := range len(value) {
				if b := text[layout.Offset(i)]; value[i] != '\n' {
					want := value[i]
					if (want == '"' || want == '\\') && strings.HasPrefix(c.yaml, `"`) {
						want = '\\'
					}
					assert.Equal(t, string(want), string(b), "%s %q byte %d", name, variant, i)
				}
				if i > 0 && value[i-1] != '\n' && value[i] != '\n' {
					continue
				}
				at := layout.Position(i)
				if value[i] != '\n' {
					assert.True(t, strings.HasPrefix(string([]rune(lines[at.Line-1])[at.Column-1:]), value[i:i+1]) || at.Line == 1, "%s %q byte %d: %v", name, variant, i, at)
				}
			}
		}
	}
}

func TestFindAll(t *testing.T) {
	t.Parallel()
	app := "name: x\ncrons: {}\n"
	root := tree(t, map[string]string{
		".git/HEAD": "", "a/.platform.app.yaml": app, "b/c/.platform.app.yaml": app, ".platform/applications.yaml": "d: { type: x }\n",
		".platform/local/builds/.platform.app.yaml": app, "node_modules/x/.platform.app.yaml": app, "e/.upsun/config.yaml": "applications: { f: { type: x } }\n",
		"vendor/y/.platform.app.yaml": app, "g/.upsun/README": "", "bad/.platform.app.yaml": "a: [\n",
	})
	sources, err := appconfig.FindAll(filepath.Join(root, "b"))
	require.ErrorContains(t, err, filepath.Join("bad", ".platform.app.yaml"))
	var names []string
	for _, s := range sources {
		names = append(names, s.Apps()...)
	}
	assert.ElementsMatch(t, []string{"x", "x", "d", "f"}, names)
	sources, err = appconfig.FindBelow(filepath.Join(root, "b"))
	require.NoError(t, err)
	assert.Len(t, sources, 1)
	_, err = appconfig.FindAll(tree(t, map[string]string{".git/HEAD": ""}))
	assert.ErrorContains(t, err, "no app configuration is in this repository")
}
