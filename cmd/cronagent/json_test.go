package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// TestJSON compares docs/json.md with what the program prints: every field that is
// printed has a row and its type, every row is printed by one of these commands, with
// something in it, and as null, missing, and with each of its values where it says so.
func TestJSON(t *testing.T) {
	t.Parallel()
	p := readJSONPage(t)
	assert.NotEmpty(t, p.titles)
	for _, s := range p.sections {
		for _, example := range s.examples {
			assert.Empty(t, p.compare(s.title, example), "the example of %s in docs/json.md:\n%s", s.title, example)
		}
		if s.how != "" {
			assert.NotEmpty(t, s.examples, "docs/json.md has no example of %s", s.title)
		}
	}
	p = readJSONPage(t) // an example is no proof of anything
	p.everyCommand()
	p.places()
	p.nothing()
	p.looking()
	p.acting()
	p.tryingOut()
	// It would take its 30 seconds of looking for an activity.
	const slow = `cronagent run: msg: it is never "uncertain"`
	assert.Equal(t, []string{slow}, p.unseen(), "promised by docs/json.md, and not seen: add a command to cmd/cronagent/json_test.go that prints it, or take it out")
}

// TestJSONStays: what was promised once is promised still. testdata/json-fields.txt has
// every field with its type and values. UPDATE_DOCS=1 adds those that are new, and takes
// none away: whoever has used them would find out at night.
func TestJSONStays(t *testing.T) {
	t.Parallel()
	const file = "testdata/json-fields.txt"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	promised := strings.Split(strings.TrimSpace(string(text)), "\n")
	promises := readJSONPage(t).promises()
	more := func(line string) bool { // it has more values now
		return slices.ContainsFunc(promises, func(now string) bool { return strings.HasPrefix(now, line+" \"") })
	}
	for _, line := range promised {
		assert.True(t, slices.Contains(promises, line) || more(line), "docs/json.md does not promise any more what it did: %s", line)
	}
	if os.Getenv("UPDATE_DOCS") != "" {
		promised = append(slices.DeleteFunc(promised, more), promises...)
		slices.Sort(promised)
		promised = slices.Compact(promised)
		require.NoError(t, os.WriteFile(file, []byte(strings.Join(promised, "\n")+"\n"), 0o644))
	}
	for _, line := range promises {
		assert.True(t, slices.Contains(promised, line), "%s: it is new; run the test with UPDATE_DOCS=1", line)
	}
}

// everyCommand: each command takes --json, and has a section.
func (p *jsonPage) everyCommand() {
	root := newRoot(proc{args: []string{"version"}, lookup: func(string) (string, bool) { return "", false }, environ: func() []string { return nil }, stdout: io.Discard, stderr: io.Discard})
	all := root.Commands()
	if root.Flags().Lookup("json") != nil {
		all = append(all, root)
	}
	for _, cmd := range all {
		if slices.Contains([]string{"help", "completion"}, cmd.Name()) {
			continue
		}
		takes := cmd.Flags().Lookup("json") != nil || cmd.PersistentFlags().Lookup("json") != nil
		assert.True(p.t, takes, "%s tells something and does not take --json", cmd.CommandPath())
		assert.NotNil(p.t, p.command(cmd.CommandPath()), "docs/json.md: add a section \"### `%s`\" that begins with \"Prints one object\" (or: Prints a list of objects, Prints on each line one object), with a table of its fields and an example, and to cmd/cronagent/json_test.go a command that prints it", cmd.CommandPath())
	}
}

// prints runs a command, whose output must be as its section has it. A title may have a
// word of the arguments in it, as in "cronagent fire --dry-run".
func (p *jsonPage) prints(s *stage, title string, code int, args ...string) string {
	p.t.Helper()
	args = append(append(strings.Fields(title)[1:], "--json"), args...)
	stdout, stderr, got := s.types(args...)
	assert.Equal(p.t, code, got, "cronagent %q: %s%s", args, stdout, stderr)
	p.isPrinted(title, stdout)
	return stdout
}

