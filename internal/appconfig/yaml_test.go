package appconfig_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
)

func TestWhatIsNoYAMLIsExplained(t *testing.T) {
	t.Parallel()
	const column = " | keys of the same cron begin in the same column"
	quote := func(at, spec string) string {
		return at + ": the spec " + spec + " is not in quotes; without them * begins a YAML alias | write spec: '" + spec + "'"
	}
	const tab = ": a tab indents this line; YAML is indented by spaces only | replace the tabs by spaces"
	cases := map[string]struct {
		text string
		want []string
	}{
		"spec without quotes": {"crons:\n  c:\n    spec: * * * * *\n    cmd: x\n", []string{quote("3:11", "* * * * *")}},
		"with a step":         {"crons:\n  c:\n    spec: */5 * * * *\n", []string{quote("3:11", "*/5 * * * *")}},
		"on the first line":   {"spec: * * * * *", []string{quote("1:7", "* * * * *")}},
		"behind a BOM":        {"\ufeffspec: * * * * *", []string{quote("1:7", "* * * * *")}},
		"behind CRLF and a BOM": {"\ufeffcrons:\r\n  c:\r\n    spec: * * * * * # each minute\r\n    cmd: x\r\n",
			[]string{quote("3:11", "* * * * *")}},
		"each of them, but no alias and nothing in a script": {"a: &x y\ncrons:\n  a:\n    spec: * 5 * * *\n    cmd: |\n      spec: * * * * *\n  b: { spec: *x, cmd: x }\n  c: { spec: *,1 * * * *, cmd: x }\n  # spec: * * * * *\n",
			[]string{quote("4:11", "* 5 * * *"), quote("8:14", "*,1 * * * *")}},
		"another value":               {"a: *.php\n", []string{`1:4: the value of a is not in quotes; without them * at its start begins an alias in YAML | write a: '*.php'`}},
		"alias of nothing":            {"crons:\n  c:\n    spec: *hourly\n", []string{`3:11: *hourly stands for what &hourly marks, and nothing above is marked so | if it is meant to be a spec, write spec: '*hourly'`}},
		"merge of nothing":            {"crons:\n  <<: *shared\n", []string{`2:7: *shared stands for what &shared marks, and nothing above is marked so`}},
		"spec with an at sign":        {"crons:\n  c:\n    spec: @hourly\n", []string{`3:11: the value of spec is not in quotes; without them @ at its start means something else in YAML | write spec: '@hourly'`}},
		"a command in backquotes":     {"crons:\n  c:\n    cmd: `it's`\n", []string{"3:10: the value of cmd is not in quotes; without them ` at its start means something else in YAML | write cmd: '`it''s`'"}},
		"tab":                         {"crons:\n  c:\n\tspec: '0 5 * * *'\n", []string{"3:1" + tab}},
		"tab behind spaces":           {"crons:\n  c:\n  \tspec: '0 5 * * *'\n", []string{"3:3" + tab}},
		"tab on the second line":      {"crons:\n\tc:\n\t\tspec: '0 5 * * *'\n", []string{"2:1" + tab}},
		"tab after a good line":       {"crons:\n  c:\n    cmd: x\n\tspec: '0 5 * * *'\n", []string{"4:1" + tab}},
		"spec one column to the left": {"crons:\n    update:\n        # Run\n       spec: '0 0 * * *'\n        commands:\n            start: x\n", []string{`5:9: "commands" is indented deeper than "spec" on line 4, which has its value already` + column}},
		"the same, spec without quotes": {"crons:\n    update:\n       spec: 0 0 * * *\n        commands:\n            start: x\n",
			[]string{`4:9: "commands" is indented deeper than "spec" on line 3, which has its value already` + column}},
		"commands to the left": {"crons:\n  update:\n     spec: '0 0 * * *'\n    commands:\n       start: x\n",
			[]string{`4:5: "commands" is indented less than "spec" on line 3 and more than what is above that` + column}},
		"key in a list":          {"a:\n  - b: c\n   d: e\n", []string{`3:4: "d" is indented less than "b" on line 2 and more than what is above that` + column}},
		"a colon in a command":   {"crons:\n  c:\n    cmd: echo a: b\n", []string{`3:5: not valid YAML: mapping values are not allowed in this context | put a value that holds a colon and a blank in quotes`}},
		"quote left open":        {"crons:\n  c:\n    spec: '0 5 * * *\n    cmd: x\n", []string{"3:11: not valid YAML: a quote opens here and is never closed | close it on the same line, or double a quote that belongs to the text"}},
		"quote left open on 1":   {"a: 'b\nc: d\n", []string{"1:4: not valid YAML: a quote opens here and is never closed | close it on the same line, or double a quote that belongs to the text"}},
		"bracket left open":      {"a: b\nc: [1, 2\nd: e\n", []string{"2:1: not valid YAML: did not find expected ',' or ']'"}},
		"not UTF-8":              {"a: b\nc: caf\xe9\n", []string{"2:7: not UTF-8 text | save the file as UTF-8"}},
		"a control character":    {"a: b\nc: \x07d\n", []string{"2:4: a control character (U+0007) stands here | remove it"}},
		"nested without an end":  {strings.Repeat("[", 20000), []string{"1:1: not valid YAML: exceeded max depth of 10000"}},
		"a backslash in quotes":  {"a: \"\\d\"\n", []string{"1:1: not valid YAML: found unknown escape character"}},
		"an unknown declaration": {"%FOO\n---\na: b\n", []string{"1:1: not valid YAML: found unknown directive name"}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := inFile(t, tt.text)
			assert.Equal(t, tt.want, problems(t, err))
		})
	}
}

