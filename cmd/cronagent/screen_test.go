package main

import (
	"encoding/base64"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/sandbox"
	"github.com/cronagent/cronagent/internal/terminal"
)

const screenApp = `{"name": "app", "type": "php:8.4", "timezone": "Europe/Paris",
 "crons": {
  "wake": {"spec": "*/5 * * * *", "commands": {"start": "/app/.platformsh/bin/cronagent tick"}},
  "night": {"spec": "H 1 * * *", "commands": {"start": "if [ \"$PLATFORM_ENVIRONMENT_TYPE\" = production ]; then php bin/console app:night:clean --all --older-than='7 days' && php bin/console cache:warmup --env=prod; fi"}}},
 "variables": {"cronagent": {"crons": {
  "backup": {"spec": "26 5 * * *", "fire": "backup:create"},
  "import-of-the-prices": {"spec": "17,47 8-18 * * mon-fri", "commands": {"start": "php bin/console app:import:prices --source=https://prices.example.com/feeds/all.xml --limit 1000 && php bin/console app:index"}},
  "off": {"spec": "0 4 * * *", "commands": {"start": "true"}, "enabled": false}}}}}`

const screenLedger = `{"event":"begin","project":"abcdefgh1234567","environment":"main","app":"app","cron":"backup","at":"2026-01-01T12:00:00Z"}
{"event":"run","id":"run000000000004","project":"abcdefgh1234567","environment":"main","app":"app","cron":"import-of-the-prices","operation":"","outcome":"failed","reason":"","due":"2026-01-04T03:00:00Z","until":null,"count":1,"started":"2026-01-04T03:00:00Z","ended":"2026-01-04T03:00:01Z","attempts":2,"next_try":null,"activities":[],"exit_code":7,"error":"exit code 7 after the server of the prices had closed the connection for the third time in a row","output":"connecting\n"}
{"event":"run","id":"run000000000007","project":"abcdefgh1234567","environment":"main","app":"app","cron":"","operation":"environment:redeploy","outcome":"uncertain","reason":"","due":null,"until":null,"count":1,"started":"2026-01-05T04:00:00Z","ended":"2026-01-05T04:00:30Z","attempts":1,"next_try":null,"activities":[],"exit_code":6,"error":"the connection broke","output":""}
{"event":"run","id":"run000000000009","project":"abcdefgh1234567","environment":"main","app":"app","cron":"backup","operation":"backup:create","outcome":"fired","reason":"","due":"2026-01-05T04:26:00Z","until":null,"count":1,"started":"2026-01-05T04:26:01.0Z","ended":"2026-01-05T04:26:01.4Z","attempts":1,"next_try":null,"activities":[{"id":"act1","type":"environment.backup","state":"in_progress","result":""}],"pending":true,"exit_code":0,"error":"","output":""}
`

// listings are the commands that print something for people.
var listings = []string{
	"", "list", "next --count 2", "status", "status import-of-the-prices backup", "logs", "env", "doctor", "explain night", "explain import-of-the-prices",
	"check", "tick --dry-run --from 2027-01-04 --to 2027-01-06", "timeline",
	"activity:list", "backup:list", "environment:list", "environment:info", "project:info", "variable:list", "source-operation:list",
}

// whole is what is long in some of them.
var whole = map[string][]string{
	"list":                         {"app:import:prices --source=https://prices.example.com/feeds/all.xml --limit 1000; php bin/console app:index"},
	"status":                       {"exit code 7 after the server of the prices had closed the connection for the third time in a row"},
	"explain import-of-the-prices": {"app:import:prices --source=https://prices.example.com/feeds/all.xml --limit 1000; php bin/console app:index"},
	"check":                        {"it has no timeout, and may take up to 1 day, and tick, which waits for it, is due every 5 minutes: until then nothing else of the app runs [long-under-tick]"},
}

// box is a container beside a fake platform, in which commands are typed.
type box struct {
	t    *testing.T
	dir  string
	vars []string
}

