package shell_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/shell"
)

func parse(t *testing.T, command string) *shell.Script {
	t.Helper()
	script, err := shell.Parse(command)
	require.NoError(t, err, command)
	return script
}

// production are the variables of a production container.
func production(name string) (string, bool) {
	value, ok := map[string]string{
		"PLATFORM_BRANCH": "main", "PLATFORM_ENVIRONMENT_TYPE": "production", "PLATFORM_ENVIRONMENT": "main-bvxea6i",
		"A": "main", "EMPTY": "", "TWO": "a b", "N": "3",
	}[name]
	return value, ok
}

// verdicts writes each call that is not minor with its answer: "+" it runs, "-"
// it does not, "?" unknown.
func verdicts(script *shell.Script) string {
	var out []string
	for _, v := range script.Eval(production) {
		if !v.Call.Minor {
			out = append(out, map[shell.Answer]string{shell.Yes: "+", shell.No: "-", shell.Unknown: "?"}[v.Runs]+v.Call.String())
		}
	}
	return strings.Join(out, " | ")
}

// TestCommands has commands as people write them, with what is understood.
func TestCommands(t *testing.T) {
	t.Parallel()
	const guard = `if [ "$PLATFORM_BRANCH" = master ]; then` + "\n  "
	for _, c := range []struct{ name, command, gate, verdicts string }{
		// From the configurations of real projects.
		{"the old backup with its guard", guard + "/app/.platformsh/bin/platform snapshot:create --yes --no-wait\nfi", "PLATFORM_BRANCH = master", "-/app/.platformsh/bin/platform snapshot:create --yes --no-wait"},
		{"the old certificate cron", guard + "platform redeploy --yes --no-wait\nfi", "PLATFORM_BRANCH = master", "-platform redeploy --yes --no-wait"},
		{"a comment and croncape", "# production\nif [ \"$SYMFONY_BRANCH\" = master ]; then\n  croncape symfony redeploy --no-wait\nfi", "SYMFONY_BRANCH = master", "-symfony redeploy --no-wait"},
		{"the environment type", "if [ \"$PLATFORM_ENVIRONMENT_TYPE\" = production ]; then\n  platform backup:create --yes --no-wait\nfi", "PLATFORM_ENVIRONMENT_TYPE = production", "+platform backup:create --yes --no-wait"},
		{"no guard under set -e", "set -e\nplatform sync -e development code data --no-wait --yes\nplatform source-operation:run update --no-wait --yes", "", "+platform sync -e development code data --no-wait --yes | ?platform source-operation:run update --no-wait --yes"},
		{"set -e and one program", "set -e\nplatform source-operation:run update --no-wait --yes", "", "+platform source-operation:run update --no-wait --yes"},
		{"a default in an argument", `if [ "$PLATFORM_ENVIRONMENT_TYPE" = "production" ]; then` + "\n/app/bin/scalsun --silent --max=${MAX:-3}\nfi", "PLATFORM_ENVIRONMENT_TYPE = production", "+/app/bin/scalsun --silent --max=${MAX:-3}"},
		{"cd and a program", "cd web ; drush core-cron", "", "+drush core-cron"},
		{"a test and a program", `[ "$PLATFORM_BRANCH" = main ] && bash cron/upload_logs_to_s3.sh`, "PLATFORM_BRANCH = main", "+bash cron/upload_logs_to_s3.sh"},
		{"croncape with variables on one line", `if [ "$PLATFORM_ENVIRONMENT_TYPE" = "production" ]; then croncape COMPOSER_ROOT_VERSION=1.0.0 COMPOSER_AUDIT_ABANDONED=ignore composer audit --no-cache; fi`, "PLATFORM_ENVIRONMENT_TYPE = production", "+composer audit --no-cache"},
		{"croncape alone", "croncape php-session-clean", "", "+php-session-clean"},
		{"a look-alike", "php bin/console scheduled-task:run --no-wait", "", "+php bin/console scheduled-task:run --no-wait"},
		{"output thrown away", "php artisan schedule:run >> /dev/null 2>&1", "", "+php artisan schedule:run"},
		{"a loop in bash -c", `bash -c 'for g in $(grep -shoP "x" {app,vendor}/*/etc/groups.xml); do echo -n ${g} && php bin/magento cron:run --group=${g}; done'`, "`for g in $(grep -shoP \"x\" {app,vendor}/*/etc/groups.xml)` holds", "?php bin/magento cron:run --group=${g}"},
		{"a pattern of file names", "shtool rotate -n10 $PLATFORM_APP_DIR/var/log/*.log", "", "+shtool rotate -n10 $PLATFORM_APP_DIR/var/log/*.log"},
		{"emptying a log", "true > var/app.log", "", "+true"},
		{"only on a preview branch", `[ "$PLATFORM_BRANCH" = update-dependencies ] && platform environment:sync -y`, "PLATFORM_BRANCH = update-dependencies", "-platform environment:sync -y"},
		{"two tests", `[ "$PLATFORM_ENVIRONMENT_TYPE" = production ] && [ -z "$DISABLE" ] && cmd`, "PLATFORM_ENVIRONMENT_TYPE = production and DISABLE is not set", "+cmd"},
		{"a branch that is computed", `B=$(jq -r .branch x.json); if [ "$B" = "$PLATFORM_BRANCH" ]; then cmd; fi`, "`[ \"$B\" = \"$PLATFORM_BRANCH\" ]` holds", "?cmd"},

		// The relatives of the guard.
		{"test by its name", `test "$A" = main && cmd`, "A = main", "+cmd"},
		{"braces", `[ "${A}" = main ] && cmd`, "A = main", "+cmd"},
		{"no quotes", `[ $A = main ] && cmd`, "A = main", "+cmd"},
		{"no quotes, and unset: an error of test", `[ $NO != main ] && cmd`, "NO != main", "-cmd"},
		{"no quotes, and unset, behind a not: not what it says", `[ ! $NO = main ] && cmd`, "NO != main", "?cmd"},
		{"no quotes, and two words", `[ $TWO = main ] && cmd`, "TWO = main", "?cmd"},
		{"reversed", `[ main = "$A" ] && cmd`, "A = main", "+cmd"},
		{"with an x on both sides", `[ "x$A" = xmain ] && cmd`, "A = main", "+cmd"},
		{"with an x on one side only can't hold", `[ "x$A" = main ] && cmd`, "never", "-cmd"},
		{"not equal", `[ "$A" != main ] && cmd`, "A != main", "-cmd"},
		{"not in front of test", `! [ "$A" = main ] && cmd`, "A != main", "-cmd"},
		{"not within test", `[ ! "$A" = main ] && cmd`, "A != main", "-cmd"},
		{"-a", `[ "$A" = main -a -n "$N" ] && cmd`, "A = main and N is set", "+cmd"},
		{"-o", `[ "$A" = x -o "$A" = main ] && cmd`, "A = x or A = main", "+cmd"},
		{"parentheses in test", `[ \( "$A" = x -o "$N" = 3 \) -a "$A" = main ] && cmd`, "N = 3 and A = main", "+cmd"},
		{"set", `[ -n "$N" ] && cmd`, "N is set", "+cmd"},
		{"set, by the word alone", `[ "$EMPTY" ] && cmd`, "EMPTY is set", "-cmd"},
		{"unset or empty", `[ -z "$EMPTY" ] && cmd`, "EMPTY is not set", "+cmd"},
		{"-n without quotes is true of nothing", `[ -n $NO ] && cmd`, "NO is set", "?cmd"},
		{"a default that is not the value", `[ "${A:-dev}" = main ] && cmd`, "A = main", "+cmd"},
		{"a default that is the value", `[ "${NO:-main}" = main ] && cmd`, "NO = main or NO is not set", "+cmd"},
		{"empty against the default of an unset one", `[ "${EMPTY-x}" = x ] && cmd`, "`[ \"${EMPTY-x}\" = x ]` holds", "-cmd"},
		{"== is bash", `[ "$A" == main ] && cmd`, "A = main and the shell is bash", "?cmd"},
		{"== that fails everywhere", `[ "$A" == x ] && cmd`, "A = x and the shell is bash", "-cmd"},
		{"[[ is bash", `[[ $A == m* && -n "$N" ]] && cmd`, "A matches m* and N is set and the shell is bash", "?cmd"},
		{"[[ in bash", `bash -c '[[ $A == m* ]] && cmd'`, "A matches m*", "+cmd"},
		{"a guard that ends the script", `[ "$A" = x ] || exit 0; one; two`, "A = x", "-one | -two"},
		{"a guard without a status", "[ \"$A\" = main ] || exit\none", "A = main", "+one"},
		{"a guard that ends the script in an if", `if [ "$A" != main ]; then echo no; exit 0; fi; one`, "A = main", "+one"},
		{"a test under set -e", `set -e; [ "$A" = x ]; one`, "A = x", "-one"},
		{"elif and else", `if [ "$A" = x ]; then one; elif [ "$A" = main ]; then two; else three; fi`, "", "-one | +two | -three"},
		{"elif without else", `if [ "$A" = x ]; then one; elif [ "$N" = 3 ]; then two; fi`, "A = x or N = 3", "-one | +two"},
		{"case", `case "$PLATFORM_BRANCH" in main) one;; stage|test) two;; esac`, "PLATFORM_BRANCH = main or PLATFORM_BRANCH = stage or PLATFORM_BRANCH = test", "+one | -two"},
		{"case with patterns", `case $A in rel-*) one;; m?in) two;; *) three;; esac`, "", "-one | +two | -three"},
		{"a quoted star in case is a star", `case $A in "*") one;; esac`, "A = *", "-one"},
		{"a chain of both", `[ "$A" = x ] && one || two`, "", "-one | +two"},
		{"one of two programs", `one || two`, "", "+one | ?two"},
		{"what depends on a file", `[ -f x ] && cmd`, "`[ -f x ]` holds", "?cmd"},
		{"what depends on a number", `[ "$N" -gt 2 ] && cmd`, "`[ \"$N\" -gt 2 ]` holds", "?cmd"},
		{"what depends on the last status", `one; if [ $? = 0 ]; then two; fi`, "", "+one | ?two"},
		{"a status that is no variable's", `[ "$PWD" = /app ] && cmd`, "`[ \"$PWD\" = /app ]` holds", "?cmd"},

		// Shell around the programs.
		{"a variable of the script", `B=$A; [ "$B" = main ] && cmd`, "A = main", "+cmd"},
		{"a variable of the script that is known", `A=x; [ "$A" = main ] && cmd`, "never", "-cmd"},
		{"a variable that may have been changed", `one && A=x; [ "$A" = main ] && two`, "", "+one | ?two"},
		{"exported", `export A=x; if [ "$A" = x ]; then cmd; fi`, "", "+cmd"},
		{"unset by the script", `unset A; [ -n "$A" ] && cmd`, "never", "-cmd"},
		{"a sourced file may set anything", `. ./env; [ "$A" = main ] && cmd`, "", "+. ./env | ?cmd"},
		{"a program by its variable", `P=bin/platform; $P backup`, "", "+bin/platform backup"},
		{"a subshell's exit is its own", `( [ "$A" = x ] || exit; one ); two`, "", "-one | +two"},
		{"braces share theirs", `{ [ "$A" = x ] || exit; one; }; two`, "A = x", "-one | -two"},
		{"a pipeline", `curl -s https://example.com/x.sh | sh`, "", "+curl -s https://example.com/x.sh | +sh"},
		{"in the background", `one & two`, "", "+one | +two"},
		{"a function counts where it is called", `f() { one; }; [ "$A" = x ] && f`, "A = x", "-one"},
		{"a function that is not called", `f() { one; }; two`, "", "+two"},
		{"a function as a test", `prod() { [ "$A" = main ]; }; if prod; then one; fi`, "A = main", "+one"},
		{"a function that returns", `f() { [ "$A" = x ] && return; one; }; f; two`, "", "+one | +two"},
		{"a function that calls itself", `f() { one; f; }; f`, "", "+one | +f"},
		{"and behind a function is not within it", `f() { one; } && two`, "", "+two"},
		{"sh -c", `sh -ec '[ "$A" = x ]; cmd "a b"'`, "A = x", "-cmd 'a b'"},
		{"sh -c with a variable in front", `A=x sh -c '[ "$A" = x ] && cmd'`, "", "+cmd"},
		{"env", `env A=x sh -c '[ "$A" = main ] && cmd'`, "never", "-cmd"},
		{"wrappers within wrappers", `exec croncape -t 2h nice -n 10 timeout 60 cmd -x`, "", "+cmd -x"},
		{"nothing after exec", `exec one; two`, "", "+one | -two"},
		{"eval", `eval '[ "$A" = x ] || exit 0'; one`, "A = x", "-one"},
		{"nothing after exit", `exit 0; one`, "never", "-one"},
		{"a substitution's program is no gate's", `[ "$(git branch)" = main ] && one`, "`[ \"$(git branch)\" = main ]` holds", "?one"},
		{"cd is not a gate", `cd web && one`, "", "?one"},
		{"for over words", `for i in a b; do one $i; done; two`, "", "+one $i | +two"},
		{"while", `while [ "$A" = x ]; do one; done; two`, "", "-one | +two"},
		{"set -u and an unset variable end it", `set -u; [ "$NO" = x ]; one`, "NO is defined", "-one"},
		{"only words", `echo hello`, "", ""},
		{"nothing", "# nothing\n", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			script := parse(t, c.command)
			assert.Equal(t, c.gate, script.Gate().String())
			assert.Equal(t, c.verdicts, verdicts(script))
		})
	}
}

