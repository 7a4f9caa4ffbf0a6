package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/sandbox"
)

// shownText is a message as docs/troubleshooting.md has it: a block of text below a
// heading. One heading may have several.
type shownText struct {
	heading string
	lines   []*regexp.Regexp
	shown   bool // a script has seen it
}

var spaces = regexp.MustCompile(` +`)

// textsIn finds the messages of a page. Where a message has an ellipsis anything may
// stand, and how wide a column is does not matter.
func textsIn(page string) (all []*shownText) {
	heading, inText := "", false
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "```text":
			inText = true
			all = append(all, &shownText{heading: heading})
		case strings.HasPrefix(line, "```"):
			inText = false
		case inText:
			pattern := regexp.QuoteMeta(strings.TrimSpace(spaces.ReplaceAllString(line, " ")))
			q := all[len(all)-1]
			q.lines = append(q.lines, regexp.MustCompile("^"+strings.ReplaceAll(pattern, "…", ".*")+"$"))
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimLeft(line, "# ")
		}
	}
	return all
}

// TestTroubleshooting provokes each symptom of docs/troubleshooting.md, and compares
// what is printed with what the page says that it is. Beside the commands of
// TestScripts there is
//
//	shown HEADING [N]   the last command printed the Nth text below that heading
//
// A text that no script shows is an error. $TLS is the fake platform with a certificate
// that nobody has signed, $CERTIFICATE the file that has it.
func TestTroubleshooting(t *testing.T) {
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	require.NoError(t, err)
	all := textsIn(string(page))
	require.Greater(t, len(all), 30)
	for _, section := range strings.Split(string(page), "\n### ")[1:] {
		section, _, _ = strings.Cut(section, "\n## ")
		name, rest, _ := strings.Cut(section, "\n")
		assert.Regexp(t, `Mended\s+when|Nothing\s+to\s+do`, rest, "%s: how does one know that it is mended?", name)
	}
	var mu sync.Mutex
	t.Cleanup(func() {
		if t.Failed() {
			return // a script did not come to its end
		}
		for _, q := range all {
			assert.True(t, q.shown, "%s: no script shows %s", q.heading, q.lines)
		}
	})
	p := scripts("troubleshooting", func(env *testscript.Env) error {
		if err := container(env); err != nil {
			return err
		}
		server := sandbox.New(sandbox.Options{Token: apiToken})
		url, certificate, err := server.StartTLS()
		if err != nil {
			return err
		}
		env.Defer(func() { server.Close() })
		file := filepath.Join(env.WorkDir, "certificate.pem")
		env.Vars = append(env.Vars, "TLS="+url, "CERTIFICATE="+file)
		return os.WriteFile(file, certificate, 0o600)
	})
	p.Cmds["shown"] = func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 1 || len(args) > 2 {
			ts.Fatalf("usage: shown HEADING [N]")
		}
		n := 1
		if len(args) > 1 {
			n = int(args[1][0] - '0')
		}
		mu.Lock()
		defer mu.Unlock()
		for _, q := range all {
			if q.heading != args[0] {
				continue
			}
			if n--; n > 0 {
				continue
			}
			printed := strings.ReplaceAll(ts.ReadFile("stdout")+ts.ReadFile("stderr"), strings.TrimPrefix(ts.Getenv("CRONAGENT_AUTH_URL"), "http://"), "api.upsun.com")
			for _, line := range q.lines {
				if !printedLine(printed, line) {
					ts.Fatalf("docs/troubleshooting.md, %s: %s is not in\n%s", q.heading, line, printed)
				}
			}
			q.shown = true
			return
		}
		ts.Fatalf("docs/troubleshooting.md has no such text below %q", args[0])
	}
	testscript.RunT(searched{T: t, dir: "troubleshooting"}, p)
}

func printedLine(printed string, want *regexp.Regexp) bool {
	for line := range strings.Lines(printed) {
		if want.MatchString(strings.TrimSpace(spaces.ReplaceAllString(line, " "))) {
			return true
		}
	}
	return false
}
