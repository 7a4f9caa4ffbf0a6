package appconfig_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/schedule"
)

const fire = "spec: '0 5 * * *', fire: 'backup:create'"

func TestAgentCronDefaults(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, "name: shop\n"+oneCron(fire))
	require.NoError(t, err)
	require.Len(t, app.Crons, 1)
	c := app.Crons[0]
	assert.Equal(t, "c", c.Name)
	assert.Equal(t, appconfig.Agent, c.Scheduler)
	assert.Equal(t, "0 5 * * *", c.Spec)
	assert.Equal(t, "0 5 * * *", c.Schedule.String())
	assert.Equal(t, time.UTC, c.Zone)
	require.NotNil(t, c.Fire)
	assert.Equal(t, "backup:create", c.Fire.Operation)
	assert.Empty(t, c.Start)
	assert.Equal(t, []string{"production"}, c.EnvironmentTypes)
	assert.Equal(t, 86400*time.Second, c.Timeout)
	assert.Equal(t, 10*time.Second, c.ShutdownTimeout)
	assert.Equal(t, appconfig.OverlapSkip, c.Overlap)
	assert.Zero(t, c.Retries)
	assert.Equal(t, appconfig.MissedOnce, c.Missed)
	assert.Equal(t, 86400*time.Second, c.MissedWithin)
	assert.True(t, c.Enabled)
	assert.Empty(t, c.Env)
	assert.Nil(t, c.Notify)
	require.NoError(t, c.Problem)
}

func TestAgentCronKeys(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, agentCrons(`
import:
  spec: '*/10 * * * *'
  timezone: Asia/Tokyo
  environment_types: [production, staging, production]
  commands: { start: 'php bin/import.php', stop: 'php bin/import.php --finish' }
  timeout: 600
  shutdown_timeout: 0
  overlap: queue
  retries: 3
  missed: skip
  missed_within: 3600
  enabled: no
  env: { IMPORT_MODE: nightly, EMPTY: '' }
  notify: { mail: ops@example.com, on: [failure, success, failure] }
old:
  spec: '0 5 * * *'
  cmd: |
    a
    b
  enabled: on
everywhere:
  spec: '@every 30s'
  commands: 'true'
  environment_types: [any]
paste:
  spec: '0 5 * * *'
  commands: { start: x, stop: null }
  timeout:
  cmd: ~
  shutdown_timeout: null
`))
	require.NoError(t, err)
	c := cron(t, app, "import")
	assert.Equal(t, "Asia/Tokyo", c.Zone.String())
	assert.Equal(t, "Asia/Tokyo", c.Schedule.Zone().String())
	assert.Equal(t, []string{"production", "staging"}, c.EnvironmentTypes)
	assert.Equal(t, "php bin/import.php", c.Start)
	assert.Equal(t, "php bin/import.php --finish", c.Stop)
	assert.Equal(t, 10*time.Minute, c.Timeout)
	assert.Equal(t, time.Duration(0), c.ShutdownTimeout, "0 is not the default")
	assert.Equal(t, appconfig.OverlapQueue, c.Overlap)
	assert.Equal(t, 3, c.Retries)
	assert.Equal(t, appconfig.MissedSkip, c.Missed)
	assert.Equal(t, time.Hour, c.MissedWithin)
	assert.False(t, c.Enabled, "no is false to the platform's YAML 1.1 parser")
	assert.Equal(t, map[string]string{"IMPORT_MODE": "nightly", "EMPTY": ""}, c.Env)
	assert.Equal(t, []string{"ops@example.com"}, c.Notify.Mail)
	assert.Equal(t, []string{"failure", "success"}, c.Notify.On)
	at, ok := c.At("commands.stop")
	assert.True(t, ok)
	assert.Equal(t, []int{8, 56}, []int{at.Line, at.Column})
	_, ok = c.At("cmd")
	assert.False(t, ok)

	c = cron(t, app, "old")
	assert.Equal(t, "a\nb\n", c.Start)
	assert.True(t, c.Enabled)
	_, ok = c.At("cmd")
	assert.True(t, ok, "the deprecated key can be told")

	c = cron(t, app, "everywhere")
	every, _ := c.Schedule.Every()
	assert.Equal(t, 30*time.Second, every)
	assert.Equal(t, []string{"any"}, c.EnvironmentTypes)
	assert.Equal(t, "true", c.Start)

	c = cron(t, app, "paste")
	assert.Equal(t, "x", c.Start)
	assert.Equal(t, appconfig.DefaultTimeout, c.Timeout, "null is the platform's way to write the default")
}

