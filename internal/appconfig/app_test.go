package appconfig_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, `
variables:
  env: { A: b }
  cronagent:
    timezone: Asia/Tokyo
    ledger: database
    ledger_output: yes
    notify: { mail: ops@example.com }
`)
	require.NoError(t, err)
	assert.Equal(t, "Asia/Tokyo", app.Settings.Timezone)
	assert.Equal(t, "database", app.Settings.Ledger)
	assert.Equal(t, []string{"ops@example.com"}, app.Settings.Notify.Mail)
	assert.Equal(t, 8, app.Settings.Notify.Position.Line)
	assert.True(t, app.Settings.LedgerOutput)
	assert.Empty(t, app.Crons)
}

func TestNothingIsConfigured(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"name: app", "variables:", "variables: {env: {A: b}}", "variables: {cronagent: }", "variables: {cronagent: {}}",
		"variables: {cronagent: {crons: }}", "variables: {cronagent: {crons: {}}}", "crons:\n"} {
		app, err := inFile(t, text)
		require.NoError(t, err, text)
		assert.Empty(t, app.Crons, text)
		assert.NoError(t, app.Problem, text)
		assert.Nil(t, app.Settings.Notify, text)
	}
}

func TestSettingsAreRefused(t *testing.T) {
	t.Parallel()
	const zoneHint = " | it is a name of the tz database, such as Europe/Paris or UTC"
	cases := map[string]struct {
		settings string
		want     []string
	}{
		"unknown":             {"{cron: {}}", []string{`1:25: unknown setting "cron" of cronagent | did you mean: crons; the settings are timezone, ledger, ledger_output, notify, heartbeat, crons`}},
		"no map":              {"text", []string{`1:24: variables.cronagent must be a map, not the text "text"`}},
		"timezone unknown":    {"{timezone: Mars/Base}", []string{`1:35: unknown time zone "Mars/Base"` + zoneHint}},
		"timezone empty":      {"{timezone: ''}", []string{`1:35: "" is not the name of a time zone` + zoneHint}},
		"timezone null":       {"{timezone: }", []string{`1:35: timezone must be a string, not empty`}},
		"timezone Local":      {"{timezone: Local}", []string{`1:35: "Local" is not the name of a time zone` + zoneHint}},
		"timezone absolute":   {"{timezone: /etc/localtime}", []string{`1:35: "/etc/localtime" is not the name of a time zone` + zoneHint}},
		"timezone climbing":   {"{timezone: ../UTC}", []string{`1:35: "../UTC" is not the name of a time zone` + zoneHint}},
		"timezone leap":       {"{timezone: right/UTC}", []string{`1:35: "right/UTC" is not the name of a time zone` + zoneHint}},
		"timezone localtime":  {"{timezone: localtime}", []string{`1:35: "localtime" is not the name of a time zone` + zoneHint}},
		"timezone directory":  {"{timezone: Europe}", []string{`1:35: unknown time zone "Europe"` + zoneHint}},
		"timezone offset":     {"{timezone: '+02:00'}", []string{`1:35: "+02:00" is not the name of a time zone` + zoneHint}},
		"timezone lower case": {"{timezone: utc}", []string{`1:35: unknown time zone "utc" | did you mean: UTC`}},
		"timezone number":     {"{timezone: 2}", []string{`1:35: timezone must be a string, not the number 2 | put it in quotes: '2'`}},
		"ledger list":         {"{ledger: [a]}", []string{`1:33: ledger must be a string, not a list`}},
		"ledger empty":        {"{ledger: ' '}", []string{`1:33: ledger is empty`}},
		"notify list":         {"{notify: [a]}", []string{`1:33: notify must be a map, not a list | for example notify: { mail: ops@example.com }`}},
		"notify twice":        {"{notify: {on: success, on: success, mail: a@b}}", []string{`1:47: notify has "on" twice, first on line 1 | remove one of them`}},
		"ledger output text":  {"{ledger_output: maybe}", []string{`1:40: ledger_output must be true or false, not the text "maybe"`}},
		"ledger output list":  {"{ledger_output: [true]}", []string{`1:40: ledger_output must be true or false, not a list`}},
		"settings twice":      {"{ledger: a, ledger: b}", []string{`1:36: variables.cronagent has "ledger" twice, first on line 1 | remove one of them`}},
		"all of them": {"{ledgr: a, timezone: b, crons: {c: {fire: backup:create}}}", []string{
			`1:25: unknown setting "ledgr" of cronagent | did you mean: ledger; the settings are timezone, ledger, ledger_output, notify, heartbeat, crons`,
			`1:45: unknown time zone "b"` + zoneHint,
			`1:56: cron "c": it has no spec | give it one, for example spec: '0 5 * * *'`}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := inFile(t, "variables: {cronagent: "+tt.settings+"}")
			assert.Nil(t, app)
			assert.Equal(t, tt.want, problems(t, err))
		})
	}
}