func (p *jsonPage) isPrinted(title, stdout string) {
	p.t.Helper()
	problems := p.compare(title, stdout)
	assert.Empty(p.t, problems, "%s:\n%s", title, stdout)
	if s := p.command(title); s != nil {
		s.printed = s.printed || stdout != ""
	}
}

// places are those where the program can be, for env.
func (p *jsonPage) places() {
	s := newStage(p.t, `{"name": "app", "mounts": {"/.cronagent": {"source": "local", "source_path": "c"}}}`, map[string]string{
		"PLATFORM_RELATIONSHIPS": `{"db": [{"scheme": "pgsql", "host": "db.internal", "port": 5432, "username": "u", "password": "s3cr3t-pw", "path": "main", "query": {"is_master": true}}]}`,
	})
	for name, vars := range map[string]map[string]string{
		"production":   {"CRONAGENT_LEDGER": "db", "CRONAGENT_LEDGER_OUTPUT": "1"},
		"a worker":     {"PLATFORM_APPLICATION_NAME": "app--queue", "CRONAGENT_VENDOR": "platformsh"},
		"staging":      {"PLATFORM_ENVIRONMENT_TYPE": "staging", "CRONAGENT_VENDOR": "webpaas"},
		"a preview":    {"PLATFORM_ENVIRONMENT_TYPE": "development", "CRONAGENT_STATE_DIR": "relative"},
		"an old one":   {"PLATFORM_ENVIRONMENT_TYPE": "", "CRONAGENT_STATE_DIR": ""},
		"dedicated":    {"PLATFORM_MODE": "enterprise", "CRONAGENT_LEDGER": "nosuch"},
		"a build":      {"PLATFORM_BRANCH": ""},
		"a laptop":     laptop,
		"DDEV":         {"IS_DDEV_PROJECT": "true"},
		"a job of CI":  {"PLATFORM_APPLICATION_NAME": "", "CI": "true"},
		"without vars": {"PLATFORM_APPLICATION": ""},
	} {
		p.t.Log(name)
		p.prints(s.with(vars), "cronagent env", 0)
		p.prints(s.with(vars), "cronagent", 0)
	}
	p.prints(s.with(map[string]string{"PLATFORM_VARIABLES": "nonsense"}), "cronagent", 0)
}

// nothing is an app without crons, of which there is nothing to list.
func (p *jsonPage) nothing() {
	s := newStage(p.t, application(""), nil)
	for _, command := range []string{"list", "next", "resume", "tick", "check --fix"} {
		assert.Equal(p.t, "[]\n", p.prints(s, "cronagent "+command, 0), command)
	}
	p.prints(s, "cronagent timeline", 0)
	p.prints(s, "cronagent status", 0)
}

// looking are the commands that only read, and those that pause.
func (p *jsonPage) looking() {
	s := newStage(p.t, shownCrons, map[string]string{"TZ": "America/New_York"})
	p.prints(s, "cronagent status", 0)
	p.prints(s, "cronagent list", 0)
	s.record()
	p.prints(s, "cronagent resume", 0)
	p.prints(s, "cronagent pause", 0, "import", "--for", "1h", "--reason", "moving")
	p.prints(s, "cronagent pause", 0, "--for", "2h", "--reason", "sale")
	for _, names := range [][]string{nil, {"import"}, {"backup:create"}} {
		p.prints(s, "cronagent status", 0, names...)
	}
	p.prints(s, "cronagent logs", 0)
	p.prints(s, "cronagent", 0)
	p.prints(s, "cronagent timeline", 0)
	p.prints(s, "cronagent timeline", 0, "--from", "2027-03-26", "--for", "31d", "--timezone", "Europe/Paris")
	p.prints(s, "cronagent list", 0)
	p.prints(s, "cronagent next", 0)
	for _, name := range []string{"backup", "redeploy", "partly", "switch", "quarters"} {
		p.prints(s, "cronagent explain", 0, name)
	}
	p.prints(s, "cronagent doctor", 1)
	p.prints(s, "cronagent resume", 0)
	p.prints(s, "cronagent", 0)

	file := filepath.Join(s.dir, "app", ".platform.app.yaml")
	require.NoError(p.t, os.WriteFile(file, []byte(laptopCrons), 0o600))
	s = s.with(laptop)
	s.recordOutside()
	p.prints(s, "cronagent status", 0)
	p.prints(s, "cronagent list", 0)
	p.prints(s, "cronagent next", 0)
	p.prints(s, "cronagent next", 0, "--spec", "0 5 * * *")
	p.prints(s, "cronagent explain", 0, "nightly")
	p.prints(s, "cronagent explain", 0, "30 2 * * *", "--timezone", "Europe/Paris")
	p.prints(s, "cronagent timeline", 0)
	p.prints(s, "cronagent check", 2)
	p.prints(s, "cronagent check --fix", 2)
	p.prints(s, "cronagent check --fix", 2, "--write")
	p.prints(s, "cronagent check --fix", 2)
	p.prints(s, "cronagent version", 0)
}