func TestFire(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ fire, operation, argument string }{
		"words in a string":                    {"fire: 'source-operation:run update'", "source-operation:run", "update"},
		"any number of blanks and tabs":        {`fire: "  source-operation:run \t update "`, "source-operation:run", "update"},
		"a list of words":                      {"fire: [source-operation:run, update]", "source-operation:run", "update"},
		"a list keeps blanks inside of a word": {"fire: ['source-operation:run', 'my update']", "source-operation:run", "my update"},
		"an old name":                          {"fire: snapshot:create", "backup:create", ""},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := inFile(t, oneCron("spec: '0 5 * * *', "+tt.fire))
			require.NoError(t, err)
			require.NotNil(t, app.Crons[0].Fire)
			assert.Equal(t, tt.operation, app.Crons[0].Fire.Operation)
			assert.Equal(t, tt.argument, app.Crons[0].Fire.Argument)
		})
	}
}

// Each case is the keys of one agent cron, which begin in column 12 of line 4,
// and everything that is to be said about them.
func TestAgentCronIsRefused(t *testing.T) {
	t.Parallel()
	const keys = "the keys are spec, timezone, fire, commands, cmd, environment_types, timeout, shutdown_timeout, overlap, " +
		"retries, missed, missed_within, enabled, env, notify"
	cases := map[string]struct {
		keys string
		want []string
	}{
		"unknown key": {fire + ", flavour: sweet", []string{`4:54: cron "c": unknown key "flavour" | ` + keys}},
		"unknown key near a known one": {fire + ", retires: 1",
			[]string{`4:54: cron "c": unknown key "retires" | did you mean: retries; ` + keys}},
		"unknown key by its name elsewhere": {fire + ", tz: UTC",
			[]string{`4:54: cron "c": unknown key "tz" | did you mean: timezone; ` + keys}},
		"unknown key with two letters swapped": {fire + ", evn: {}",
			[]string{`4:54: cron "c": unknown key "evn" | did you mean: env; ` + keys}},
		"unknown key with a dash": {fire + ", missed-within: 1",
			[]string{`4:54: cron "c": unknown key "missed-within" | did you mean: missed_within; ` + keys}},
		"key twice":    {fire + ", retries: 1, retries: 2", []string{`4:66: cron "c": a cron has "retries" twice, first on line 4 | remove one of them`}},
		"no spec":      {"fire: backup:create", []string{`4:7: cron "c": it has no spec | give it one, for example spec: '0 5 * * *'`}},
		"null spec":    {"spec: , fire: backup:create", []string{`4:18: cron "c": spec must be a string, not empty`}},
		"numeric spec": {"spec: 5, fire: backup:create", []string{`4:18: cron "c": spec must be a string, not the number 5 | put it in quotes: '5'`}},
		"impossible spec": {"spec: '60 * * * *', fire: backup:create",
			[]string{`4:18: cron "c": spec "60 * * * *": minute 60 is above 59`}},
		"both fire and a command": {fire + ", cmd: x", []string{`4:7: cron "c": it has both fire and a command | make two crons of it`}},
		"both fire and commands":  {fire + ", commands: {start: x}", []string{`4:7: cron "c": it has both fire and a command | make two crons of it`}},
		"neither":                 {"spec: '0 5 * * *'", []string{`4:7: cron "c": it has nothing to do | give it fire or commands.start`}},
		"fire with a quote": {"spec: '0 5 * * *', fire: \"source-operation:run 'my update'\"",
			[]string{`4:37: cron "c": fire is split at blanks and knows no quotes | give the words as a list, for example fire: [source-operation:run, update]`}},
		"fire an unknown operation": {"spec: '0 5 * * *', fire: backup:craete",
			[]string{`4:37: cron "c": fire: unknown operation "backup:craete"; the operations are backup:create, source-operation:run, environment:redeploy, environment:pause, environment:resume, environment:synchronize | did you mean: backup:create`}},
		"fire with an unknown option": {"spec: '0 5 * * *', fire: backup:create --liev",
			[]string{`4:37: cron "c": fire: backup:create: unknown option "--liev" | did you mean: --live`}},
		"fire an alias that is mistyped": {"spec: '0 5 * * *', fire: snapshot:craete",
			[]string{`4:37: cron "c": fire: unknown operation "snapshot:craete"; the operations are backup:create, source-operation:run, environment:redeploy, environment:pause, environment:resume, environment:synchronize | did you mean: backup:create`}},
		"fire without its argument": {"spec: '0 5 * * *', fire: source-operation:run",
			[]string{`4:37: cron "c": fire: source-operation:run needs the name of the source operation`}},
		"fire nothing": {"spec: '0 5 * * *', fire: ' '",
			[]string{`4:37: cron "c": fire: no operation is named; the operations are backup:create, source-operation:run, environment:redeploy, environment:pause, environment:resume, environment:synchronize`}},
		"fire a number in a list": {"spec: '0 5 * * *', fire: [source-operation:run, 5]",
			[]string{`4:60: cron "c": an item of fire must be a string, not the number 5 | put it in quotes: '5'`}},
		"fire a map": {"spec: '0 5 * * *', fire: {backup: create}", []string{`4:37: cron "c": fire must be a string, not a map`}},
		"cmd and commands.start differ": {"spec: '0 5 * * *', cmd: a, commands: {start: b}",
			[]string{`4:36: cron "c": cmd and commands.start differ, and it is not documented which of them the platform runs | keep commands.start; cmd is its older name`}},
		"cmd and commands as a string differ": {"spec: '0 5 * * *', cmd: a, commands: b",
			[]string{`4:36: cron "c": cmd and commands.start differ, and it is not documented which of them the platform runs | keep commands.start; cmd is its older name`}},
		"commands without start": {"spec: '0 5 * * *', commands: {stop: b}", []string{`4:41: cron "c": commands has no start`}},
		"commands with a typo": {"spec: '0 5 * * *', commands: {start: b, stopp: c}",
			[]string{`4:52: cron "c": unknown key "stopp" of commands | did you mean: stop; the keys are start and stop`}},
		"commands as a list":    {"spec: '0 5 * * *', commands: [a]", []string{`4:41: cron "c": commands must be a map, not a list`}},
		"empty command":         {"spec: '0 5 * * *', commands: {start: ' '}", []string{`4:49: cron "c": commands.start is empty`}},
		"boolean command":       {"spec: '0 5 * * *', cmd: true", []string{`4:36: cron "c": cmd must be a string, not true | put it in quotes: 'true'`}},
		"command with a NUL":    {`spec: '0 5 * * *', cmd: "a\0b"`, []string{`4:36: cron "c": cmd holds a NUL character`}},
		"timeout with a unit":   {fire + ", timeout: 10m", []string{`4:63: cron "c": timeout, in seconds, must be a whole number from 1 to 86400, not the text "10m"`}},
		"timeout too long":      {fire + ", timeout: 86401", []string{`4:63: cron "c": timeout, in seconds, must be a whole number from 1 to 86400, not the number 86401`}},
		"timeout zero":          {fire + ", timeout: 0", []string{`4:63: cron "c": timeout, in seconds, must be a whole number from 1 to 86400, not the number 0`}},
		"timeout beyond 64 bit": {fire + ", timeout: 99999999999999999999", []string{`4:63: cron "c": timeout, in seconds, must be a whole number from 1 to 86400, not the number 99999999999999999999`}},
		"timeout with a point":  {fire + ", timeout: 1.5", []string{`4:63: cron "c": timeout, in seconds, must be a whole number from 1 to 86400, not the number 1.5`}},
		"number that YAML versions read differently": {fire + ", timeout: 010",
			[]string{`4:63: cron "c": timeout, in seconds, must be a whole number from 1 to 86400, not the number 010`}},
		"number in quotes": {fire + ", timeout: '30'",
			[]string{`4:63: cron "c": timeout, in seconds, must be a whole number from 1 to 86400, not the text "30" | write it without quotes`}},
		"negative shutdown_timeout": {fire + ", shutdown_timeout: -1",
			[]string{`4:72: cron "c": shutdown_timeout, in seconds, must be a whole number from 0 to 86400, not the number -1`}},
		"retries as a boolean": {fire + ", retries: true", []string{`4:63: cron "c": retries must be a whole number from 0 to 100, not true`}},
		"missed_within too long": {fire + ", missed_within: 31622401",
			[]string{`4:69: cron "c": missed_within, in seconds, must be a whole number from 0 to 31622400, not the number 31622401`}},
		"unknown overlap": {fire + ", overlap: skp", []string{`4:63: cron "c": overlap must be skip, queue or allow, not "skp" | did you mean: skip`}},
		"unknown missed":  {fire + ", missed: twice", []string{`4:62: cron "c": missed must be once or skip, not "twice"`}},
		"enabled as text": {fire + ", enabled: 'true'", []string{`4:63: cron "c": enabled must be true or false, not the text "true"`}},
		"enabled empty":   {fire + ", enabled: ", []string{`4:64: cron "c": enabled must be true or false, not empty`}},
		"types as a string": {fire + ", environment_types: staging",
			[]string{`4:73: cron "c": environment_types must be a list, not the text "staging" | write environment_types: [staging]`}},
		"types as an empty list": {fire + ", environment_types: []",
			[]string{`4:73: cron "c": environment_types is an empty list | to switch a cron off, write enabled: false`}},
		"unknown type": {fire + ", environment_types: [prod, staging]",
			[]string{`4:74: cron "c": unknown environment type "prod" | did you mean: production; the types are production, staging, development, local, any`}},
		"type as a boolean": {fire + ", environment_types: [true]",
			[]string{`4:74: cron "c": an item of environment_types must be a string, not true | put it in quotes: 'true'`}},
		"unknown zone": {fire + ", timezone: Europe/Pariss",
			[]string{`4:64: cron "c": unknown time zone "Europe/Pariss" | it is a name of the tz database, such as Europe/Paris or UTC`}},
		"zone in lower case":           {fire + ", timezone: europe/paris", []string{`4:64: cron "c": unknown time zone "europe/paris" | did you mean: Europe/Paris`}},
		"env as a list":                {fire + ", env: [A]", []string{`4:59: cron "c": env must be a map, not a list`}},
		"env with a number":            {fire + ", env: {A: 1}", []string{`4:63: cron "c": env: the value of A must be a string, not a number | put it in quotes`}},
		"env with a boolean":           {fire + ", env: {A: yes, B: true}", []string{`4:71: cron "c": env: the value of B must be a string, not true or false | put it in quotes`}},
		"env with no value":            {fire + ", env: {A: }", []string{`4:63: cron "c": env: the value of A must be a string, not empty | put it in quotes`}},
		"env with a strange name":      {fire + ", env: {'A-B': x}", []string{`4:60: cron "c": env: "A-B" is not the name of a variable | letters, digits and _, no digit first`}},
		"env of the platform":          {fire + ", env: {PLATFORM_BRANCH: x}", []string{`4:60: cron "c": env: PLATFORM_BRANCH is the platform's or the agent's own | choose another name`}},
		"env of the agent":             {fire + ", env: {CRONAGENT_X: x}", []string{`4:60: cron "c": env: CRONAGENT_X is the platform's or the agent's own | choose another name`}},
		"env with the token":           {fire + ", env: {PLATFORMSH_CLI_TOKEN: x}", []string{`4:60: cron "c": env: PLATFORMSH_CLI_TOKEN is the platform's or the agent's own | choose another name`}},
		"env with Upsun's token":       {fire + ", env: {UPSUN_CLI_TOKEN: x}", []string{`4:60: cron "c": env: UPSUN_CLI_TOKEN is the platform's or the agent's own | choose another name`}},
		"env with OVH's token":         {fire + ", env: {OVHCLOUD_WEBPAAS_CLI_TOKEN: x}", []string{`4:60: cron "c": env: OVHCLOUD_WEBPAAS_CLI_TOKEN is the platform's or the agent's own | choose another name`}},
		"notify as a list":             {fire + ", notify: [a]", []string{`4:62: cron "c": notify must be a map, not a list | for example notify: { mail: ops@example.com }`}},
		"notify as a string, unquoted": {fire + ", notify: https://hooks.example.com/secret", []string{`4:62: cron "c": notify must be a map, not a string | for example notify: { mail: ops@example.com }`}},
		"unknown tag":                  {"spec: '0 5 * * *', cmd: !secret x", []string{`4:36: cron "c": cmd has the tag !secret | only !include is understood here`}},
		"archive":                      {"spec: '0 5 * * *', cmd: !archive x", []string{`4:36: cron "c": cmd has the tag !archive | only !include is understood here`}},
		"all problems at once": {"spec: '60 * * * *', cmd: a, fire: x, timeout: never, flavour: y", []string{
			`4:7: cron "c": it has both fire and a command | make two crons of it`,
			`4:18: cron "c": spec "60 * * * *": minute 60 is above 59`,
			`4:46: cron "c": fire: unknown operation "x"; the operations are backup:create, source-operation:run, environment:redeploy, environment:pause, environment:resume, environment:synchronize`,
			`4:58: cron "c": timeout, in seconds, must be a whole number from 1 to 86400, not the text "never"`,
			`4:65: cron "c": unknown key "flavour" | ` + keys,
		}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := inFile(t, oneCron(tt.keys))
			assert.Nil(t, app, "nothing is half-accepted")
			assert.Equal(t, tt.want, problems(t, err))
		})
	}
}

