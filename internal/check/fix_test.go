package check_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/check"
)

// fixed is a text after Fix, and what it says of it.
func fixed(t *testing.T, text string) (check.Fixed, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), ".platform.app.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	source, err := appconfig.ReadFile(file)
	require.NoError(t, err)
	all := check.Run([]*appconfig.Source{source}, check.Options{Now: now})
	return check.Fix(file, []byte(text), all)
}

// TestFix: what is rewritten, and that nothing else is.
func TestFix(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after string }{
		"everything at once, with comments, order and quotes": {`
# production only
name: "app"   # the shop
crons:
    snapshot:   # nightly
        spec: '0 3 * * *'
        # the old way
        cmd: |
            # only master
            if [ "$PLATFORM_BRANCH" = master ]; then

                /app/.platformsh/bin/platform snapshot:create --yes   # wait?
            fi
        timeout: 60   # s
    other: { spec: "0 4 * * *", cmd: 'php x' }   # in braces
disk: 512
`, `
# production only
name: "app"   # the shop
crons:
    snapshot:   # nightly
        spec: '0 3 * * *'
        # the old way
        commands:
            start: |
                # only master
                if [ "$PLATFORM_ENVIRONMENT_TYPE" = production ]; then

                    /app/.platformsh/bin/platform backup:create --no-wait --yes   # wait?
                fi
        timeout: 60   # s
    other: { spec: "0 4 * * *", commands: { start: 'php x' } }   # in braces
disk: 512
`},
		"quotes of the guard stay": {
			"name: app\ncrons:\n  a:\n    spec: '0 3 * * 0'\n    commands:\n      start: 'if [ \"${PLATFORM_BRANCH}\" != \"main\" ]; then exit 0; fi; platform redeploy -y -W'\n",
			"name: app\ncrons:\n  a:\n    spec: '0 3 * * 0'\n    commands:\n      start: 'if [ \"${PLATFORM_ENVIRONMENT_TYPE}\" != \"production\" ]; then exit 0; fi; platform redeploy -y -W'\n",
		},
		"a quote that is doubled": {
			"name: app\ncrons:\n  a:\n    spec: '0 3 * * 0'\n    cmd: 'php ''x''; [ \"$APP_ENV\" = prod ] || exit 0; platform redeploy'\n",
			"name: app\ncrons:\n  a:\n    spec: '0 3 * * 0'\n    commands:\n      start: 'php ''x''; [ \"$APP_ENV\" = prod ] || exit 0; platform redeploy --no-wait'\n",
		},
		"line ends of Windows": {
			"name: app\r\ncrons:\r\n  a:\r\n    spec: '0 3 * * 0'\r\n    cmd: |\r\n      php x\r\n      [ \"$PLATFORM_BRANCH\" = main ] || exit 0\r\n      php y\r\n",
			"name: app\r\ncrons:\r\n  a:\r\n    spec: '0 3 * * 0'\r\n    commands:\r\n      start: |\r\n        php x\r\n        [ \"$PLATFORM_ENVIRONMENT_TYPE\" = production ] || exit 0\r\n        php y\r\n",
		},
		"an anchor that two apps share": {
			"app:\n  type: x\n  crons: &crons\n    a:\n      spec: '0 3 * * 0'\n      cmd: 'php x'\nother:\n  type: x\n  crons: *crons\n",
			"app:\n  type: x\n  crons: &crons\n    a:\n      spec: '0 3 * * 0'\n      commands:\n        start: 'php x'\nother:\n  type: x\n  crons: *crons\n",
		},
		"a value on several lines": {
			"name: app\ncrons:\n  a:\n    cmd: php x\n      --all\n    spec: '0 3 * * 0'\n",
			"name: app\ncrons:\n  a:\n    commands:\n      start: php x\n        --all\n    spec: '0 3 * * 0'\n",
		},
		"to the agent, with its comments, and nothing else of it rewritten": {`name: app
timezone: Europe/Paris
crons:
    # wakes the agent
    agent: { spec: '*/5 * * * *', commands: { start: cronagent tick } }
    # Nightly.
    # Ask Ann.
    "backup":
        spec: '0 3 * * 0'   # Sundays
        cmd: |
            if [ "$PLATFORM_BRANCH" = main ]; then
                platform snapshot:create --live --yes
            fi

    # stays
    other: { spec: '0 4 * * *', commands: { start: php x } }
    sync: { spec: '0 4 * * 1', commands: { start: 'cronagent fire source-operation:run update' } }
variables:
    cronagent:
        timezone: UTC
        crons:   # of the agent
            # the first
            redeploy: { spec: '0 5 * * 0', fire: redeploy }
`, `name: app
timezone: Europe/Paris
crons:
    # wakes the agent
    agent: { spec: '*/5 * * * *', commands: { start: cronagent tick } }

    # stays
    other: { spec: '0 4 * * *', commands: { start: php x } }
variables:
    cronagent:
        timezone: UTC
        crons:   # of the agent
            # Nightly.
            # Ask Ann.
            "backup":
                spec: '0 3 * * 0'   # Sundays
                fire: 'backup:create --live'
                timezone: Europe/Paris
            sync:
                spec: '0 4 * * 1'
                fire: 'source-operation:run update'
                timezone: Europe/Paris
            # the first
            redeploy: { spec: '0 5 * * 0', fire: redeploy }
`},
		"an anchor outside of crons": {
			"x-base: &base\n  spec: '0 3 * * 0'\n  cmd: '[ \"$PLATFORM_BRANCH\" = main ] || exit 0; php x'\nname: app\ncrons:\n  a: *base\n  b:\n    <<: *base\n    spec: '0 4 * * 0'\n",
			"x-base: &base\n  spec: '0 3 * * 0'\n  commands:\n    start: '[ \"$PLATFORM_ENVIRONMENT_TYPE\" = production ] || exit 0; php x'\nname: app\ncrons:\n  a: *base\n  b:\n    <<: *base\n    spec: '0 4 * * 0'\n",
		},
		"the first to the agent": {
			`name: app
# What the platform runs.
crons:
    agent: { spec: '*/5 * * * *', commands: { start: cronagent tick } }
    # Nightly.
    backup:
        spec: '0 3 * * 0'
        cmd: cronagent fire backup:create
    update: { spec: '0 4 * * 1', cmd: cronagent fire source-operation:run update }
disk: 512
`, `name: app
variables:
    cronagent:
        crons:
            # Nightly.
            backup:
                spec: '0 3 * * 0'
                fire: 'backup:create'
            update:
                spec: '0 4 * * 1'
                fire: 'source-operation:run update'
# What the platform runs.
crons:
    agent: { spec: '*/5 * * * *', commands: { start: cronagent tick } }
disk: 512
`},
		"the first to the agent, beside other variables": {
			`name: app
variables:
  # of the app
  env:
    A: b
crons:
  agent: { spec: '*/5 * * * *', commands: { start: cronagent tick } }
  backup: { spec: '0 3 * * 0', commands: { start: cronagent fire backup:create } }
`, `name: app
variables:
  cronagent:
    crons:
      backup:
        spec: '0 3 * * 0'
        fire: 'backup:create'
  # of the app
  env:
    A: b
crons:
  agent: { spec: '*/5 * * * *', commands: { start: cronagent tick } }
`},
		"the first to the agent, beside other settings of it": {
			`name: app
crons:
  agent: { spec: '*/5 * * * *', commands: { start: cronagent tick } }
  backup: { spec: '0 3 * * 0', commands: { start: cronagent fire backup:create } }
variables:
    env: { A: b }
    cronagent:
        notify: { mail: ops@example.com }
`, `name: app
crons:
  agent: { spec: '*/5 * * * *', commands: { start: cronagent tick } }
variables:
    env: { A: b }
    cronagent:
        crons:
            backup:
                spec: '0 3 * * 0'
                fire: 'backup:create'
        notify: { mail: ops@example.com }
`},
		"in sh -c": {
			"name: app\ncrons:\n  a:\n    spec: '0 3 * * 0'\n    commands: { start: \"sh -c 'test $PLATFORM_BRANCH = main || exit 0; platform redeploy'\" }\n",
			"name: app\ncrons:\n  a:\n    spec: '0 3 * * 0'\n    commands: { start: \"sh -c 'test $PLATFORM_ENVIRONMENT_TYPE = production || exit 0; platform redeploy --no-wait'\" }\n",
		},
	} {
		got, err := fixed(t, c.before)
		require.NoError(t, err, name)
		assert.Equal(t, c.after, string(got.After), name)
		again, err := fixed(t, string(got.After))
		require.NoError(t, err, name)
		assert.Equal(t, string(got.After), string(again.After), "%s: once is enough", name)
		assert.Empty(t, again.Findings, name)
	}
}