func TestAppKeysAreThereOnce(t *testing.T) {
	t.Parallel()
	_, err := inFile(t, "name: a\nvariables: {}\nname: b\n")
	assert.Equal(t, []string{`3:1: the configuration has "name" twice, first on line 1 | remove one of them`}, problems(t, err))
	_, err = inFile(t, "name: a\nvariables: {cronagent: {}, cronagent: {}}\n")
	assert.Equal(t, []string{`2:28: variables has "cronagent" twice, first on line 2 | remove one of them`}, problems(t, err))
}

func TestZoneOfACron(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ app, settings, own, want string }{
		"its own":          {"Europe/Paris", "Asia/Tokyo", "America/Lima", "America/Lima"},
		"the settings'":    {"Europe/Paris", "Asia/Tokyo", "", "Asia/Tokyo"},
		"the app's":        {"Europe/Paris", "", "", "Europe/Paris"},
		"UTC":              {"", "", "", "UTC"},
		"app's null":       {"~", "", "", "UTC"},
		"own, app's wrong": {"Nowhere", "", "America/Lima", "America/Lima"},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := "name: app\n"
			if tt.app != "" {
				text += "timezone: " + tt.app + "\n"
			}
			text += "variables: { cronagent: { "
			if tt.settings != "" {
				text += "timezone: " + tt.settings + ", "
			}
			text += "crons: { c: { spec: '0 5 * * *', cmd: x"
			if tt.own != "" {
				text += ", timezone: " + tt.own
			}
			app, err := inFile(t, text+" } } } }")
			require.NoError(t, err)
			assert.True(t, app.ZoneKnown)
			assert.Equal(t, tt.want, app.Crons[0].Zone.String())
			assert.Equal(t, tt.want, app.Crons[0].Schedule.Zone().String())
		})
	}
}

func TestWrongZoneOfTheApp(t *testing.T) {
	t.Parallel()
	const message = `the app's timezone: unknown time zone "Nowhere" | it is a name of the tz database, such as Europe/Paris or UTC`
	_, err := inFile(t, "timezone: Nowhere\n"+oneCron(fire))
	assert.Equal(t, []string{`1:11: cron "c": ` + message}, problems(t, err))

	app, err := inFile(t, "timezone: Nowhere\ncrons: {p: {spec: '0 5 * * *', cmd: x}}\n"+oneCron(fire+", timezone: UTC"))
	require.NoError(t, err, "whoever does not need it is not kept from running")
	assert.Equal(t, []string{`1:11: cron "p": ` + message}, problems(t, app.Crons[0].Problem))
}

func TestMountsAndWorkers(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, `
mounts:
  '/.cronagent': { source: local, source_path: cronagent }
  files: { source: service, service: storage, source_path: f }
  '/old': 'shared:files/old'
  '/odd': [1]
  '/tmp': { source: tmp }
workers:
  queue: { commands: { start: 'cronagent run' } }
  odd: 5
`)
	require.NoError(t, err)
	assert.Equal(t, map[string]appconfig.Mount{
		"/.cronagent": {Source: "local", SourcePath: "cronagent"},
		"files":       {Source: "service", SourcePath: "f", Service: "storage"},
		"/old":        {Source: "local", SourcePath: "files/old"},
		"/tmp":        {Source: "tmp"},
	}, app.Mounts)
	assert.Equal(t, map[string]string{"queue": "cronagent run"}, app.Workers)
}