func TestAgentCronsAsAWhole(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		text string
		want []string
	}{
		"no map": {"variables: {cronagent: {crons: [a]}}", []string{`1:32: crons must be a map, not a list`}},
		"a cron is a string": {agentCrons("c: '0 5 * * *'"), []string{
			`4:10: cron "c": a cron must be a map, not the text "0 5 * * *"`}},
		"a cron is empty": {agentCrons("c:"), []string{`4:7: cron "c": it is empty | give it a spec and something to do, or remove it`}},
		"a cron is there twice": {agentCrons("c: {" + fire + "}\nc: {" + fire + "}"), []string{
			`5:7: crons has "c" twice, first on line 4 | remove one of them`}},
		"a cron without a name":                {agentCrons("'': {" + fire + "}"), []string{`4:7: the name of a cron is empty`}},
		"a cron with a null name":              {agentCrons("~: {" + fire + "}"), []string{`4:7: a key of crons must be a name, not empty`}},
		"a cron named by a list":               {agentCrons("? [a]\n: {" + fire + "}"), []string{`4:9: a key of crons must be a name, not a list`}},
		"a cron with a control character":      {agentCrons(`"a\nb": {` + fire + "}"), []string{`4:7: cron "a\nb": the name of a cron holds a control character`}},
		"a cron with a blank around":           {agentCrons("'a ': {" + fire + "}"), []string{`4:7: cron "a ": the name of a cron begins or ends with a blank`}},
		"keys beside their cron, not below it": {agentCrons("c:\nspec: '0 5 * * *'\ncommands: { start: x }"), []string{`5:7: cron "c": "spec" stands where the name of a cron is expected | indent it below "c"`, `6:7: cron "c": "commands" stands where the name of a cron is expected | indent it below "c"`}},
		"one key beside its cron":              {agentCrons("c: { fire: backup:create, spec: '0 5 * * *' }\nretries: 3"), []string{`5:7: "retries" stands where the name of a cron is expected | indent it below the cron that it belongs to`}},
		"keys of a cron without a name":        {agentCrons("spec: '0 5 * * *'\nfire: backup:create"), []string{`4:7: "spec" stands where the name of a cron is expected | indent it below the cron that it belongs to`, `5:7: "fire" stands where the name of a cron is expected | indent it below the cron that it belongs to`}},
		"every cron's problems, in the file's order": {agentCrons("b: {}\na: {}"), []string{
			`4:7: cron "b": it has nothing to do | give it fire or commands.start`,
			`4:7: cron "b": it has no spec | give it one, for example spec: '0 5 * * *'`,
			`5:7: cron "a": it has nothing to do | give it fire or commands.start`,
			`5:7: cron "a": it has no spec | give it one, for example spec: '0 5 * * *'`}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := inFile(t, tt.text)
			assert.Nil(t, app)
			assert.Equal(t, tt.want, problems(t, err))
		})
	}
}