func TestAnchorsAndMerges(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, `
name: app
crons: &crons
  a: &a { spec: '0 5 * * *', cmd: one }
  b: *a
  c: { <<: *a, cmd: two }
  d:
    <<: [ { cmd: three }, *a ]
variables:
  cronagent:
    crons:
      <<: *crons
      b: { spec: &spec '0 6 * * *', cmd: mine }
      e: { spec: *spec, commands: { start: &run x, stop: *run } }
      *run : { <<: *a, cmd: four }
`)
	require.NoError(t, err)
	require.NoError(t, app.Problem)
	var got []string
	for _, c := range app.Crons {
		require.NoError(t, c.Problem, c.Name)
		got = append(got, string(c.Scheduler)+" "+c.Name+" "+c.Spec+" "+c.Start+c.Stop)
	}
	assert.Equal(t, []string{
		"platform a 0 5 * * * one", "platform b 0 5 * * * one", "platform c 0 5 * * * two", "platform d 0 5 * * * three",
		"agent a 0 5 * * * one", "agent c 0 5 * * * two", "agent d 0 5 * * * three",
		"agent b 0 6 * * * mine", "agent e 0 6 * * * xx", "agent x 0 5 * * * four",
	}, got)
	assert.Equal(t, 4, app.Crons[4].Position.Line, "merged entries stand where they are written")
}

func TestMergesAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ text, want string }{
		"of a string":      {oneCron("<<: x, " + fire), `4:16: cron "c": what << merges into a cron must be a map, not the text "x"`},
		"of a list in one": {oneCron("<<: [[a]], " + fire), `4:17: cron "c": what << merges into a cron must be a map, not a list`},
		"twice":            {oneCron("<<: {}, <<: {}, " + fire), `4:20: cron "c": a cron has "<<" twice, first on line 4 | remove one of them`},
		"of itself":        {agentCrons("c: &c { <<: *c, " + fire + " }"), `4:10: cron "c": what << merges into what << merges into a cron`},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := inFile(t, tt.text)
			assert.Nil(t, app)
			require.NotEmpty(t, problems(t, err))
			if name != "of itself" {
				assert.Equal(t, tt.want, problems(t, err)[0])
				return
			}
			assert.Contains(t, problems(t, err)[0], "in a circle, or too deep")
		})
	}
}