// application is what a container is expected to have: normal form, nulls for
// what is not set, and PHP's lists for empty maps.
const application = `{"name":"app","type":"php:8.3","disk":2048,"timezone":null,
 "source":{"root":"/","operations":[]},"mounts":{"/.cronagent":{"source":"local","source_path":"cronagent"}},
 "variables":{"env":{"APP_ENV":"prod"},"cronagent":{"ledger":null,"notify":[],"crons":{
   "nightly":{"spec":"0 5 * * *","fire":"backup:create","retries":"3","enabled":"true","timeout":null},
   "import":{"spec":"*/10 * * * *","commands":{"start":"php import.php","stop":null},"timeout":"600","env":[],"cmd":null,"enabled":"false"}}}},
 "crons":{"backup":{"spec":"0 5 * * *","commands":{"start":"cronagent tick","stop":null},"shutdown_timeout":null,"timeout":86400,"cmd":null},
          "old":{"spec":"0 6 * * *","commands":{"start":null,"stop":null},"cmd":"echo \ud83d\ude00"}},
 "hooks":{"build":"a\/b"},"workers":[],"app_dir":"/app"}`

func TestVariables(t *testing.T) {
	t.Parallel()
	app, err := inVariables(t, application)
	require.NoError(t, err)
	assert.Equal(t, "app", app.Name)
	assert.Equal(t, "PLATFORM_APPLICATION", app.File)
	assert.Equal(t, "/app", app.Dir)
	assert.True(t, app.ZoneKnown, "null is UTC")
	assert.Equal(t, appconfig.Mount{Source: "local", SourcePath: "cronagent"}, app.Mounts["/.cronagent"])
	var names []string
	for _, c := range app.Crons {
		require.NoError(t, c.Problem)
		names = append(names, string(c.Scheduler)+" "+c.Name)
	}
	assert.Equal(t, []string{"platform backup", "platform old", "agent nightly", "agent import"}, names)
	assert.Equal(t, "PLATFORM_APPLICATION:crons.backup", app.Crons[0].Position.String())
	assert.Equal(t, "PLATFORM_APPLICATION:variables.cronagent.crons.nightly", app.Crons[2].Position.String())
	assert.Equal(t, "cronagent tick", app.Crons[0].Start)
	assert.Equal(t, "echo \U0001F600", app.Crons[1].Start)
	nightly, imported := app.Crons[2], app.Crons[3]
	assert.Equal(t, 3, nightly.Retries, "types may not survive")
	assert.True(t, nightly.Enabled)
	assert.Equal(t, appconfig.DefaultTimeout, nightly.Timeout)
	assert.Equal(t, 10*time.Minute, imported.Timeout)
	assert.False(t, imported.Enabled)
	assert.Equal(t, "php import.php", imported.Start)
}