func newBox(t *testing.T) *box {
	server := sandbox.New(sandbox.Options{})
	url, err := server.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	for range 2 {
		require.NoError(t, server.Happen(sandbox.Event{By: sandbox.DefaultUser}))
	}
	b := &box{t: t, dir: t.TempDir()}
	state := filepath.Join(b.dir, "state")
	require.NoError(t, os.Mkdir(state, 0o700))
	ledger := filepath.Join(state, "ledger.jsonl")
	require.NoError(t, os.WriteFile(ledger, []byte(screenLedger), 0o600))
	long := time.Now().Add(-20 * 24 * time.Hour) // "20d ago" stays so for a while
	require.NoError(t, os.Chtimes(ledger, long, long))
	b.vars = []string{endsSoon,
		"PLATFORM_PROJECT=" + sandbox.DefaultProject, "PLATFORM_BRANCH=main", "PLATFORM_ENVIRONMENT_TYPE=production",
		"PLATFORM_APPLICATION_NAME=app", "PLATFORM_APP_DIR=" + b.dir, "PLATFORMSH_CLI_TOKEN=" + sandbox.DefaultToken,
		"PLATFORM_APPLICATION=" + base64.StdEncoding.EncodeToString([]byte(screenApp)),
		"CRONAGENT_API_URL=" + url, "CRONAGENT_AUTH_URL=" + url, "CRONAGENT_STATE_DIR=" + state, "PATH=/usr/bin:/bin",
	}
	for _, v := range []string{"env:FIRST_OF_THE_VARIABLES", "second"} {
		_, out := b.types("variable:create "+v+" -l e --value one-value-that-is-long-enough-to-need-a-line", 0)
		require.Contains(t, out, "one-value")
	}
	return b
}

// types runs a command and returns what came on standard output, which is a pipe, or a
// terminal of so many columns. What came on the other stream, a pipe always, is errors.
func (b *box) types(line string, columns uint16, more ...string) (errors, out string) {
	b.t.Helper()
	self, err := os.Executable()
	require.NoError(b.t, err)
	cmd := exec.Command(self, strings.Fields(line)...)
	cmd.Args[0], cmd.Dir, cmd.Env = "cronagent", b.dir, append(slices.Clone(b.vars), more...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if columns == 0 {
		var stdout strings.Builder
		cmd.Stdout = &stdout
		_ = cmd.Run() // doctor and check find something
		return stderr.String(), stdout.String()
	}
	ours, terminal := openTerminal(b.t, columns)
	cmd.Stdout = terminal
	require.NoError(b.t, cmd.Start())
	require.NoError(b.t, terminal.Close())
	all := b.readAll(ours)
	_ = cmd.Wait()
	return stderr.String(), all
}

// readAll reads what comes out of a terminal until nobody has it open any more.
func (b *box) readAll(ours *os.File) string {
	var all strings.Builder
	if _, err := io.Copy(&all, ours); err != nil {
		assert.True(b.t, errors.Is(err, syscall.EIO), "%v", err)
	}
	return strings.ReplaceAll(all.String(), "\r\n", "\n")
}

// TestListingsFitTheTerminal: no line is wider than the terminal, and what a pipe gets,
// each thing on one line however long it is, is all there.
func TestListingsFitTheTerminal(t *testing.T) {
	t.Parallel()
	for _, line := range listings {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			types := func(columns uint16) string {
				_, out := b.types(line, columns)
				if line == "doctor" { // it measures
					out = withoutDigits(out)
				}
				return out
			}
			piped := types(0)
			for piped == "" { // the backup is still being made
				piped = types(0)
			}
			for _, columns := range []uint16{60, 80, 200} {
				shown := types(columns)
				for again := types(0); again != piped; again = types(0) { // a minute began in between
					piped, shown = again, types(columns)
				}
				require.NotEmpty(t, piped)
				for _, text := range whole[line] {
					assert.Contains(t, piped, text, "a pipe gets all of it on one line")
				}
				for row := range strings.Lines(shown) {
					assert.LessOrEqual(t, terminal.Width(strings.TrimSuffix(row, "\n")), int(columns), row)
				}
				if line == "timeline" { // it draws as much as there is room for
					continue
				}
				have := map[rune]int{}
				for _, r := range shown {
					have[r]++
				}
				for _, r := range withoutFrames(piped) {
					have[r]--
					assert.GreaterOrEqual(t, have[r], 0, "%q is lost at %d columns:\n%s\n%s", r, columns, shown, piped)
				}
			}
		})
	}
}

func withoutDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// withoutFrames is a text without blanks and what tables are drawn with.
func withoutFrames(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("+-| \n", r) {
			return -1
		}
		return r
	}, text)
}