func TestNamesOfCronsAreWhatIsWritten(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, agentCrons("yes: {"+fire+"}\non: {"+fire+"}\n007: {"+fire+"}\n'a b/ü': {"+fire+"}\nenv: {"+fire+"}"))
	require.NoError(t, err)
	var names []string
	for _, c := range app.Crons {
		names = append(names, c.Name)
	}
	assert.Equal(t, []string{"yes", "on", "007", "a b/ü", "env"}, names)
}

func TestEnvValuesAreInNoMessage(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"env: hunter2", "env: [hunter2]", "env: {A: [hunter2]}", "env: {A: !x hunter2}", `env: {A: "hunter2\0"}`, "env: {'A=hunter': x}"} {
		_, err := inFile(t, oneCron(fire+", "+keys))
		require.Error(t, err, keys)
		if keys != "env: {'A=hunter': x}" {
			for _, p := range problems(t, err) {
				assert.NotContains(t, p, "hunter2", keys)
			}
		}
	}
}

func TestPlatformCrons(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, `name: app
timezone: Europe/Paris
crons:
  a: { spec: 'H * * * *', cmd: x }
  b: { spec: '0 5 * * *', commands: { start: y, stop: z }, timeout: 60, shutdown_timeout: 20 }
  c: { spec: 0 5 * * *, commands: plain text }
  d: { spec: '0 5 * * *', cmd: same, commands: { start: same } }
  e: { spec: '0 5 * * *', cmd: x, timeout: null, commands: }
variables:
  cronagent: { timezone: Asia/Tokyo }
`)
	require.NoError(t, err)
	require.NoError(t, app.Problem)
	for _, c := range app.Crons {
		require.NoError(t, c.Problem, c.Name)
		assert.Equal(t, appconfig.Platform, c.Scheduler)
		assert.Equal(t, "Europe/Paris", c.Zone.String(), "the agent's zone is not the platform's")
		assert.Nil(t, c.EnvironmentTypes)
		assert.True(t, c.Enabled)
		assert.Nil(t, c.Fire)
	}
	assert.True(t, cron(t, app, "a").Schedule.Open(), "only the platform knows its H")
	assert.Equal(t, "x", cron(t, app, "a").Start)
	b := cron(t, app, "b")
	assert.Equal(t, []any{"y", "z", time.Minute, 20 * time.Second}, []any{b.Start, b.Stop, b.Timeout, b.ShutdownTimeout})
	assert.Equal(t, "plain text", cron(t, app, "c").Start)
	assert.Equal(t, "same", cron(t, app, "d").Start)
}