func TestVariablesReplaceTheAppsOwn(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		variable string
		names    []string
	}{
		"an object":          {`cronagent:crons={"x":{"spec":"0 5 * * *","cmd":"y"}}`, []string{"x"}},
		"a string of JSON":   {`cronagent:crons="{\"x\":{\"spec\":\"0 5 * * *\",\"cmd\":\"y\"}}"`, []string{"x"}},
		"an empty object":    {`cronagent:crons={}`, nil},
		"an empty list":      {`cronagent:crons=[]`, nil},
		"a string of either": {`cronagent:crons=" [] "`, nil},
		"others' variables":  {`other:crons=5`, []string{"nightly", "import"}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := inVariables(t, application, tt.variable)
			require.NoError(t, err)
			var names []string
			for _, c := range app.Crons[2:] {
				names = append(names, c.Name)
			}
			assert.Equal(t, tt.names, names)
			if names != nil && names[0] == "x" {
				assert.Equal(t, "PLATFORM_VARIABLES:cronagent:crons.x", app.Crons[2].Position.String())
			}
		})
	}
	app, err := inVariables(t, application, `cronagent:timezone="Asia/Tokyo"`, `cronagent:ledger="db"`, `cronagent:notify="{\"mail\":\"a@example.com\"}"`)
	require.NoError(t, err)
	assert.Equal(t, appconfig.Settings{Timezone: "Asia/Tokyo", Ledger: "db", Notify: &appconfig.Notify{Mail: []string{"a@example.com"},
		On: appconfig.DefaultEvents(), Position: appconfig.Position{File: "PLATFORM_VARIABLES:cronagent:notify"}}}, app.Settings)
	assert.Equal(t, "Asia/Tokyo", cron(t, app, "nightly").Zone.String())
	assert.Equal(t, "UTC", cron(t, app, "backup").Zone.String())
}

func TestVariablesAreRefused(t *testing.T) {
	t.Parallel()
	const must = "it must be an object, or a string that holds one as JSON; {} means none"
	cases := map[string]struct{ variable, want string }{
		"null":              {`cronagent:crons=null`, `PLATFORM_VARIABLES:cronagent:crons: ` + must + `, not empty`},
		"a number":          {`cronagent:crons=5`, `PLATFORM_VARIABLES:cronagent:crons: ` + must + `, not a number`},
		"false":             {`cronagent:crons=false`, `PLATFORM_VARIABLES:cronagent:crons: ` + must + `, not true or false`},
		"a list":            {`cronagent:crons=[1]`, `PLATFORM_VARIABLES:cronagent:crons: ` + must + `, not a list`},
		"text":              {`cronagent:crons="none"`, `PLATFORM_VARIABLES:cronagent:crons: not JSON: invalid character 'o' in literal null (expecting 'u') | ` + must},
		"empty text":        {`cronagent:crons=""`, `PLATFORM_VARIABLES:cronagent:crons: not JSON: it is empty, or ends too early | ` + must},
		"JSON and more":     {`cronagent:crons="{} {}"`, `PLATFORM_VARIABLES:cronagent:crons: not JSON: something follows behind its end | ` + must},
		"text in text":      {`cronagent:crons="\"{}\""`, `PLATFORM_VARIABLES:cronagent:crons: ` + must + `, not a string`},
		"notify as number":  {`cronagent:notify=1`, `PLATFORM_VARIABLES:cronagent:notify: ` + must + `, not a number`},
		"timezone unknown":  {`cronagent:timezone="X"`, `PLATFORM_VARIABLES:cronagent:timezone: unknown time zone "X" | it is a name of the tz database, such as Europe/Paris or UTC`},
		"timezone null":     {`cronagent:timezone=null`, `PLATFORM_VARIABLES:cronagent:timezone: it must be a string, not empty`},
		"ledger as number":  {`cronagent:ledger=1`, `PLATFORM_VARIABLES:cronagent:ledger: ledger must be a string, not the number 1`},
		"nested too deep":   {`cronagent:crons=` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), `PLATFORM_VARIABLES:cronagent:crons: not JSON: it is nested more than 200 deep | it must be an object, or a string that holds one as JSON; {} means none`},
		"unknown setting":   {`cronagent:cron={}`, `PLATFORM_VARIABLES:cronagent:cron: unknown setting "cron" of cronagent | did you mean: crons; the settings are timezone, ledger, ledger_output, notify, heartbeat, crons`},
		"wrong cron":        {`cronagent:crons={"x":{"spec":"0 5 * * *"}}`, `PLATFORM_VARIABLES:cronagent:crons.x: cron "x": it has nothing to do | give it fire or commands.start`},
		"cron twice":        {`cronagent:crons={"x":{"spec":"0 5 * * *","cmd":"y"},"x":{"spec":"0 5 * * *","cmd":"y"}}`, `PLATFORM_VARIABLES:cronagent:crons: crons has "x" twice`},
		"almost a number":   {`cronagent:crons={"x":{"spec":"0 5 * * *","cmd":"y","retries":"3 "}}`, `PLATFORM_VARIABLES:cronagent:crons.x: cron "x": retries must be a whole number from 0 to 100, not the text "3 "`},
		"almost a boolean":  {`cronagent:crons={"x":{"spec":"0 5 * * *","cmd":"y","enabled":"yes"}}`, `PLATFORM_VARIABLES:cronagent:crons.x: cron "x": enabled must be true or false, not the text "yes"`},
		"a very big number": {`cronagent:crons={"x":{"spec":"0 5 * * *","cmd":"y","retries":123456789012345678901234567890}}`, `PLATFORM_VARIABLES:cronagent:crons.x: cron "x": retries must be a whole number from 0 to 100, not the number 123456789012345678901234567890`},
		"null key":          {`cronagent:crons={"x":{"spec":null,"cmd":"y"}}`, `PLATFORM_VARIABLES:cronagent:crons.x: cron "x": it has no spec | give it one, for example spec: '0 5 * * *'`},
		"null cron":         {`cronagent:crons={"x":null}`, `PLATFORM_VARIABLES:cronagent:crons.x: cron "x": it is empty | give it a spec and something to do, or remove it`},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := inVariables(t, application, tt.variable)
			assert.Nil(t, app)
			assert.Equal(t, []string{tt.want}, problems(t, err))
		})
	}
}