func TestCallsSayWhereAndHow(t *testing.T) {
	t.Parallel()
	calls := parse(t, "cd web\n[ \"$A\" = main ] &&\n  croncape sh -c 'x=1\n drush \"my cron\" \"$A\" *'").Calls()
	require.Len(t, calls, 2)
	assert.Equal(t, "cd web", calls[0].String())
	assert.True(t, calls[0].Minor)
	drush := calls[1]
	assert.Equal(t, []string{"croncape", "sh"}, drush.Wrappers)
	assert.Equal(t, []shell.Word{{Text: "drush", Literal: true}, {Text: "my cron", Literal: true}, {Text: `"$A"`}, {Text: "*"}}, drush.Words)
	assert.Equal(t, []int{4, 2}, []int{drush.Line, drush.Column}, "in the text within the quotes too")
	assert.Equal(t, shell.Gate{{{Variable: "A", Operator: shell.Equal, Value: "main", Source: `[ "$A" = main ]`}}}, drush.When)
	assert.True(t, drush.When.Understood())
	assert.False(t, parse(t, "[ -f x ] && y").Gate().Understood())
}

func TestVerdictNamesWhatDecided(t *testing.T) {
	t.Parallel()
	for command, because := range map[string]string{
		`[ "$A" = main ] && [ "$N" = 4 ] && cmd`:   "N = 4",
		`[ "$A" = main ] && [ -f x ] && cmd`:       "`[ -f x ]` holds",
		`[ "$A" = main ] && cmd`:                   "A = main",
		`if [ "$A" = main ]; then :; else cmd; fi`: "A != main",
		`cmd`:                                    "",
		`exit; cmd`:                              "",
		`set -e; one; cmd`:                       "`one` succeeds",
		`one || cmd`:                             "`one` fails",
		`[ "$A" = main ] || [ "$N" = 3 ] || cmd`: "A != main",
		`case $A in x|y) cmd;; esac`:             "A = x",
		`[[ "$A" = main ]] && cmd`:               "the shell is bash",
		`[ "$A" = "a
b" ] && cmd`: `A = "a\nb"`,
	} {
		got := parse(t, command).Eval(production)
		assert.Equal(t, because, got[len(got)-1].Because.String(), command)
	}
}