// acting are the commands that do something.
func (p *jsonPage) acting() {
	s := newStage(p.t, application(`
		"backup": {"spec": "@every 1s", "fire": "backup:create"},
		"works": {"spec": "@every 1s", "commands": {"start": "true"}},
		"broken": {"spec": "0 5 1 1 *", "commands": {"start": "echo down; exit 7"}}`), map[string]string{"TZ": "America/New_York"})
	p.prints(s, "cronagent fire", 0, "backup:create")
	p.prints(s, "cronagent fire", 1, "source-operation:run", "nosuch")
	p.prints(s, "cronagent fire --dry-run", 0, "backup:create")
	p.prints(s, "cronagent exec", 3, "--", "sh", "-c", "echo out; exit 3")
	p.prints(s, "cronagent trigger", 1, "broken")
	p.prints(s, "cronagent tick", 0)
	time.Sleep(1100 * time.Millisecond) // until all of it is due
	p.prints(s, "cronagent tick", 0, "--dry-run")
	p.prints(s, "cronagent tick", 0)
	p.lines(s)

	p.running()
}

// running is the log of run.
func (p *jsonPage) running() {
	s := newStage(p.t, `{"name": "app", "timezone": null,
		"crons": {"night": {"spec": "0 5 * * *", "commands": {"start": "true"}}},
		"variables": {"cronagent": {"crons": {
			"backup": {"spec": "@every 1s", "fire": "backup:create"},
			"broken": {"spec": "@every 1s", "commands": {"start": "exit 7"}},
			"flaky": {"spec": "@every 1s", "commands": {"start": "exit 8"}, "retries": 1},
			"slow": {"spec": "@every 1s", "commands": {"start": "sleep 60"}, "timeout": 1, "shutdown_timeout": 1},
			"long": {"spec": "@every 1s", "commands": {"start": "sleep 60"}, "shutdown_timeout": 1},
			"late": {"spec": "*/10 * * * *", "commands": {"start": "true"}, "missed": "skip"},
			"staging": {"spec": "@every 1s", "commands": {"start": "true"}, "environment_types": ["staging"]}}}}}`, nil)
	key := ledger.Key{Project: sandbox.DefaultProject, Environment: "main", App: "app", Cron: "late"}
	l, err := ledger.OpenFile(p.t.Context(), filepath.Join(s.dir, "state"))
	require.NoError(p.t, err)
	require.NoError(p.t, l.Begin(p.t.Context(), []ledger.Key{key}, time.Now().Add(-3*time.Hour)))
	require.NoError(p.t, l.Close())
	agent := s.live("run", "--json", "--max-parallel", "20")
	s.until("a line of each kind", func() bool {
		return !slices.ContainsFunc([]string{"fired", "succeeded", "failed", "skipped", "deferred", "timed_out", "missed"}, func(msg string) bool {
			return !strings.Contains(agent.out.String(), `"msg":"`+msg+`"`)
		})
	})
	agent.signal(syscall.SIGINT)
	assert.Zero(p.t, agent.wait())
	known := p.command("cronagent run").fields["msg"].values
	var lines strings.Builder
	for line := range strings.Lines(agent.out.String()) {
		var object struct{ Time, Level, Msg string }
		require.NoError(p.t, json.Unmarshal([]byte(line), &object), line)
		assert.True(p.t, isTime(object.Time) && object.Level != "" && object.Msg != "", line)
		if slices.Contains(known, object.Msg) {
			lines.WriteString(line)
		}
	}
	p.isPrinted("cronagent run", lines.String())
}

