package install_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/syntax"
)

// exception is a command that the documents tell people to type and that no test can
// type as it stands.
type exception struct {
	command string // how it begins, up to the end of a word
	why     string
	// instead tests what can be tested of a command that begins like that, wherever it
	// stands.
	instead func(t *testing.T, command string)
	// prints is what a command that goes on until it is stopped prints when it works.
	// In a block it is started, seen to print that, and ended by SIGTERM.
	prints *regexp.Regexp
}

// apart are all exceptions. One that no document needs fails TestDocuments.
var apart = []exception{
	{"./test.sh", "it runs this very test", optionsOfTestScript, nil},
	{"go test", "these tests run anyway; some are to run for long", testsExist, nil},
	{"go run ./bench/", "a bench measures for minutes", flagsExist, nil},
	{"python3 -m http.server", "its port is fixed; the test serves the folder at another one", nil, nil},
	{"cronagent run", "it stays", nil, regexp.MustCompile(`running`)},
	{"cronagent sandbox", "it stays", nil, regexp.MustCompile(`CRONAGENT_API_URL=http://127`)},
	{"cronagent logs import --follow", "it stays", nil, regexp.MustCompile(`imported 12 products`)},
}

func apartFrom(command string) *exception {
	for i, a := range apart {
		if rest, ok := strings.CutPrefix(command, a.command); ok && (rest == "" || strings.HasSuffix(a.command, "/") || strings.ContainsAny(rest[:1], " \n")) {
			return &apart[i]
		}
	}
	return nil
}

// words are those of a command, as a shell splits them. What a shell would put in
// their place stays as it is written.
func words(t *testing.T, command string) []string {
	t.Helper()
	var all []string
	for w, err := range syntax.NewParser().WordsSeq(strings.NewReader(command)) {
		require.NoError(t, err, command)
		var text strings.Builder
		syntax.Walk(w, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.Lit:
				text.WriteString(n.Value)
			case *syntax.SglQuoted:
				text.WriteString(n.Value)
			case *syntax.ParamExp:
				text.WriteString("$" + n.Param.Value)
				return false
			case *syntax.CmdSubst:
				text.WriteString("$()")
				return false
			}
			return true
		})
		all = append(all, text.String())
	}
	return all
}

func optionsOfTestScript(t *testing.T, command string) {
	t.Helper()
	script := read(t, "test.sh")
	for _, option := range words(t, command)[1:] {
		assert.True(t, strings.Contains(script, "\n"+option+")"), "%s: test.sh knows no %s", command, option)
	}
}

var testFunction = regexp.MustCompile(`^(Test|Fuzz|Benchmark|Example)`)

// testsExist: each alternative of -run, -fuzz and -bench matches a test of the packages.
func testsExist(t *testing.T, command string) {
	t.Helper()
	var packages, patterns []string
	all := words(t, command)[2:]
	for i := 0; i < len(all); i++ {
		name, value, given := strings.Cut(strings.TrimLeft(all[i], "-"), "=")
		switch {
		case strings.HasPrefix(all[i], "./"):
			packages = append(packages, strings.TrimPrefix(all[i], "./"))
			continue
		case name == "race" || name == "v" || name == "short":
			continue
		}
		require.True(t, strings.HasPrefix(all[i], "-"), "%s: what is %q?", command, all[i])
		if !given {
			i++
			require.Less(t, i, len(all), command)
			value = all[i]
		}
		switch name {
		case "run", "fuzz", "bench":
			patterns = append(patterns, strings.Split(value, "|")...)
		case "count", "fuzztime", "timeout", "benchtime", "parallel":
		default:
			t.Errorf("%s: what is -%s?", command, name)
		}
	}
	require.NotEmpty(t, packages, command)
	var found []string
	for _, p := range packages {
		folder, below := strings.CutSuffix(p, "...")
		require.DirExists(t, filepath.Join(".", folder), command)
		require.NoError(t, filepath.WalkDir(filepath.Join(".", folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() && !below && path != filepath.Clean(folder) {
				return cmp.Or(err, fs.SkipDir)
			}
			if !strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, declared := range file.Decls {
				if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil && testFunction.MatchString(f.Name.Name) {
					found = append(found, f.Name.Name)
				}
			}
			return nil
		}))
	}
	assert.NotEmpty(t, found, command)
	for _, pattern := range patterns {
		if pattern == "^$" {
			continue // no test but what -fuzz or -bench names
		}
		expression, err := regexp.Compile(strings.Split(pattern, "/")[0])
		require.NoError(t, err, command)
		matches := false
		for _, name := range found {
			matches = matches || expression.MatchString(name)
		}
		assert.True(t, matches, "%s: no test is called like %q", command, pattern)
	}
}

// flagsExist: the program builds, and its help has each flag.
func flagsExist(t *testing.T, command string) {
	t.Helper()
	all := words(t, command)
	require.DirExists(t, all[2], command)
	cmd := exec.Command("go", "run", all[2], "-h")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath -tags=nethttpomithttp2") // as dist.sh has compiled most of it
	help, _ := cmd.CombinedOutput()                                                             // ends with 2 or 0
	require.Contains(t, string(help), "Usage", command)
	for _, word := range all[3:] {
		if name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "="); strings.HasPrefix(word, "-") {
			known := regexp.MustCompile(`(?m)^ +-` + regexp.QuoteMeta(name) + `\b`).Match(help)
			assert.True(t, known, "%s: it has no -%s", command, name)
		}
	}
}