// TestFixLeaves: what is not safe, or cannot be found in the file, stays as it is.
func TestFixLeaves(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"another branch":                  cronOf("if [ \"$PLATFORM_BRANCH\" = develop ]; then\nphp x\nfi"),
		"a branch with a name of its own": cronOf("if [ \"$PLATFORM_BRANCH\" = prod ]; then\nphp x\nfi"),
		"a variable in between":           cronOf("b=$PLATFORM_BRANCH\nif [ \"$b\" = main ]; then\nphp x\nfi"),
		"a case":                          cronOf("case $PLATFORM_BRANCH in\nmain) php x;;\nesac"),
		"folded":                          "name: app\ncrons:\n  a:\n    spec: '0 3 * * 0'\n    commands:\n      start: >\n        [ \"$PLATFORM_BRANCH\" = main ] ||\n        exit 0; platform redeploy\n",
		"in double quotes of sh -c":       cronOf(`sh -c "platform redeploy"`),
		"it is asked to wait":             cronOf("platform redeploy --wait"),
		"cmd beside commands":             "name: app\ncrons:\n  a: { spec: '0 3 * * 0', cmd: x, commands: { start: x } }\n",
		"what the agent cannot have without losing a comment": strings.Replace(agents(backup, ""), "variables:", "    it:\n        spec: '0 3 * * 0'\n        commands:\n            # not on Mondays\n            start: cronagent fire redeploy\nvariables:", 1),
		"an agent cron of that name":                          strings.Replace(agents(backup, ""), "variables:", "    backup: { spec: '0 3 * * 0', commands: { start: cronagent fire redeploy } }\nvariables:", 1),
		"nothing to do":                                       cronOf("php x"),
	} {
		got, err := fixed(t, text)
		require.NoError(t, err, name)
		assert.Equal(t, text, string(got.After), name)
	}
}