// lines: of the lines of the ledger, those with a run are as the page says.
func (p *jsonPage) lines(s *stage) {
	text, err := os.ReadFile(s.ledger())
	require.NoError(p.t, err)
	found := 0
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, `{"event":"run",`); ok {
			found++
			assert.Empty(p.t, p.compare("cronagent logs", "{"+rest), line)
		}
		assert.Regexp(p.t, `^\{"event":"[a-z]+",.*\}\n$`, line)
	}
	assert.NotZero(p.t, found)
}

// tryingOut are demo and sandbox.
func (p *jsonPage) tryingOut() {
	s := newStage(p.t, "", laptop)
	p.prints(s, "cronagent demo", 0)
	served := s.live("sandbox", "--json")
	s.until("the address", func() bool { return strings.Contains(served.out.String(), "\n") })
	var ready struct{ Variables map[string]string }
	require.NoError(p.t, json.Unmarshal([]byte(served.out.String()), &ready))
	there := newStage(p.t, "", ready.Variables)
	for _, args := range [][]string{{"fire", "backup:create"}, {"activity:list"}} {
		_, stderr, code := there.types(args...)
		assert.Zero(p.t, code, stderr)
	}
	served.signal(syscall.SIGTERM)
	assert.Zero(p.t, served.wait())
	p.isPrinted("cronagent sandbox", served.out.String())
}

// TestJSONIsWholeOrNothing: whatever goes wrong, standard output has complete JSON of
// the usual shape or nothing, what is wrong is said on standard error, and the exit code
// is the one that there is without --json.
func TestJSONIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	commands := map[string][]string{
		"env": nil, "list": nil, "next": nil, "explain": {"backup"}, "timeline": nil, "check": nil, "check --fix": nil, "doctor": nil, "status": nil,
		"logs": nil, "pause": {"--for", "1h"}, "resume": nil, "fire": {"backup:create", "--deadline", "2s"}, "fire --dry-run": {"backup:create"},
		"trigger": {"backup"}, "tick": nil, "exec": {"--", "false"}, "version": nil, "demo": {"--file", "gone.yaml"}, "sandbox": {"--role", "king"},
		"run": {"--platform-crons=yes"},
	}
	for name, vars := range map[string]map[string]string{
		"an unknown flag":           nil,
		"a mistake in the crons":    {"PLATFORM_APPLICATION": application(`"b": {"spec": "60 * * * *", "fire": "backup:create"}`)},
		"no configuration":          {"PLATFORM_APPLICATION": ""},
		"a variable that is broken": {"PLATFORM_VARIABLES": "nonsense"},
		"no ledger":                 {"CRONAGENT_STATE_DIR": "relative"},
		"no database":               {"CRONAGENT_LEDGER": "nosuch"},
		"a build":                   {"PLATFORM_BRANCH": ""},
		"no platform":               {"CRONAGENT_API_URL": "http://127.0.0.1:1", "CRONAGENT_AUTH_URL": "http://127.0.0.1:1"},
		"no token":                  {"PLATFORMSH_CLI_TOKEN": ""},
		"a preview":                 {"PLATFORM_ENVIRONMENT_TYPE": "development"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := readJSONPage(t)
			all := map[string]string{"PLATFORM_APPLICATION": application(`"backup": {"spec": "0 5 1 1 *", "fire": "backup:create"}`), debugVariable: ""}
			maps.Copy(all, vars)
			for command, args := range commands {
				if name == "no platform" && command == "trigger" {
					continue // it tries for half a minute
				}
				words := append(strings.Fields(command), args...)
				if name == "an unknown flag" {
					words = slices.Insert(words, 1, "--nonsense")
				}
				stdout, stderr, code := (&suite{}).stage(t, act{vars: all}).types(slices.Insert(slices.Clone(words), 1, "--json")...)
				if stdout == "" && command != "logs" { // which has no line if there is nothing
					assert.NotZero(t, code, "%s says nothing", command)
					assert.Contains(t, stderr, "cronagent: error: ", command)
				}
				if name == "an unknown flag" {
					assert.Equal(t, exitUsage, code, command)
					assert.Empty(t, stdout, command)
				}
				problems := p.compare("cronagent "+command, stdout)
				if len(problems) > 0 && command == "fire --dry-run" { // which is a skipped run where it would do nothing
					problems = p.compare("cronagent fire", stdout)
				}
				if stdout != "" {
					assert.Empty(t, problems, "%s:\n%s%s", command, stdout, stderr)
					_, _, without := (&suite{}).stage(t, act{vars: all}).types(words...)
					assert.Equal(t, without, code, "%s: the exit code is another one without --json", command)
				}
			}
		})
	}
}