func TestPlatformCronsCarryTheirProblems(t *testing.T) {
	t.Parallel()
	const keys = "the keys are spec, commands, cmd, timeout, shutdown_timeout"
	cases := map[string]struct {
		keys string
		want []string
	}{
		"unknown key":              {"spec: '0 5 * * *', cmd: x, flavour: y", []string{`2:35: cron "c": unknown key "flavour" | ` + keys}},
		"a key of the agent":       {"spec: '0 5 * * *', fire: backup:create", []string{`2:3: cron "c": it has no command | give it commands.start`, `2:27: cron "c": unknown key "fire" | only crons below variables.cronagent.crons may have it`}},
		"every":                    {"spec: '@every 5m', cmd: x", []string{`2:14: cron "c": only the agent knows @every | use five fields, or move the cron below variables.cronagent.crons`}},
		"wrong type":               {"spec: '0 5 * * *', cmd: [x]", []string{`2:32: cron "c": cmd must be a string, not a list`}},
		"two different commands":   {"spec: '0 5 * * *', cmd: x, commands: {start: y}", []string{`2:32: cron "c": cmd and commands.start differ, and it is not documented which of them the platform runs | keep commands.start; cmd is its older name`}},
		"no command":               {"spec: '0 5 * * *'", []string{`2:3: cron "c": it has no command | give it commands.start`}},
		"nothing":                  {"", []string{`2:3: cron "c": it has no command | give it commands.start`, `2:3: cron "c": it has no spec | give it one, for example spec: '0 5 * * *'`}},
		"timeout above maximum":    {"spec: '0 5 * * *', cmd: x, timeout: 100000", []string{`2:44: cron "c": timeout, in seconds, must be a whole number from 1 to 86400, not the number 100000`}},
		"unknown tag":              {"spec: '0 5 * * *', cmd: !foo x", []string{`2:32: cron "c": cmd has the tag !foo | only !include is understood here`}},
		"include of a missing one": {"spec: '0 5 * * *', cmd: !include x", []string{`2:32: cron "c": !include x: there is no such file`}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := inFile(t, "crons:\n  c: { "+tt.keys+" }\n"+oneCron(fire))
			require.NoError(t, err, "the agent's crons run all the same")
			require.Len(t, app.Crons, 2)
			assert.Equal(t, tt.want, problems(t, app.Crons[0].Problem))
			require.NoError(t, app.Problem)
			assert.NotNil(t, app.Crons[1].Schedule)
		})
	}
}