// TestFixHints: the hint that --fix does something is there only if it does.
func TestFixHints(t *testing.T) {
	t.Parallel()
	const tick = "name: app\ncrons:\n    agent: { spec: '*/5 * * * *', commands: { start: cronagent tick } }\n"
	for _, c := range []struct{ text, code, hint string }{
		{tick + "    b: { spec: '0 3 * * 0', commands: { start: cronagent fire backup:create } }\n", "move-to-agent", "move it to variables.cronagent.crons; cronagent check --fix does"},
		{tick + "    b:\n        # when\n        spec: '0 3 * * 0'\n        commands: { start: cronagent fire backup:create --live }\n", "move-to-agent", "write below variables.cronagent.crons: b: { spec: '0 3 * * 0', fire: 'backup:create --live' }"},
		{tick + "    b: { spec: '0 3 * * 0', cmd: php x }\n", "cmd-deprecated", "write commands: and below it start: with the command; cronagent check --fix does"},
		{tick + "    b: { spec: '0 3 * * 0', cmd: &x php x }\n    c: { spec: '0 4 * * 0', cmd: *x }\n", "cmd-deprecated", "write commands: and below it start: with the command"},
	} {
		var hints []string
		for _, f := range found(t, c.text, check.Options{}) {
			if f.Code == c.code {
				hints = append(hints, f.Hint)
				assert.Equal(t, f.Fixable(), strings.Contains(f.Hint, "--fix"), "%+v", f)
			}
		}
		assert.Contains(t, hints, c.hint, c.text)
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	lines := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.Repeat("x", i+1) + "\n")
		}
		return b.String()
	}
	diff := func(before, after string) string {
		return check.Diff(check.Fixed{File: "f", Before: []byte(before), After: []byte(after)})
	}
	head := "--- f\n+++ f\n"
	assert.Equal(t, head+"@@ -1,2 +1,3 @@\n a\n-b\n+c\n+d\n", diff("a\nb\n", "a\nc\nd\n"))
	assert.Equal(t, head+"@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n", diff("a", "b"))
	assert.Equal(t, head+"@@ -3,5 +3,6 @@\n xxx\n xxxx\n xxxxx\n+new\n xxxxxx\n xxxxxxx\n", diff(lines(7), strings.Replace(lines(7), "xxxxx\nxxxxxx\n", "xxxxx\nnew\nxxxxxx\n", 1)))
	two := diff(lines(20), "first\n"+lines(20)+"last\n")
	assert.Equal(t, head+"@@ -1,3 +1,4 @@\n+first\n x\n xx\n xxx\n@@ -18,3 +19,4 @@\n "+strings.Repeat("x", 18)+"\n "+strings.Repeat("x", 19)+"\n "+strings.Repeat("x", 20)+"\n+last\n", two)
}