// TestJSONThatCannotBeWritten: half of it is an error.
func TestJSONThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	s := newStage(t, application(""), nil)
	for _, command := range []string{"env", "list", "status", "version", "check"} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		require.NoError(t, err)
		cmd := exec.Command("cronagent", command, "--json")
		cmd.Env, cmd.Dir, cmd.Stdout = s.env, filepath.Join(s.dir, "app"), full
		assert.Error(t, cmd.Run(), command)
		require.NoError(t, full.Close())
	}
}

// TestJSONIsHarmless: what moves the cursor, hides or turns text is in codes that mean
// the same.
func TestJSONIsHarmless(t *testing.T) {
	t.Parallel()
	const text = "Zürich\n\x1b[31m\u009b31m\u202eturned\U000E0041\x7f東京 <&> \uFFFD"
	for _, write := range []func(io.Writer, any) error{writeJSON, writeJSONLine} {
		var out bytes.Buffer
		require.NoError(t, write(&out, map[string]string{"text": text}))
		assert.NotRegexp(t, `[\x00-\x09\x0b-\x1f\x7f]|\x{009b}|\x{202e}|\x{E0041}`, out.String())
		assert.Contains(t, out.String(), `Zürich\n\u001b[31m\u009b31m\u202eturned\udb40\udc41\u007f東京 <&>`)
		var back map[string]string
		require.NoError(t, json.Unmarshal(out.Bytes(), &back))
		assert.Equal(t, text, back["text"])
	}
}

// TestJSONWithJq: the commands of docs/json.md say what they are there for.
func TestJSONWithJq(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/json.md")
	require.NoError(t, err)
	s := newStage(t, shownCrons, nil)
	s.record()
	_, stderr, code := s.types("pause", "import", "--for", "1h", "--reason", "moving")
	require.Zero(t, code, stderr)
	const at = `20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+0[12]:00)`
	says := []string{
		`^` + at + `\n$`,
		`(?m)^` + at + ` import: exit code 7$`,
		`^(` + at + `\n){3}$`,
		`(?m)^` + at + ` [12]$`,
		`^import until ` + at + `: moving\n$`,
		`(?m)^people: .+: .+$`,
		`^[a-z0-9]{13}\n$`,
		`(?m)^` + at + ` agent, redeploy$`,
		`(?m)^{"cron":"import","operation":"","ended":".+","error":"exit code 7"}$`,
	}
	blocks := regexp.MustCompile("(?s)```sh container\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.Len(t, blocks, len(says))
	for i, block := range blocks {
		cmd := exec.Command("dash", "-euc", block[1])
		cmd.Env, cmd.Dir = s.env, filepath.Join(s.dir, "app")
		out, err := cmd.Output()
		assert.NoError(t, err, "%s\n%s", block[1], out)
		assert.Regexp(t, says[i], string(out), block[1])
		assert.NotContains(t, string(out), "null", block[1])
	}
}
