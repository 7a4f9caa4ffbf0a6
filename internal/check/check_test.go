package check_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/check"
)

// now is the moment at which all tests look.
var now = time.Date(2026, time.September, 1, 12, 0, 0, 0, time.UTC)

// found are the findings in one file of that text, or in several files: each begins
// with a line "-- path --".
func found(t *testing.T, text string, opts check.Options) []*check.Finding {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".git"), 0o700))
	name := ".platform.app.yaml"
	files := map[string]string{}
	for line := range strings.Lines(text) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "-- "); ok {
			name = strings.TrimSuffix(path, " --")
			continue
		}
		files[name] += line
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	opts.Now = now
	sources, err := appconfig.FindAll(dir)
	opts.Unread, _ = errors.AsType[appconfig.Errors](err)
	all := check.Run(sources, opts)
	for i := range all {
		all[i].File, _ = filepath.Rel(dir, all[i].File)
	}
	return all
}

// cronWith is a file with one cron of the platform: its spec, and its command as a
// block of text.
func cronWith(spec, command string) string {
	return "name: app\ntype: 'php:8.3'\ncrons:\n    it:\n        spec: '" + spec + "'\n        commands:\n            start: |\n                " +
		strings.ReplaceAll(command, "\n", "\n                ") + "\n"
}

func cronOf(command string) string { return cronWith("0 5 * * *", command) }

func timed(spec string) string { return cronWith(spec, "php x") }

// hook is a file with a build hook.
func hook(text string) string {
	return "name: app\ntype: 'php:8.3'\nhooks:\n    build: |\n        set -e\n        " + strings.ReplaceAll(text, "\n", "\n        ") + "\n"
}

// agents is a file with a tick and agent crons; more is what else the app has.
func agents(crons, more string) string {
	return "name: app\ntype: 'php:8.3'\n" + more + `
mounts:
    '/.cronagent': { source: local, source_path: cronagent }
crons:
    agent:
        spec: '*/5 * * * *'
        commands: { start: cronagent tick }
variables:
    cronagent:
        crons:
` + "            " + strings.ReplaceAll(crons, "\n", "\n            ") + "\n"
}

const (
	backup      = "backup: { spec: '0 5 * * 0', fire: 'backup:create' }"
	production  = `[ "$PLATFORM_ENVIRONMENT_TYPE" = production ]`
	ifProd      = "if " + production + "; then\n"
	noWait      = "platform backup:create --yes --no-wait"
	mountNone   = "name: app\ntype: 'php:8.3'\n"
	agentWorker = "workers:\n    agent: { commands: { start: cronagent run } }\n"
)