// TestPlainWhereItMustBe: in a pipe, on a terminal that takes no colours, and for who
// wants none, there are no escapes; and where the locale has no other characters, there
// are only ASCII ones. Help is no exception.
func TestPlainWhereItMustBe(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	lines := slices.Concat(listings, []string{"help", "version", "nosuch", "backup:create --help", "pause --for 2h", "resume", "fire backup:create --dry-run", "check --format github"})
	var helps []string
	for _, cmd := range newRoot(proc{args: []string{"help"}}).Commands() {
		if !strings.Contains(cmd.Name(), ":") {
			helps = append(helps, cmd.Name()+" --help")
		}
	}
	for _, c := range []struct {
		name    string
		columns uint16
		helps   bool // which know no more of a stream than whether it is a terminal
		vars    []string
	}{
		{"a pipe", 0, true, []string{"LANG=C", "TERM=xterm"}},
		{"a pipe, no locale", 0, false, []string{"TERM=xterm"}},
		{"a dumb terminal", 80, false, []string{"LANG=C", "TERM=dumb"}},
		{"a terminal that is not told", 80, false, []string{"LC_ALL=C", "LANG=C.UTF-8"}},
		{"NO_COLOR", 80, true, []string{"LANG=C", "TERM=xterm", "NO_COLOR=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all := lines
			if c.helps {
				all = slices.Concat(lines, helps)
			}
			for _, line := range all {
				stderr, stdout := b.types(line, c.columns, c.vars...)
				require.NotEmpty(t, stdout+stderr, line)
				for _, text := range []string{stdout, stderr} {
					i := strings.IndexFunc(text, func(r rune) bool { return r > 0x7e || r < ' ' && r != '\n' })
					assert.Equal(t, -1, i, "%s: %q", line, text[max(i, 0):])
				}
			}
		})
	}
}

// TestWordsAreASCII: what holds for the commands above holds for all words of the program,
// but for what is drawn where there are more characters.
func TestWordsAreASCII(t *testing.T) {
	t.Parallel()
	drawn := []string{filepath.Join("internal", "timeline", "text.go"), filepath.Join("internal", "timeline", "words.go")}
	count := 0
	for _, folder := range []string{"cmd", "internal"} {
		require.NoError(t, filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			count++
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil || slices.ContainsFunc(drawn, func(name string) bool { return strings.HasSuffix(path, name) }) {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if literal, ok := n.(*ast.BasicLit); ok {
					assert.False(t, strings.ContainsFunc(literal.Value, func(r rune) bool { return r > 0x7e }), "%s: %s", files.Position(literal.Pos()), literal.Value)
				}
				return true
			})
			return nil
		}))
	}
	assert.Greater(t, count, 100)
}

// TestColoursOnATerminal: they are where something must be seen at a glance, around
// words that say the same.
func TestColoursOnATerminal(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for line, want := range map[string][]string{
		"":                            {"\x1b[31mproblem\x1b[0m", "\x1b[33muncertain\x1b[0m", "\x1b[31mfailed\x1b[0m"},
		"status":                      {"\x1b[33muncertain\x1b[0m", "\x1b[31mfailed\x1b[0m", "\x1b[36mfired\x1b[0m"},
		"status import-of-the-prices": {"\x1b[31mfailed\x1b[0m"},
		"logs":                        {"\x1b[31mfailed\x1b[0m"},
		"doctor":                      {"\x1b[32mok\x1b[0m", "\x1b[31mproblem\x1b[0m", "\x1b[33mwarning\x1b[0m"},
		"check":                       {"\x1b[36mnotice\x1b[0m"},
		"timeline":                    {"\x1b[36m│\x1b[0m"},
	} {
		_, out := b.types(line, 80, "TERM=xterm", "LANG=C.UTF-8", "NO_COLOR=")
		for _, text := range want {
			assert.Contains(t, out, text, "%q", line)
		}
	}
	// Standard error has its own.
	self, err := os.Executable()
	require.NoError(t, err)
	for variable, want := range map[string]string{"TERM=xterm": "cronagent: \x1b[31merror\x1b[0m: unknown command", "TERM=dumb": "cronagent: error: unknown command"} {
		ours, terminal := openTerminal(t, 80)
		cmd := exec.Command(self, "nosuch")
		cmd.Args[0], cmd.Env, cmd.Stderr = "cronagent", []string{endsSoon, variable}, terminal
		require.NoError(t, cmd.Start())
		require.NoError(t, terminal.Close())
		assert.Contains(t, b.readAll(ours), want)
		_ = cmd.Wait()
	}
}