// TestDiffShowsNoToken: a diff ends up in the log of a build.
func TestDiffShowsNoToken(t *testing.T) {
	t.Parallel()
	const secret = "s3cretS3cret-s3cretS3cret_s3cretS3cret0000"
	for _, line := range []string{
		"start: 'PLATFORMSH_CLI_TOKEN=TOKEN platform backup:create'",
		"cmd: export UPSUN_CLI_TOKEN=\"TOKEN\"; upsun backup:create",
		"OVHCLOUD_WEBPAAS_CLI_TOKEN: TOKEN",
		"'PLATFORMSH_CLI_TOKEN' : 'TOKEN'",
		"start: upsun variable:create env:UPSUN_CLI_TOKEN --value TOKEN",
		"start: upsun variable:create env:UPSUN_CLI_TOKEN --value=TOKEN -y",
		"start: curl -d api_token=TOKEN https://auth.example.com",
	} {
		for _, token := range []string{secret, "short12"} {
			if token != secret && strings.Contains(line, "--value") {
				continue
			}
			line := strings.ReplaceAll(line, "TOKEN", "\x00")
			line = strings.ReplaceAll(strings.ReplaceAll(line, "_CLI_\x00", "_CLI_TOKEN"), "\x00", token)
			require.Contains(t, line, token)
			before := "a: b\n" + line + "\n"
			diff := check.Diff(check.Fixed{File: "f", Before: []byte(before), After: []byte("a: c\n" + line + " --no-wait\n")})
			assert.NotContains(t, diff, token)
			assert.Contains(t, diff, "********")
			assert.Contains(t, diff, " --no-wait\n")
		}
	}
	const line = "start: 'test -n \"$PLATFORMSH_CLI_TOKEN\" || exit; A=$UPSUN_CLI_TOKEN platform backup:create'\n"
	assert.Contains(t, check.Diff(check.Fixed{File: "f", Before: []byte(line), After: []byte("a: b\n" + line)}), "\n "+line, "a name is no secret")
}