// cases are for each rule what it must report, and what not. A line that it must
// report may be named by "LINE:COLUMN ".
var cases = []struct {
	code string
	bad  []string
	good []string
	plan string
}{
	{code: "yaml",
		bad:  []string{"3:16 name: app\ncrons:\n    a: { spec: * * * * *, cmd: x }\n", "crons:\n\ta: 1\n"},
		good: []string{timed("0 5 * * *")}},
	{code: "schema",
		bad: []string{
			"2:1 name: app\ncron_jobs: {}\n", "name: app\ncrons:\n    a: { spec: '0 5 * * *', commands: { start: x, begin: y } }\n",
			"name: app\ncrons:\n    a: { spec: '0 5 * * *', cmd: x, timeout: 86401 }\n", "name: app\ncrons:\n    a: { spec: 5, cmd: x }\n",
			"name: app\nvariables:\n    env: 5\n", "-- .upsun/config.yaml --\napplications:\n    app:\n        type: 'php:8.3'\n        disk: 512\n",
			"name: app\ncrons:\n    a: { spec: '0 5 * * *' }\n",
			"3:5 name: app\nhooks:\n    predeploy: x\n", "3:12 name: app\nhooks:\n    build: [x]\n", "4:9 name: app\nworkers:\n    queue:\n        start: x\n",
			"4:30 name: app\nweb:\n  locations:\n    /: { root: web, scripts: 'maybe' }\n", "3:12 name: app\nmounts:\n    files: 5\n",
		},
		good: []string{timed("0 5 * * *"), "name: app\ndisk: 512\nsize: S\nvariables: { env: { A: b }, other: { x: 1 } }\n",
			// Older words of Platform.sh.
			"name: app\nmounts:\n    web/files: 'shared:files/files'\n    /tmp: { source: local, source_path: tmp }\nweb:\n    document_root: /web\n    passthru: /index.php\nworkers:\n    q: { disk: 256, size: S, commands: { start: x } }\n",
			// What has no value, comes from elsewhere, or is read as YAML 1.1 has it.
			"name: app\nrelationships:\nweb:\n  locations:\n    /: { root: , scripts: off, allow: Yes }\n    /x: !include x.yaml\n  commands: !archive x\n",
		}},
	{code: "agent-config",
		bad:  []string{agents("x: { spec: '0 5 * * *', fire: 'backup:crate' }", ""), "name: app\nvariables:\n  cronagent:\n    crons:\n      a:\n        spec: '0 5 * * *'\n        fires: x\n"},
		good: []string{agents(backup, "")}},
	{code: "commands-string",
		bad:  []string{"4:23 name: app\ncrons:\n    a:\n            commands: php x\n            spec: '0 5 * * *'\n"},
		good: []string{timed("0 5 * * *"), "name: app\ncrons:\n    a: { spec: '0 5 * * *', cmd: x }\n"}},
	{code: "cmd-deprecated",
		bad:  []string{"4:9 name: app\ncrons:\n    a:\n        cmd: php x\n        spec: '0 5 * * *'\n"},
		good: []string{timed("0 5 * * *")}},
	{code: "token-literal",
		bad: []string{
			"4:31 name: app\nvariables:\n    env:\n        PLATFORMSH_CLI_TOKEN: 'a-secret'\n",
			cronOf("PLATFORMSH_CLI_TOKEN=a-secret platform backup:list"), cronOf("export UPSUN_CLI_TOKEN=a-secret\nupsun backup:list"),
			cronOf("curl -d api_token=a-secret https://auth.upsun.com/oauth2/token"), hook("env PLATFORMSH_CLI_TOKEN=a-secret .platformsh/bin/platform"),
			cronOf("platform variable:create env:PLATFORMSH_CLI_TOKEN --value a-secret"),
		},
		good: []string{
			"name: app\nvariables:\n    env:\n        PLATFORMSH_CLI_TOKEN: ''\n", cronOf(`PLATFORMSH_CLI_TOKEN="$OTHER" platform backup:list`),
			cronOf("TOKEN=abc php x"), cronOf(`curl -d "api_token=$TOKEN" https://auth.upsun.com/oauth2/token`),
		}},
	{code: "spec",
		bad:  []string{"5:15 " + timed("60 * * * *"), timed("* * * *"), timed("@reboot"), timed("TZ=UTC 0 5 * * *")},
		good: []string{timed("0 5 * * *"), timed("@daily"), timed("H 5 * * mon")}},
	{code: "spec-never",
		bad:  []string{"5:15 " + timed("0 0 31 2 *"), timed("0 0 31 4,6 *")},
		good: []string{timed("0 0 29 2 *"), timed("60 * * * *")}},
	{code: "spec-step",
		bad:  []string{"5:15 " + timed("5/15 * * * *"), timed("0 0,8/4 * * *")},
		good: []string{timed("*/15 * * * *"), timed("5-59/15 * * * *"), timed("H/15 * * * *"), timed("0 5 * * *")}},
	{code: "spec-days",
		bad:  []string{timed("0 0 13 * 5"), timed("0 0 */2 * 1")},
		good: []string{timed("0 0 13 * *"), timed("0 0 * * 5"), timed("0 1 * * 1-6")}},
	{code: "spec-interval",
		bad:  []string{timed("* * * * *"), timed("*/1 * * * *"), timed("*/2 8-18 * * *"), timed("0,1 5 * * *"), timed("H/2 * * * *")},
		good: []string{timed("*/5 * * * *"), timed("*/19 * * * *"), timed("H/7 * * * *"), agents("x: { spec: '@every 30s', commands: { start: x }, timeout: 60 }", "")}},
	{code: "spec-interval", plan: "enterprise",
		bad:  nil,
		good: []string{timed("* * * * *")}},
	{code: "spec-interval", plan: "upsun",
		bad:  []string{timed("* * * * *")},
		good: []string{timed("*/5 * * * *")}},
	{code: "spec-hash", plan: "dedicated-gen-2",
		bad:  []string{timed("H 5 * * *")},
		good: []string{timed("0 5 * * *"), timed("0 0 * * THU"), agents("x: { spec: 'H 5 * * *', fire: 'backup:create' }", "")}},
	{code: "spec-hash", good: []string{timed("H 5 * * *")}},
	{code: "clock-change",
		bad:  []string{"timezone: Europe/Paris\n" + timed("30 2 * * *"), "timezone: Europe/Paris\n" + timed("*/15 2 * * *"), "timezone: America/Santiago\n" + timed("0 0 * * *")},
		good: []string{timed("30 2 * * *"), "timezone: Europe/Paris\n" + timed("30 5 * * *"), "timezone: Europe/Paris\n" + timed("*/5 * * * *")}},
	{code: "bashism",
		bad: []string{
			cronOf(`[[ "$A" = x ]] && php y`), "9:17 " + cronOf("php x\nfunction f { php y; }"), "8:19 " + cronOf("a=(1 2)"), cronOf("cat <<< x"),
			cronOf(`if [ "$A" == x ]; then php y; fi`), cronOf("source .environment"), cronOf("set -eo pipefail\nphp x"), cronOf("php x &> /dev/null"),
			cronOf("echo ${A//a/b}"), hook("[[ -f x ]] && php y"), cronOf("for ((i=0;i<3;i++)); do php x; done"), cronOf("diff <(a) <(b)"), cronOf("php x |& tee /tmp/x"), cronOf("((A++))"),
		},
		good: []string{
			cronOf(`[ "$A" = x ] || php y`), cronOf("f() { php y; }\nf"), cronOf(`bash -c 'a=(1 2); [[ $a == 1 ]] && source x'`), cronOf("php x > /dev/null 2>&1"),
			cronOf(". ./.environment"), cronOf("echo ${A:-b} ${A%.x}"), cronOf("cat <<E\n[[ x ]]\nE"), cronOf("php x '[[ a == b ]]'"), cronOf("set -e\nphp x"), cronOf("echo $((1 + 2))"),
		}},
	{code: "shell-syntax",
		bad:  []string{cronOf("if true; then php x"), cronOf("echo 'x"), "8:17 " + cronOf("fi")},
		good: []string{cronOf("if true; then php x; fi"), cronOf("a=(1 2)")}},
	{code: "guard-exit",
		bad:  []string{"8:17 " + cronOf(production+" && php x"), cronOf("php y\n" + production + " && php x")},
		good: []string{cronOf(ifProd + "php x\nfi"), cronOf(production + " && php x || true"), cronOf(production + " && php x\nphp y"), cronOf("php a && php b"), cronOf(production + " || exit 0\nphp x")}},
	{code: "guard-branch",
		bad: []string{
			"8:22 " + cronOf("if [ \"$PLATFORM_BRANCH\" = main ]; then\nphp x\nfi"), cronOf(`[ master != "$PLATFORM_BRANCH" ] || php x`),
			cronOf("case $PLATFORM_BRANCH in\nmain) php x;;\nesac"), cronOf(`test "$PLATFORM_BRANCH" = main -a -f x || php x`),
		},
		good: []string{cronOf(ifProd + "php x\nfi"), cronOf("if [ \"$PLATFORM_BRANCH\" = update-dependencies ]; then\nphp x\nfi"), cronOf(`echo "$PLATFORM_BRANCH" = main`)}},
	{code: "guard-environment",
		bad:  []string{cronOf("if [ \"$PLATFORM_ENVIRONMENT\" = master-7rqtwti ]; then\nphp x\nfi"), cronOf("case $PLATFORM_ENVIRONMENT in\nmain) php x;;\nesac")},
		good: []string{cronOf(ifProd + "php x\nfi"), cronOf(`php x "$PLATFORM_ENVIRONMENT"`)}},
	{code: "guard-type",
		bad: []string{
			"8:22 " + cronOf("if [ \"$PLATFORM_ENVIRONMENT_TYPE\" = prod ]; then\nphp x\nfi"),
			cronOf("[ \"$PLATFORM_ENVIRONMENT_TYPE\" != Production ] && exit 0\nphp x"), cronOf("case $PLATFORM_ENVIRONMENT_TYPE in\nmain) php x;;\nesac"),
		},
		good: []string{
			cronOf(ifProd + "php x\nfi"), cronOf("[ \"$PLATFORM_ENVIRONMENT_TYPE\" = staging ] || exit 0\nphp x"), cronOf("case $PLATFORM_ENVIRONMENT_TYPE in\ndevelopment|staging) exit;;\nesac\nphp x"),
			cronOf("if [ \"$PLATFORM_ENVIRONMENT_TYPE\" = \"\" ]; then\nexit\nfi\nphp x"), cronOf("if [ \"$PLATFORM_ENVIRONMENT_TYPE\" = \"$ONLY\" ]; then\nphp x\nfi"), cronOf("case $PLATFORM_ENVIRONMENT_TYPE in\nprod*) php x;;\nesac"),
		}},
	{code: "unguarded",
		bad: []string{
			"8:26 " + cronOf(noWait), cronOf("set -e\nplatform sync data --no-wait\n" + noWait), cronOf("croncape /app/.platformsh/bin/platform redeploy -y -W"),
			cronOf("[ -n \"$PLATFORM_BRANCH\" ] || exit 0\n" + noWait), cronOf("[ -z \"$DISABLED\" ] || exit 0\n" + noWait), cronOf("cronagent backup:create"),
			cronOf(ifProd + "php x\nfi\n" + noWait),
		},
		good: []string{
			cronOf(ifProd + noWait + "\nfi"), cronOf("[ \"$PLATFORM_ENVIRONMENT_TYPE\" = production ] || exit 0\n" + noWait), cronOf("if [ \"$PLATFORM_BRANCH\" = main ]; then\n" + noWait + "\nfi"),
			cronOf("bin/is-production && " + noWait), cronOf("if [ \"$APP_ENV\" = prod ]; then\n" + noWait + "\nfi"), cronOf("platform backup:list"), cronOf("cronagent fire backup:create"),
			cronOf("php bin/console scheduled-task:run --no-wait"), cronOf("platform help"), agents("x: { spec: '0 5 * * 0', commands: { start: '"+noWait+"' }, timeout: 60 }", ""), cronOf("symfony console cache:clear"),
			cronOf("cronagent exec -- " + noWait),
		}},
	{code: "no-wait",
		bad:  []string{"9:26 " + cronOf(ifProd+"platform backup:create --yes\nfi"), cronOf("platform redeploy"), cronOf("upsun sync data --wait"), cronOf("symfony redeploy --yes")},
		good: []string{cronOf(noWait), cronOf("platform backup:create -yW"), cronOf("platform backup:list"), cronOf("platform backup:create $OPTIONS"), cronOf("cronagent fire backup:create"), hook(".platformsh/bin/cronagent version") + "crons:\n    a: { spec: '0 5 * * *', commands: { start: 'platform backup:create' } }\n"}},
	{code: "removed-command",
		bad:  []string{"8:26 " + cronOf("platform snapshot:create --no-wait"), cronOf("symfony env:snapshot:create --no-wait"), cronOf("platform snapshots")},
		good: []string{cronOf(noWait), cronOf("php bin/console snapshot:create"), cronOf("cronagent fire snapshot:create")}},
	{code: "sleep",
		bad: []string{
			cronWith("* * * * *", "php x\nsleep 30\nphp x"), cronWith("*/5 * * * *", "for i in 1 2 3 4 5; do php x; sleep 60; done"), cronWith("* * * * *", "sleep 30; php x"),
		},
		good: []string{cronWith("0 5 * * *", "php x\nsleep 30\nphp y"), cronWith("0 5 * * *", "until curl -f http://x; do sleep 5; done"), cronWith("*/5 * * * *", "sleep $((RANDOM))\nphp x")}},
	{code: "read-only",
		bad: []string{
			"8:25 " + cronOf("php x > var/log/x.log"), cronOf("php x >> /app/x.log 2>&1"), cronOf(`{ php x; php y; } > "$PLATFORM_APP_DIR/x"`), cronOf("true > $HOME/x.log"), cronOf("php x > /etc/x"), cronOf("php x | tee -a /app/x.log"),
			"8:32 " + cronOf(`php x | tee -a "$PLATFORM_APP_DIR/var/x.log"`), cronOf("php x | tee ${HOME}/x.log"),
		},
		good: []string{
			cronOf("php x > /dev/null 2>&1"), cronOf("php x > /tmp/x"), cronOf("php x >> /var/log/app.log"), cronOf(`php x > "$LOG"`), cronOf("cd var && php x > log"), cronOf("echo '> x'"),
			"mounts: { 'var/log': { source: local } }\n" + cronOf("php x > var/log/x.log"), "mounts: { '/var': 'shared:files/var' }\n" + cronOf(`php x > "$PLATFORM_APP_DIR/var/x"`), cronOf("php x < config.txt"),
			"mounts: { '/var': 'shared:files/var' }\n" + cronOf(`php x | tee "$PLATFORM_APP_DIR/var/x"`), cronOf(`php x | tee "$LOG_DIR/x"`),
		}},
	{code: "php-installer",
		bad:  []string{"6:9 " + hook("curl -sS https://platform.sh/cli/installer | php")},
		good: []string{hook("curl -sS https://getcomposer.org/installer | php"), hook("curl -fsS https://downloads.cronagent.example/install.sh | sh")}},
	{code: "pipe-to-shell",
		bad: []string{
			"6:9 " + hook("curl -fsS https://downloads.cronagent.example/install.sh | sh"), hook("wget -qO- https://x.example/install.sh | bash\ncomposer install"),
			hook("curl -sS https://platform.sh/cli/installer | php\nnpm ci"),
		},
		good: []string{
			hook("curl -fsS https://downloads.cronagent.example/install.sh | sh\n.platformsh/bin/cronagent version"), hook("curl https://sh.rustup.rs | sh -s -- -y\ncargo build"),
			hook("curl -s https://x.example/data.json | php bin/import.php"), hook("curl -fsS https://x.example/tool | bash /dev/stdin scalsun\n[ -x bin/scalsun ]"), hook("curl https://x.example/x | jq ."), hook("curl -s https://x.example | php -r 'echo 1;'"),
		}},
	{code: "collision",
		bad:  []string{timed("0 * * * *") + "    other: { spec: '0 */1 * * *', commands: { start: php y } }\n"},
		good: []string{timed("0 * * * *") + "    other: { spec: '5 * * * *', commands: { start: php y } }\n", timed("H * * * *") + "    other: { spec: 'H * * * *', commands: { start: php y } }\n", timed("*/5 * * * *") + "    other: { spec: '*/10 * * * *', commands: { start: php y } }\n"}},
	{code: "starves",
		bad:  []string{timed("0 3 * * *") + "        timeout: 3600\n    other: { spec: '*/5 * * * *', commands: { start: php y } }\n"},
		good: []string{timed("0 3 * * *") + "    other: { spec: '*/5 * * * *', commands: { start: php y } }\n", timed("0 3 * * *") + "        timeout: 3600\n    other: { spec: '0 9 * * *', commands: { start: php y } }\n", timed("0 3 * * *") + "        timeout: 900\n    other: { spec: '*/10 * * * *', commands: { start: php y } }\n"}},
	{code: "long-command",
		bad:  []string{"9:18 " + timed("0 3 * * *") + "        timeout: 7200\n"},
		good: []string{timed("0 3 * * *"), timed("0 3 * * *") + "        timeout: 600\n", agents("x: { spec: '0 5 * * *', commands: { start: x }, timeout: 7200 }", "")}},
	{code: "backup-quota",
		bad:  []string{cronOf(ifProd + noWait + "\nfi"), cronWith("0 */6 * * *", "cronagent fire backup:create"), agents("x: { spec: 'H 5 * * *', fire: 'backup:create' }", "")},
		good: []string{cronWith("0 5 * * 0", "cronagent fire backup:create"), cronWith("0 5 1 * *", noWait), cronOf("platform backup:list"), agents(backup, "")}},
	{code: "redeploy-certificate",
		bad:  []string{"name: app\ncrons:\n    renewcert: { spec: '0 9 14 * *', commands: { start: 'platform redeploy -y -W' } }\n", "name: app\ncrons:\n    # for Let's Encrypt\n    again: { spec: '0 9 14 * *', commands: { start: 'platform redeploy -y -W' } }\n"},
		good: []string{"name: app\ncrons:\n    unpause: { spec: '0 9 14 * *', commands: { start: 'platform redeploy -y -W' } }\n", "name: app\ncrons:\n    cert-report: { spec: '0 9 14 * *', commands: { start: 'php x' } }\n"}},
	{code: "same-operation",
		bad: []string{
			"-- a/.platform.app.yaml --\nname: a\ncrons: { b: { spec: '0 5 * * 0', commands: { start: 'cronagent fire backup:create' } } }\n-- b/.platform.app.yaml --\nname: b\ncrons: { b: { spec: '0 5 * * 1', commands: { start: '" + noWait + "' } } }\n",
			"-- .upsun/config.yaml --\napplications:\n    a:\n        crons: { b: { spec: '0 5 * * 0', commands: { start: 'upsun redeploy -W' } } }\n    b:\n        crons: { b: { spec: '0 5 * * 0', commands: { start: 'upsun environment:redeploy -W' } } }\n",
		},
		good: []string{
			"-- a/.platform.app.yaml --\nname: a\ncrons: { b: { spec: '0 5 * * 0', commands: { start: 'platform source-operation:run one' } } }\n-- b/.platform.app.yaml --\nname: b\ncrons: { b: { spec: '0 5 * * 1', commands: { start: 'platform source-operation:run two' } } }\n",
			// Two projects in one repository.
			"-- a/.platform.app.yaml --\nname: a\ncrons: { b: { spec: '0 5 * * 0', commands: { start: 'upsun redeploy' } } }\n-- a/.platform/services.yaml --\n{}\n-- b/.platform.app.yaml --\nname: b\ncrons: { b: { spec: '0 5 * * 1', commands: { start: 'upsun redeploy' } } }\n-- b/.platform/services.yaml --\n{}\n",
			cronOf("platform redeploy\nplatform redeploy"),
		}},
	{code: "no-agent",
		bad:  []string{mountNone + "variables:\n    cronagent:\n        crons:\n            " + backup + "\n"},
		good: []string{agents(backup, ""), mountNone + agentWorker + "variables:\n    cronagent:\n        crons:\n            " + backup + "\n", timed("0 5 * * *"), mountNone + "crons: { a: { spec: '*/5 * * * *', commands: { start: 'sh -c \"$X; cronagent tick\"' } } }\nvariables:\n    cronagent:\n        crons:\n            " + backup + "\n"}},
	{code: "move-to-agent",
		bad: []string{
			strings.Replace(agents(backup, ""), "variables:", "    it: { spec: '0 3 * * 0', commands: { start: 'cronagent fire redeploy' } }\nvariables:", 1),
			strings.Replace(agents(backup, ""), "variables:", "    it: { spec: '0 3 * * 0', commands: { start: 'if "+production+"; then platform redeploy -yW; fi' } }\nvariables:", 1),
		},
		good: []string{
			cronWith("0 5 * * 0", "cronagent fire redeploy"), // there is no agent
			strings.Replace(agents(backup, ""), "variables:", "    it: { spec: '0 3 * * 0', commands: { start: 'cronagent fire redeploy; php x' } }\nvariables:", 1),
			strings.Replace(agents(backup, ""), "variables:", "    it: { spec: '0 3 * * 0', commands: { start: 'platform redeploy' } }\nvariables:", 1),
			strings.Replace(agents(backup, ""), "variables:", "    it: { spec: '0 3 * * 0', commands: { start: 'cronagent fire redeploy --environment-types staging' } }\nvariables:", 1),
			strings.Replace(agents(backup, ""), "variables:", "    it: { spec: '0 3 * * 0', commands: { start: 'if "+production+" && [ -f x ]; then platform redeploy -yW; fi' } }\nvariables:", 1),
		}},
	{code: "two-agents",
		bad: []string{
			agents(backup, agentWorker), mountNone + "workers:\n    a: { commands: { start: cronagent run } }\n    b: { commands: { start: cronagent run } }\nvariables:\n    cronagent:\n        crons:\n            " + backup + "\n",
		},
		good: []string{agents(backup, ""), strings.Replace(agents(backup, agentWorker), "        crons:\n            b", "        ledger: database\n        crons:\n            b", 1), agents(backup, "workers:\n    queue: { commands: { start: php worker } }\n")}},
	{code: "long-under-tick",
		bad:  []string{agents("x: { spec: '0 5 * * *', commands: { start: x } }", ""), "13:70 " + agents("x: { spec: '0 5 * * *', commands: { start: x }, timeout: 600 }", "")},
		good: []string{agents("x: { spec: '0 5 * * *', commands: { start: x }, timeout: 300 }", ""), agents(backup, ""), mountNone + agentWorker + "variables:\n    cronagent:\n        crons:\n            x: { spec: '0 5 * * *', commands: { start: x } }\n"}},
	{code: "state-lost",
		bad: []string{
			strings.Replace(agents(backup, ""), "'/.cronagent'", "'/var'", 1), strings.Replace(agents(backup, ""), "source: local", "source: tmp", 1), strings.Replace(agents(backup, ""), "source: local", "source: storage", 1),
			strings.Replace(agents(backup, ""), "    cronagent:\n        crons", "    env: { CRONAGENT_STATE_DIR: /tmp/x }\n    cronagent:\n        crons", 1),
		},
		good: []string{
			agents(backup, ""), strings.Replace(strings.Replace(agents(backup, ""), "'/.cronagent'", "'/var'", 1), "        crons:\n            b", "        ledger: db\n        crons:\n            b", 1),
			strings.Replace(strings.Replace(agents(backup, ""), "'/.cronagent'", "'/var'", 1), "    cronagent:\n        crons", "    env: { CRONAGENT_STATE_DIR: var/agent }\n    cronagent:\n        crons", 1), timed("0 5 * * *"),
		}},
	{code: "notify-lost",
		bad:  []string{agents("x: { spec: '0 5 * * *', fire: 'backup:create', environment_types: [staging], notify: { mail: a@example.com } }", "")},
		good: []string{agents("x: { spec: '0 5 * * *', fire: 'backup:create', notify: { mail: a@example.com } }", ""), agents("x: { spec: '0 5 * * *', fire: 'backup:create', environment_types: [production, staging], notify: { mail: a@example.com } }", ""), agents("x: { spec: '0 5 * * *', fire: 'backup:create', environment_types: [any], notify: { mail: a@example.com, webhook: $URL } }", "")}},
}

