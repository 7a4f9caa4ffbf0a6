package main

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDoctorsPage: docs/doctor.md has a section for each code, in the order of the
// lines, and none besides.
func TestDoctorsPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/doctor.md")
	require.NoError(t, err)
	var codes, explained []string
	for _, check := range checks {
		codes = append(codes, check.code)
	}
	codes = append(codes, codeLimit)
	for _, heading := range regexp.MustCompile("(?m)^## (.*)\n\n[A-Z]").FindAllStringSubmatch(string(page), -1) {
		explained = append(explained, heading[1])
	}
	for i := range codes {
		codes[i] = "`" + codes[i] + "`"
	}
	assert.Equal(t, codes, explained)
}

// TestClockOfDoctor: from when on a clock is worth a warning, and a problem.
func TestClockOfDoctor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ahead  time.Duration
		status string
	}{
		{0, isOK},
		{-30 * time.Second, isOK},
		{31 * time.Second, isWarning},
		{-31 * time.Second, isWarning},
		{299 * time.Second, isWarning},
		{300 * time.Second, isProblem},
		{-time.Hour, isProblem},
	} {
		assert.Equal(t, c.status, clockFinding(c.ahead, true).Status, c.ahead)
	}
	assert.Contains(t, clockFinding(-time.Minute, true).Message, "1m0s behind the platform's")
	assert.Equal(t, isWarning, clockFinding(0, false).Status)
}

// TestSlowAnswerOfDoctor: from when on an answer is worth a warning.
func TestSlowAnswerOfDoctor(t *testing.T) {
	t.Parallel()
	assert.Equal(t, isOK, answerFinding("https://api.example", 3*time.Second).Status)
	slow := answerFinding("https://api.example", 3001*time.Millisecond)
	assert.Equal(t, isWarning, slow.Status)
	assert.Contains(t, slow.Message, "it answered in 3001 ms, which is slow")
}

// TestDoctorSaysWhatItDidNotLookAt: when the time is over, that is a problem, with what
// is left.
func TestDoctorSaysWhatItDidNotLookAt(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	var out strings.Builder
	p := proc{calledAs: "cronagent", lookup: func(string) (string, bool) { return "", false }, stdout: &out, stderr: io.Discard, logs: io.Discard}
	err := p.doctor(over, configFlags{}, false)
	assert.Equal(t, codeError(exitFailed), err)
	assert.Regexp(t, `(?m)^problem  limit  30s are over; not looked at: binary, links, phase, path, .*, token; what to do: run it again`, out.String())
}

// TestDoctorsLinesAreProvoked: each problem and each warning that doctor's code can say
// is asked for by a script, or by a test of this file.
func TestDoctorsLinesAreProvoked(t *testing.T) {
	t.Parallel()
	var asked []string
	scripts, err := filepath.Glob("testdata/script/doctor*.txtar")
	require.NoError(t, err)
	for _, file := range append(scripts, "testdata/script/notify.txtar", "doctor_test.go") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			line = strings.ReplaceAll(strings.TrimSpace(line), `\`, "")
			if strings.HasPrefix(line, "stdout ") || strings.HasPrefix(line, "assert.Regexp") || strings.HasPrefix(line, "assert.Contains") {
				asked = append(asked, line)
			}
		}
	}
	sources, err := filepath.Glob("doctor*.go")
	require.NoError(t, err)
	said := 0
	for _, file := range sources {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name, ok := call.Fun.(*ast.Ident)
			if !ok || name.Name != "warning" && name.Name != "trouble" {
				return true
			}
			format := call.Args[2].(*ast.BasicLit)
			text, err := strconv.Unquote(format.Value)
			require.NoError(t, err)
			said++
			assert.True(t, slices.ContainsFunc(asked, func(line string) bool { return asksFor(line, text) }), "%s: nothing provokes %q", file, text)
			return true
		})
	}
	assert.Greater(t, said, 40)
}

// asksFor tells whether a line of a script, in which a dot stands for any character,
// has a good part of a text that is between its verbs. Texts that are all verb are
// passed on from elsewhere.
func asksFor(line, format string) bool {
	longest := ""
	for _, part := range regexp.MustCompile(`%[-+# 0-9.]*[a-z]`).Split(format, -1) {
		if len(part) > len(longest) {
			longest = part
		}
	}
	longest = strings.TrimSpace(longest)
	longest = longest[:min(len(longest), 20)]
	for i := range len(line) - len(longest) + 1 {
		fits := true
		for j := range len(longest) {
			fits = fits && (line[i+j] == longest[j] || line[i+j] == '.')
		}
		if fits {
			return true
		}
	}
	return false
}