func TestWhatDashDoesNotTake(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]shell.Error{
		"a=(1 2)":                     {Line: 1, Column: 3, Bash: true},
		"echo a\ncat <<< \"$A\"":      {Line: 2, Column: 5, Bash: true},
		"if true; then\n  x":          {Line: 1, Column: 1},
		"x 'y":                        {Line: 1, Column: 3},
		"fi":                          {Line: 1, Column: 1},
		strings.Repeat("x", 64<<10+1): {},
		strings.Repeat("(", 5000):     {},
		strings.Repeat("{ ", 300) + "x" + strings.Repeat("; }", 300):                                                                           {},
		"f(){ x; x; }; g(){ f; f; f; f; f; f; f; f; f; f; }; h(){ g; g; g; g; g; g; g; g; g; g; }; i(){ h; h; h; h; h; h; h; h; h; h; }; i; i": {},
	} {
		_, err := shell.Parse(command)
		var got *shell.Error
		require.ErrorAs(t, err, &got, "%.40s", command)
		assert.NotEmpty(t, got.Problem)
		want.Problem = got.Problem
		assert.Equal(t, want, *got, "%.40s", command)
	}
	_, err := shell.Parse("a=(1 2)")
	assert.EqualError(t, err, "line 1, column 3: dash has no arrays: bash takes this, dash, which runs crons, does not")
}