// TestRules: each rule reports what it must, where it must, and not what it must not.
func TestRules(t *testing.T) {
	t.Parallel()
	reported, clean := map[string]bool{}, map[string]bool{}
	for _, c := range cases {
		rule := check.ByCode(c.code)
		require.NotNil(t, rule, c.code)
		var opts check.Options
		for _, plan := range check.Plans() {
			if plan.Name == c.plan {
				opts.Plan = plan
			}
		}
		for i, text := range c.bad {
			reported[c.code] = true
			var line, column int
			if n, _ := fmt.Sscanf(text, "%d:%d ", &line, &column); n == 2 {
				_, text, _ = strings.Cut(text, " ")
			}
			all := found(t, text, opts)
			at := slices.IndexFunc(all, func(f *check.Finding) bool { return f.Code == c.code })
			if !assert.GreaterOrEqual(t, at, 0, "%s %d: %+v in\n%s", c.code, i, all, text) {
				continue
			}
			f := all[at]
			assert.Equal(t, rule.Severity, f.Severity)
			assert.NotContains(t, f.Message+f.Hint, "secret")
			assert.NotEmpty(t, f.Message)
			if line > 0 {
				assert.Equal(t, []int{line, column}, []int{f.Line, f.Column}, "%s %d: %s in\n%s", c.code, i, f.Message, text)
			}
		}
		for i, text := range c.good {
			clean[c.code] = true
			for _, f := range found(t, text, opts) {
				assert.NotEqual(t, c.code, f.Code, "%s %d: %+v in\n%s", c.code, i, f, text)
			}
		}
	}
	for _, rule := range check.Rules {
		assert.True(t, reported[rule.Code], "%s has no case that must be reported", rule.Code)
		assert.True(t, clean[rule.Code], "%s has no case that must not be reported", rule.Code)
	}
}