func TestPlatformCronsAsAWhole(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		crons string
		want  []string
		names []string
	}{
		"nothing":               {"crons:", nil, nil},
		"a list":                {"crons: [a]", []string{`1:8: crons must be a map, not a list`}, nil},
		"a string":              {"crons: a", []string{`1:8: crons must be a map, not the text "a"`}, nil},
		"one is there twice":    {"crons: {a: {cmd: x, spec: '0 5 * * *'}, a: {}}", []string{`1:41: crons has "a" twice, first on line 1 | remove one of them`}, []string{"a"}},
		"keys of no cron":       {"crons: {spec: '0 5 * * *', cmd: x}", []string{`1:9: "spec" stands where the name of a cron is expected | indent it below the cron that it belongs to`, `1:28: "cmd" stands where the name of a cron is expected | indent it below the cron that it belongs to`}, nil},
		"include of nothing":    {"crons: !include x.yaml", []string{`1:8: !include x.yaml: there is no such file`}, nil},
		"keys beside the first": {"crons: {a: , spec: x, b: {cmd: x, spec: '0 5 * * *'}}", nil, []string{"a", "b"}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := inFile(t, tt.crons+"\n"+oneCron(fire))
			require.NoError(t, err, "the agent's crons run all the same")
			assert.Equal(t, tt.want, problems(t, app.Problem))
			var names []string
			for _, c := range app.Crons[:len(app.Crons)-1] {
				names = append(names, c.Name)
			}
			assert.Equal(t, tt.names, names)
			if name == "keys beside the first" {
				assert.Equal(t, []string{`1:14: cron "a": "spec" stands where the name of a cron is expected | indent it below "a"`}, problems(t, app.Crons[0].Problem))
				require.NoError(t, app.Crons[1].Problem)
			}
		})
	}
}