// Without their bounds these would take hours or all memory: a failure is the
// test's time running out.
func TestBombs(t *testing.T) {
	t.Parallel()
	var aliases, merges, maps strings.Builder
	aliases.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	merges.WriteString("m0: &m0 { k: v }\n")
	for i := 1; i < 30; i++ {
		ten := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", ")
		fmt.Fprintf(&aliases, "a%d: &a%d [%s]\n", i, i, ten)
		fmt.Fprintf(&merges, "m%d: &m%d { <<: [%s] }\n", i, i, strings.ReplaceAll(ten, "a", "m"))
	}
	maps.WriteString("m: &m {")
	for i := range 2000 {
		fmt.Fprintf(&maps, "k%d: {%s}, ", i, fire)
	}
	maps.WriteString("}\n")
	const over = "aliases and merges stand for more than 1000000 entries"
	cases := map[string]struct{ text, want string }{
		"aliases in notify":           {aliases.String() + oneCron(fire+", notify: {on: *a29}"), "an item of on must be a string, not a list"},
		"aliases in the settings":     {aliases.String() + "variables: {cronagent: {notify: {mail: *a29}}}", "mail must be an address or a list of them, not a list"},
		"merges in a cron":            {merges.String() + oneCron("<<: *m29, "+fire), over},
		"merges of everything":        {merges.String() + "<<: *m29\n", over},
		"merges of many keys, often":  {maps.String() + agentCrons("<<: ["+strings.TrimSuffix(strings.Repeat("*m, ", 1000), ", ")+"]"), over},
		"an alias inside of itself":   {"variables: {cronagent: {notify: &n {mail: [*n]}}}", "mail must be an address or a list of them, not a map"},
		"more elements than any file": {"[" + strings.Repeat("a,", 1<<20) + "]", "more than 300000 lines and list items"},
		"more lines than any file":    {strings.Repeat("-\n", 1<<20), "more than 300000 lines and list items"},
		"more nesting than any file":  {strings.Repeat(strings.Repeat("- ", 5000)+"\n", 100), "more than 300000 lines and list items"},
		"lines before an error":       {strings.Repeat("a:  b\n", 20_000) + "c: *d\n", "nothing above is marked so"},
		"lines before another error":  {strings.Repeat("a:\n", 20_000) + "  c: d\n - e: 'f\n", `"e" is indented less than "c"`},
		"apps":                        {"applications:\n" + numbered(20_000, "  a%d: {type: php}\n"), "several apps are configured"},
		"ten megabytes":               {"a: " + strings.Repeat("x", 10<<20), "it is larger than 4 MiB"},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := inFile(t, tt.text)
			assert.Nil(t, app)
			require.Error(t, err)
			assert.Contains(t, err.Error(), tt.want)
			assert.Less(t, len(err.Error()), 1000, "one clear answer")
		})
	}
}

func TestBombInAPlatformCronKeepsNobodyFromRunning(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("m0: &m0 { k: v }\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&text, "m%d: &m%d { <<: [%s] }\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*m%d, ", i-1), 10), ", "))
	}
	text.WriteString("crons: { p: { <<: *m29 } }\nmounts: *m29\n" + oneCron(fire))
	app, err := inFile(t, text.String())
	require.NoError(t, err)
	require.ErrorContains(t, app.Problem, "aliases and merges stand for more than")
	require.Len(t, app.Crons, 1)
	assert.Equal(t, appconfig.Agent, app.Crons[0].Scheduler)
}

func numbered(n int, line string) string {
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, line, i)
	}
	return lines.String()
}

// What is wrong many times is said that often.
func TestFileFullOfMistakes(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"unknown keys":  "c:\n" + numbered(3_000, "  retrie%d: 1\n"),
		"unknown zones": numbered(1_500, "c%d: {timezone: europe/x, spec: x}\n"),
		"empty crons":   numbered(3_000, "c%d:\n"),
	} {
		_, err := inFile(t, agentCrons(text))
		var all appconfig.Errors
		require.ErrorAs(t, err, &all, name)
		assert.GreaterOrEqual(t, len(all), 3_000, name)
	}
}

// tenThousand is as many crons as anybody has, in about 1 MiB.
func tenThousand() string {
	var lines strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&lines, "cron%05d:\n  spec: 'H/%d * * * *'\n  timezone: Europe/Paris\n  commands: { start: 'php bin/job.php %d' }\n", i, i%29+2, i)
	}
	return agentCrons(lines.String())
}

func TestTenThousandCrons(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, tenThousand())
	require.NoError(t, err)
	assert.Len(t, app.Crons, 10_000)
}

func BenchmarkTenThousandCrons(b *testing.B) {
	path := filepath.Join(b.TempDir(), ".platform.app.yaml")
	require.NoError(b, os.WriteFile(path, []byte(tenThousand()), 0o600))
	for b.Loop() {
		source, err := appconfig.ReadFile(path)
		require.NoError(b, err)
		_, err = source.App(appconfig.Options{})
		require.NoError(b, err)
	}
}
