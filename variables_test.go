package install_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// prefixes begin the names of variables of the vendors' tools. The reference writes
// … for them.
var prefixes = []string{"PLATFORMSH_CLI_", "UPSUN_CLI_", "OVHCLOUD_WEBPAAS_CLI_"}

var (
	variableName = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)
	word         = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	givenName    = regexp.MustCompile(`^([A-Z][A-Z0-9_]*)=$`)
	// readers are the functions that read a variable by its name.
	readers = []string{"getenv", "lookup", "get"}
)

// variablesOf finds what variables the program reads, and which ones it gives to
// commands, in its source: every text that can only be the name of one, and what is
// read by a name of one word.
func variablesOf(t *testing.T) (read, given []string) {
	t.Helper()
	suffixes := map[string]bool{}
	for _, pattern := range []string{"cmd/cronagent/*.go", "internal/envdetect/*.go", "internal/platform/*.go", "internal/notify/*.go", "internal/runner/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range files {
			// The demo is a container, and makes its variables.
			if strings.HasSuffix(name, "_test.go") || filepath.Base(name) == "demo.go" {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BinaryExpr:
					if text := literal(n.Y); n.Op == token.ADD && isPrefix(n.X) && word.MatchString(text) {
						suffixes[text] = true
						return false
					}
				case *ast.CompositeLit: // of words in one list with a name, each is one
					var list []string
					named := false
					for _, e := range n.Elts {
						text := literal(e)
						named = named || variableName.MatchString(text)
						list = append(list, text)
					}
					for _, text := range list {
						if named && word.MatchString(text) {
							read = append(read, text)
						}
					}
				case *ast.CallExpr:
					if f, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains(readers, f.Sel.Name) && len(n.Args) == 1 {
						if text := literal(n.Args[0]); word.MatchString(text) {
							read = append(read, text)
						}
					}
				case *ast.BasicLit:
					text := literal(n)
					if found := givenName.FindStringSubmatch(text); found != nil && strings.HasPrefix(text, "CRONAGENT_") {
						given = append(given, found[1])
					}
					if variableName.MatchString(text) && !slices.Contains(prefixes, text) {
						read = append(read, text)
					}
				}
				return true
			})
		}
	}
	read = slices.DeleteFunc(read, func(name string) bool { return suffixes[name] })
	for suffix := range suffixes {
		for _, prefix := range prefixes {
			read = append(read, prefix+suffix)
		}
	}
	slices.Sort(read)
	slices.Sort(given)
	return slices.Compact(read), slices.Compact(given)
}

// isPrefix tells whether an expression is the prefix of a vendor's variables.
func isPrefix(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return e.Sel.Name == "Prefix"
	case *ast.Ident:
		return e.Name == "prefix"
	case *ast.CallExpr: // the name of a token's variable without its end
		f, ok := e.Fun.(*ast.SelectorExpr)
		return ok && f.Sel.Name == "TrimSuffix"
	}
	return false
}

func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return text
}

// documentedVariables are those that a part of the reference names in its first column,
// or anywhere if it is no table.
func documentedVariables(t *testing.T, part string) []string {
	t.Helper()
	_, after, ok := strings.Cut(read(t, "docs", "configuration.md"), "<!-- "+part+" -->\n")
	require.True(t, ok)
	text, _, ok := strings.Cut(after, "<!-- end -->")
	require.True(t, ok)
	var all []string
	for line := range strings.Lines(text) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			line = cells[1]
		} else if strings.HasPrefix(part, "variables") {
			continue
		}
		for _, found := range codeSpan.FindAllStringSubmatch(line, -1) {
			name := found[2]
			if suffix, ok := strings.CutPrefix(name, "…_CLI_"); ok {
				for _, prefix := range prefixes {
					all = append(all, prefix+suffix)
				}
				continue
			}
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// TestVariables: every variable that the program reads is in the reference, and every
// one that is there is read; likewise those that commands get, and the installer's.
func TestVariables(t *testing.T) {
	t.Parallel()
	readHere, given := variablesOf(t)
	assert.Equal(t, readHere, documentedVariables(t, "variables"))
	assert.Equal(t, given, documentedVariables(t, "given"))

	script, err := os.ReadFile("install.sh")
	require.NoError(t, err)
	var installer []string
	for _, found := range regexp.MustCompile(`\$\{(CRONAGENT_[A-Z0-9_]+)`).FindAllStringSubmatch(string(script), -1) {
		installer = append(installer, found[1])
	}
	slices.Sort(installer)
	assert.Equal(t, slices.Compact(installer), documentedVariables(t, "installer"))
}