// TestLargeTextsTakeNoTime has texts that make a careless walker slow, or deep.
func TestLargeTextsTakeNoTime(t *testing.T) {
	t.Parallel()
	numbered := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(format, "N", strconv.Itoa(i)))
		}
		return b.String()
	}
	for _, text := range []string{
		numbered("[ \"$VN\" = x ] || exit\n", 2500) + "x",
		"set -e\n" + numbered("cN\n", 900),
		numbered("[ \"$VN\" = x ] && cN\n", 900),
		numbered("[ \"$VN\" = x ] && [ \"$WN\" = y ] || cN || dN\n", 400),
		"case $A in " + numbered("aN|bN) cN;; ", 900) + "esac",
		"if a; then b" + numbered("; elif [ $A = N -o $B = N ]; then cN", 900) + "; fi",
		"A=x\n" + strings.Repeat("A=$A$A\n", 5000) + "[ \"$A\" = x ] && y",
		"A=x\n" + strings.Repeat("A=${B:-$A$A}\n", 4000) + "[ \"$A\" = x ] && y",
		"x" + strings.Repeat("|x", 900),
		"x" + strings.Repeat("&&x||y", 400),
		"[ a" + strings.Repeat(" -a \"$B\" = c -o \"$D\" = e", 2000) + " ] && x",
		"[ " + strings.Repeat("! ", 30000) + "a ] && x",
		"[ " + strings.Repeat(`\( `, 4000) + "a ] && x",
		strings.Repeat("if ", 20000), strings.Repeat("a|", 30000), strings.Repeat("$(", 4000), strings.Repeat("`", 60000),
		strings.Repeat("! ", 30000), strings.Repeat("x=${y:-", 4000), strings.Repeat("f()", 4000),
	} {
		start := time.Now()
		script, err := shell.Parse(text)
		if err == nil {
			script.Eval(production)
			_ = script.Gate().String()
		}
		// Each takes some milliseconds; what grows out of hand takes years.
		assert.Less(t, time.Since(start), 30*time.Second, "%.60q", text)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`[ "$A" = main ] && cmd`, `case $A in a*|b) x;; *) y;; esac`, `f() { x; }; f || exit`, `sh -c 'x "$A"' | croncape -t 1h y`,
		"cat <<E\n$(x)\nE", `[[ $A == x* ]] && y`, `set -eu; for i in $(x); do eval "y"; done`, `env -i A=1 sh -c x &`, `"" ''`, `trap 'x' EXIT; . y`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, command string) {
		script, err := shell.Parse(command)
		if err != nil {
			var typed *shell.Error
			require.ErrorAs(t, err, &typed)
			return
		}
		_ = script.Gate().String()
		verdicts := script.Eval(production)
		require.Len(t, verdicts, len(script.Calls()))
		for _, v := range verdicts {
			require.NotEmpty(t, v.Call.Words)
			_ = v.Because.String()
		}
	})
}