func TestHashIsDrawnFromProjectAppAndName(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, "name: shop\n"+oneCron("spec: 'H H * * *', cmd: x"))
	require.NoError(t, err)
	want, err := schedule.Parse("H H * * *", time.UTC, schedule.NewSeed("abcdefgh1234567", "shop", "c"))
	require.NoError(t, err)
	assert.Equal(t, want.Resolved(), app.Crons[0].Schedule.Resolved())

	file := filepath.Join(t.TempDir(), ".platform.app.yaml")
	require.NoError(t, os.WriteFile(file, []byte("name: shop\n"+oneCron("spec: 'H H * * *', cmd: x")), 0o600))
	source, err := appconfig.ReadFile(file)
	require.NoError(t, err)
	app, err = source.App(appconfig.Options{})
	require.NoError(t, err)
	assert.True(t, app.Crons[0].Schedule.Open(), "off the platform another project would draw another time")

	container, err := inVariables(t, `{"name": "shop--queue", "timezone": null, "variables": {"cronagent": {"crons": {"c": {"spec": "H H * * *", "cmd": "x"}}}}}`)
	require.NoError(t, err)
	assert.Equal(t, want.Resolved(), container.Crons[0].Schedule.Resolved(), "a worker is the same app")
}

func TestErrorsTellTheirCauses(t *testing.T) {
	t.Parallel()
	_, err := inFile(t, oneCron("spec: '60 * * * *', fire: x"))
	var wrong *schedule.Error
	require.ErrorAs(t, err, &wrong)
	assert.Equal(t, "60 * * * *", wrong.Spec)
	var unknown *operation.UnknownError
	require.ErrorAs(t, err, &unknown)
	assert.Equal(t, "x", unknown.Name)
	var all appconfig.Errors
	require.ErrorAs(t, err, &all)
	assert.Equal(t, "c", all[0].Cron)
}

// Schedules are shared by crons that mean the same by their specs, and by no others.
func TestCronsOfOneSpec(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, `name: shop
crons:
  platform: { spec: 'H H * * *', cmd: x }
variables:
  cronagent:
    crons:
      a: { spec: '0 5 * * *', cmd: x }
      b: { spec: '0 5 * * *', cmd: x }
      paris: { spec: '0 5 * * *', timezone: Europe/Paris, cmd: x }
      c: { spec: 'H H * * *', cmd: x }
      d: { spec: 'H H * * *', cmd: x }
`)
	require.NoError(t, err)
	assert.True(t, app.Crons[0].Schedule.Open(), "drawn by the platform")
	c := app.Crons[1:]
	assert.Same(t, c[0].Schedule, c[1].Schedule)
	assert.Equal(t, "Europe/Paris", c[2].Schedule.Zone().String())
	assert.Equal(t, "UTC", c[1].Schedule.Zone().String())
	assert.NotEqual(t, c[3].Schedule.Resolved(), c[4].Schedule.Resolved())
	assert.False(t, c[3].Schedule.Open())
}