func TestApplicationIsNoApp(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                           "PLATFORM_APPLICATION: not the JSON of an app: it is empty, or ends too early",
		"[]":                         "PLATFORM_APPLICATION: not the JSON of an app: it is no object",
		`{"name":"a"`:                "PLATFORM_APPLICATION: not the JSON of an app: it is empty, or ends too early",
		`{"name":5}`:                 "PLATFORM_APPLICATION: name must be a string, not the number 5",
		`{"name":"a","name":"b"}`:    `PLATFORM_APPLICATION: the app has "name" twice`,
		`{"name":"a","variables":5}`: `PLATFORM_APPLICATION: variables must be a map, not the number 5`,
	} {
		_, err := inVariables(t, text)
		assert.Equal(t, []string{want}, problems(t, err), text)
	}
}

func TestZoneIsNotKnownInAContainer(t *testing.T) {
	t.Parallel()
	const crons = `"crons":{"p":{"spec":"0 5 * * *","cmd":"x"}}`
	agent := func(more string) string {
		return `{"name":"a",` + crons + `,"variables":{"cronagent":{` + more + `}}}`
	}
	_, err := inVariables(t, agent(`"crons":{"c":{"spec":"0 5 * * *","cmd":"x"}}`))
	assert.Equal(t, []string{`PLATFORM_APPLICATION:variables.cronagent.crons.c: cron "c": its time zone is not known: the app's configuration in this container has no key "timezone"` +
		` | set variables.cronagent.timezone, or timezone in the cron, for example to UTC`}, problems(t, err))

	for name, text := range map[string]string{
		"its own":       agent(`"crons":{"c":{"spec":"0 5 * * *","cmd":"x","timezone":"UTC"}}`),
		"the settings'": agent(`"timezone":"UTC","crons":{"c":{"spec":"0 5 * * *","cmd":"x"}}`),
		"no agent cron": agent(``),
	} {
		app, err := inVariables(t, text)
		require.NoError(t, err, name)
		assert.False(t, app.ZoneKnown)
		assert.Equal(t, "UTC", cron(t, app, "p").Zone.String())
		assert.NoError(t, cron(t, app, "p").Problem)
	}
}

func TestCronInsteadOfCronsIsNoticed(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, "name: shop\ncron:\n    a: {spec: '0 1 * * *', cmd: x}\n")
	require.NoError(t, err)
	assert.Equal(t, []string{"2:1: the app has the key cron, and no crons | write crons:"}, problems(t, app.Problem))
}