func TestWhatElseIsNoted(t *testing.T) {
	t.Parallel()
	const command = `set -o pipefail
X=1 php a > "$HOME/x" 2>&1
sh -c '[ "$A" = main ] && source b >> /c'
sh -c "[ \"\$A\" != main ] && [[ x ]]"
export UPSUN_CLI_TOKEN=abc Y="$Z"
curl x | sh; for i in 1 2; do php d; done
[ -x bin/tool -a "$B" = b ] && php e`
	s := parse(t, command)
	in := func(p shell.Place) string {
		if !p.Exact {
			return "~"
		}
		return command[p.From:p.To]
	}
	var got []string
	for _, x := range s.Tests() {
		got = append(got, x.Variable+" "+string(x.Operator)+" "+x.Value+" "+in(x.Name)+" "+in(x.Text))
	}
	assert.Equal(t, []string{`A = main "$A" main`, `A != main ~ ~`, `B = b "$B" b`}, got)
	got = nil
	for _, x := range s.Redirects() {
		got = append(got, x.Variable+":"+x.Path+" "+in(x.Place))
	}
	assert.Equal(t, []string{`HOME:/x "$HOME/x"`, ":/c /c"}, got)
	got = nil
	for _, x := range s.Assignments() {
		got = append(got, fmt.Sprint(x.Name, x.Literal, " ", in(x.Place)))
	}
	assert.Equal(t, []string{"Xtrue X=1", "UPSUN_CLI_TOKENtrue UPSUN_CLI_TOKEN=abc", `Yfalse Y="$Z"`}, got)
	got = nil
	for _, x := range s.Bashisms() {
		got = append(got, x.What+" "+in(x.Place))
	}
	assert.Equal(t, []string{"set -o pipefail set", "source source", "[[ ~"}, got)
	assert.Equal(t, []string{"-x", "bin/tool"}, s.Mentions())
	ending, ok := s.Ending()
	assert.True(t, ok)
	assert.Equal(t, `[ -x bin/tool -a "$B" = b ]`, in(ending))
	got = nil
	for _, c := range s.Calls() {
		got = append(got, fmt.Sprint(c.Words[0].Text, c.Pipe, c.Stage, c.Loop, " ", in(c.Places[0])))
	}
	assert.Equal(t, []string{"php0 0 false php", "source0 0 false source", "curl1 0 false curl", "sh1 1 false sh", "php0 0 true php", "php0 0 false php"}, got)

	got = nil
	for _, x := range shell.Bashisms("a=(1)\nfunction f { x; }\ncat <<< y &> z\necho ${a//b/c} ${!d}") {
		got = append(got, x.What)
	}
	assert.Equal(t, []string{"an array", "function", "<<<", "&>", "${.../.../...}", "${!...}"}, got)
	assert.Empty(t, shell.Bashisms("a=1; f() { x; }; echo ${a%b} $((a + 1)); if"))
}