// TestNothingWrong: what is as it should be has no finding at all.
func TestNothingWrong(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		agents(backup, "timezone: Europe/Paris\ndisk: 512\n"),
		hook("curl -fsS https://downloads.cronagent.example/install.sh | sh\n.platformsh/bin/cronagent version") +
			"crons:\n    backup: { spec: 'H 5 * * 0', commands: { start: /app/.platformsh/bin/cronagent fire backup:create } }\n",
		cronWith("*/20 * * * *", "cd web ; drush core-cron"),
	} {
		assert.Empty(t, found(t, text, check.Options{}), text)
	}
}

// TestWhatTheContainerKnows: variables of the environment, which no file shows, count.
func TestWhatTheContainerKnows(t *testing.T) {
	t.Parallel()
	lost := strings.Replace(agents(backup, agentWorker), "'/.cronagent'", "'/var'", 1)
	codes := func(opts check.Options) (codes []string) {
		for _, f := range found(t, lost, opts) {
			codes = append(codes, f.Code)
		}
		return codes
	}
	assert.ElementsMatch(t, []string{"two-agents", "state-lost"}, codes(check.Options{}))
	assert.ElementsMatch(t, []string{"two-agents"}, codes(check.Options{Lasts: true}))
	assert.Empty(t, codes(check.Options{Shared: true}))
	assert.ElementsMatch(t, []string{"two-agents", "state-lost", "notify-lost"}, codes(check.Options{NotifyProblems: []string{"no mail"}}))
}

