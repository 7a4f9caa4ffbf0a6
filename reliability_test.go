package install_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var testName = regexp.MustCompile(`^(?:Test|Fuzz)[A-Z]\w*$`)

// TestNamedTests: the documents say by which tests a promise is held. There are such
// tests.
func TestNamedTests(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declared := range file.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil {
				there[f.Name.Name] = true
			}
		}
		return nil
	}))
	named := 0
	for _, d := range documents(t) {
		for _, s := range d.spans() {
			if testName.MatchString(s.text) {
				named++
				assert.True(t, there[s.text], "%s:%d: there is no %s", d.name, s.line, s.text)
			}
		}
	}
	assert.Greater(t, named, 40)
}