// TestDatesOfClockChanges: the dates are those of the zone.
func TestDatesOfClockChanges(t *testing.T) {
	t.Parallel()
	all := found(t, "timezone: Europe/Paris\n"+timed("30 2 * * *"), check.Options{})
	require.Len(t, all, 1)
	assert.Equal(t, "it is due at a time that a change of the clock touches in Europe/Paris: on 2026-10-25 02:00 to 03:00 comes twice, on 2027-03-28 02:00 to 03:00 is skipped", all[0].Message)
}

// TestAnchorsAreSaidOnce: what several crons share is one finding.
func TestAnchorsAreSaidOnce(t *testing.T) {
	t.Parallel()
	all := found(t, "name: app\n.x: &x\n    spec: '0 5 * * 0'\n    commands: { start: platform redeploy --no-wait }\ncrons:\n    a: *x\n", check.Options{})
	codes := []string{}
	for _, f := range all {
		codes = append(codes, fmt.Sprintf("%d:%d %s", f.Line, f.Column, f.Code))
	}
	assert.Equal(t, []string{"2:1 schema", "4:33 unguarded"}, codes, "in the anchor, where it is written")
}

// TestSchemaWords: what is wrong with a key is said by its path, and what to write
// instead; values, which may be secrets, are not shown.
func TestSchemaWords(t *testing.T) {
	t.Parallel()
	const services = "applications: { app: { type: 'php:8.3' } }\n"
	for _, c := range []struct{ file, want, hint string }{
		{"name: app\nhooks:\n    post-deploy: x\n", `3:5 unknown key "post-deploy" of hooks`, `did you mean: post_deploy; the keys are build, deploy, post_deploy`},
		{"name: app\nhooks: { build: [hunter22] }\n", "2:17 hooks.build must be a string, not a list", ""},
		{"name: app\nmounts:\n    /x: { source: locl }\n", `3:19 mounts./x.source must be instance, local, service, storage, temporary or tmp, not "locl"`, `did you mean: local`},
		{"name: app\nmounts:\n    /x: { source_path: x }\n", "3:9 mounts./x has no source", "add source: to it"},
		{"name: app\nworkers:\n    q: { commands: php q }\n", "3:20 workers.q.commands must be a map, not a string", "below it, write start: and then what is meant"},
		{"name: app\nworkers:\n    q: { command: php q }\n", `3:10 unknown key "command" of workers.q`, `did you mean: commands`},
		{"name: app\nweb:\n    locations:\n        '/': { index: index.html }\n", "4:23 web.locations./.index must be a list, not a string", "write it in brackets: [ ... ]"},
		{"name: app\nweb:\n    locations:\n        '/': { expires: [5m] }\n", "4:25 web.locations./.expires must be a whole number or a string, not a list", ""},
		{"name: app\nweb:\n    locations:\n        '/a.b': { headers: { A: 1 } }\n", `4:33 web.locations."/a.b".headers.A must be a string, not a number`, "put it in quotes"},
		{"name: app\ndisk: '512'\n", "2:7 disk must be a whole number, not a string", "write it without quotes"},
		{"name: app\nvariables:\n    env: hunter22\n", "3:10 variables.env must be a map, not a string", ""},
		{"name: app\nruntime: { sizing_hints: { reserved_memory: 5 } }\n", "2:45 runtime.sizing_hints.reserved_memory must be a whole number from 70, not 5", ""},
		{"name: app\nweb:\n    locations: { '/': { root: a } }\n    locations: { '/': { root: b } }\n", "3:5 web.locations is there twice, and which one counts is not known", "remove one of them"},
		{"name: app\nfirewall: { outbound: [{ port: [443] }] }\n", `2:26 unknown key "port" of firewall.outbound[0]`, `did you mean: ports`},
		{"-- .upsun/config.yaml --\n" + services + "service: {}\n", `2:1 unknown key "service" beside applications`, `did you mean: services`},
		{"-- .upsun/config.yaml --\n" + services + "services: { db: { type: 'mariadb:11', disk: 512 } }\n", `2:39 unknown key "disk" of services.db`, "Upsun sets it elsewhere: remove it"},
		{"-- .upsun/config.yaml --\n" + services + "-- .upsun/routes.yaml --\nroutes:\n    'https://{default}/': { type: upstream }\n", `2:5 routes."https://{default}/" is of type upstream and has no upstream`, "add upstream: to it"},
		{"name: app\n-- .platform/routes.yaml --\n'https://{default}/': { type: upstream, upstrem: 'app:http' }\n", `1:41 unknown key "upstrem" of routes."https://{default}/"`, `did you mean "upstream"?`},
		{"name: app\n-- .platform/services.yaml --\ndb: { disk: 512 }\n", `1:5 services.db has no type`, "add type: to it"},
		{"-- .upsun/config.yaml --\napplications: { app: { type: 'php:8.3', mounts: { x: 'shared:files/x' } } }\n", "1:54 mounts.x must be a map, not a string", "below it, write source: and then what is meant"},
	} {
		all := found(t, c.file, check.Options{})
		if assert.Len(t, all, 1, c.file) {
			f := all[0]
			assert.Equal(t, c.want, fmt.Sprintf("%d:%d %s", f.Line, f.Column, f.Message), c.file)
			assert.Equal(t, "schema", f.Code)
			if c.hint != "" {
				assert.Contains(t, f.Hint, c.hint, c.file)
			}
			assert.NotContains(t, f.Message+f.Hint, "hunter22")
		}
	}
}
