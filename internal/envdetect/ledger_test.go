package envdetect_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/envdetect"
)

// relationships are as containers have them: users and passwords may be null or
// empty, a query an empty list, and what is of no use to us is among them.
const relationships = `{
	"mysql": [{"username":"user","scheme":"mysql","service":"db","fragment":null,"ip":"169.254.1.2","hostname":"x.db.service._.eu-3.platformsh.site","port":3306,
		"cluster":"abc","host":"mysql.internal","rel":"mysql","path":"main","query":{"is_master":true},"password":"","type":"mariadb:11.4","public":false,"host_mapped":false}],
	"postgres": [{"username":"main","scheme":"pgsql","host":"postgres.internal","port":"5433","path":"main","query":{"is_master":true},"password":"` + secret + `"}],
	"a_replica": [{"username":"main","scheme":"pgsql","host":"replica.internal","port":5432,"path":"main","query":{"is_master":false},"password":"` + secret + `"}],
	"several": [
		{"scheme":"http","host":"web.internal"},
		{"username":"u1","scheme":"pgsql","host":"one.internal","port":5432,"path":"main","query":{"is_master":false},"password":"` + secret + `"},
		{"username":"u2","scheme":"pgsql","host":"two.internal","port":5432,"path":"main","query":{"is_master":true},"password":"` + secret + `"},
		{"username":"u3","scheme":"pgsql","host":"three.internal","port":5432,"path":"main","query":{"is_master":true},"password":"` + secret + `"}],
	"nobody_says": [{"username":null,"scheme":"mysql","host":"first.internal","path":"main","query":[],"password":null},
		{"username":"u","scheme":"mysql","host":"second.internal","port":"none","path":"main","query":[],"password":"` + secret + `"}],
	"redis": [{"username":null,"scheme":"redis","host":"redis.internal","port":6379,"path":null,"query":[],"password":null}],
	"nowhere": [{"username":"main","scheme":"pgsql","port":5432,"path":"main","query":[],"password":"` + secret + `"}],
	"unnamed": [{"username":"main","scheme":"pgsql","host":"db.internal","port":5432,"path":"","query":[],"password":"` + secret + `"}],
	"odd": [7, "x", {"scheme":["pgsql"],"host":5,"query":"is_master"}],
	"empty": [], "other": {"scheme":"pgsql","host":"db.internal","path":"main"}
}`

// with is a container with relationships and a setting of its app.
func with(setting string) vars {
	return container().and(vars{
		"PLATFORM_RELATIONSHIPS": encoded(relationships),
		"PLATFORM_APPLICATION":   encoded(`{"name":"app","variables":{"cronagent":{` + setting + `}}}`),
	})
}

func TestLedger(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		vars   vars
		ledger string
		want   *envdetect.Database
		reason string
	}{
		"nothing set":            {container(), "file", nil, "CRONAGENT_LEDGER is not set, nor variables.cronagent.ledger"},
		"nothing set, databases": {with(``), "file", nil, "CRONAGENT_LEDGER is not set, nor variables.cronagent.ledger"},
		"file":                   {with(`"ledger":"mysql"`).and(vars{"CRONAGENT_LEDGER": "file"}), "file", nil, "CRONAGENT_LEDGER is set"},
		"the app says file":      {with(`"ledger":"file"`), "file", nil, "PLATFORM_VARIABLES:cronagent:ledger is set"},
		"null":                   {with(`"ledger":null`), "file", nil, ""},
		"no password": {with(``).and(vars{"CRONAGENT_LEDGER": "mysql"}), "mysql",
			&envdetect.Database{Relationship: "mysql", Scheme: "mysql", Host: "mysql.internal", Port: 3306, User: "user", Name: "main"}, "CRONAGENT_LEDGER is set"},
		"a port in a string, spaces around": {with(``).and(vars{"CRONAGENT_LEDGER": " postgres "}), "postgres",
			&envdetect.Database{Relationship: "postgres", Scheme: "pgsql", Host: "postgres.internal", Port: 5433, User: "main", Password: secret, Name: "main"}, ""},
		"the app's own setting": {with(`"ledger":"postgres"`), "postgres",
			&envdetect.Database{Relationship: "postgres", Scheme: "pgsql", Host: "postgres.internal", Port: 5433, User: "main", Password: secret, Name: "main"}, "PLATFORM_VARIABLES:cronagent:ledger is set"},
		"the first master of several": {with(``).and(vars{"CRONAGENT_LEDGER": "several"}), "several",
			&envdetect.Database{Relationship: "several", Scheme: "pgsql", Host: "two.internal", Port: 5432, User: "u2", Password: secret, Name: "main"}, ""},
		"none says that it is the master": {with(``).and(vars{"CRONAGENT_LEDGER": "nobody_says"}), "nobody_says",
			&envdetect.Database{Relationship: "nobody_says", Scheme: "mysql", Host: "first.internal", Port: 3306, Name: "main"}, ""},
		"a replica that somebody asks for": {with(``).and(vars{"CRONAGENT_LEDGER": "a_replica"}), "a_replica",
			&envdetect.Database{Relationship: "a_replica", Scheme: "pgsql", Host: "replica.internal", Port: 5432, User: "main", Password: secret, Name: "main"}, ""},
		"auto takes the first that is no replica": {with(`"ledger":"auto"`), "mysql",
			&envdetect.Database{Relationship: "mysql", Scheme: "mysql", Host: "mysql.internal", Port: 3306, User: "user", Name: "main"},
			"PLATFORM_VARIABLES:cronagent:ledger is set to auto, and this is the first database"},
		"the environment's variable wins": {with(`"ledger":"redis"`).and(vars{"PLATFORM_VARIABLES": encoded(`{"cronagent:ledger":"mysql"}`)}), "mysql",
			&envdetect.Database{Relationship: "mysql", Scheme: "mysql", Host: "mysql.internal", Port: 3306, User: "user", Name: "main"}, ""},
		"off the platform through a tunnel": {vars{"CRONAGENT_LEDGER": "mysql", "PLATFORM_RELATIONSHIPS": encoded(relationships)}, "mysql",
			&envdetect.Database{Relationship: "mysql", Scheme: "mysql", Host: "mysql.internal", Port: 3306, User: "user", Name: "main"}, ""},
		"off the platform the app's setting does not count": {vars{"PLATFORM_RELATIONSHIPS": encoded(relationships),
			"PLATFORM_APPLICATION": encoded(`{"name":"app","variables":{"cronagent":{"ledger":"mysql"}}}`)}, "file", nil, ""},
		"in a build it is reached later": {build().and(vars{"CRONAGENT_LEDGER": "mysql"}), "mysql", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := found(t, test.vars, envdetect.Options{})
			assert.Equal(t, test.ledger, e.Ledger)
			assert.Equal(t, test.want, e.Database)
			if test.reason != "" {
				assert.Equal(t, test.reason, e.Reasons["ledger"])
			}
			if test.want == nil {
				assert.Empty(t, e.LedgerAddress)
				return
			}
			assert.Equal(t, fmt.Sprintf("%s://%s:%d/main", test.want.Scheme, test.want.Host, test.want.Port), e.LedgerAddress)
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
				assert.NotContains(t, fmt.Sprintf(verb+verb, e.Database, *e.Database), secret)
			}
		})
	}
}

func TestLedgerIsRefused(t *testing.T) {
	t.Parallel()
	const there = "there is: a_replica, mysql, nobody_says, postgres, several"
	set := func(name string) vars { return with(``).and(vars{"CRONAGENT_LEDGER": name}) }
	for name, test := range map[string]struct {
		vars                    vars
		variable, problem, hint string
	}{
		"unknown":              {set("database"), "CRONAGENT_LEDGER", `the app has no relationship "database"`, there},
		"another case":         {set("MySQL"), "CRONAGENT_LEDGER", `the app has no relationship "MySQL"`, there},
		"the app says unknown": {with(`"ledger":"database"`), "PLATFORM_VARIABLES:cronagent:ledger", `the app has no relationship "database"`, there},
		"redis":                {set("redis"), "CRONAGENT_LEDGER", `the relationship "redis" is a redis, and a ledger needs PostgreSQL, MariaDB or MySQL`, there},
		"without a host":       {set("nowhere"), "CRONAGENT_LEDGER", `the relationship "nowhere" is a pgsql without host or path, and a ledger needs PostgreSQL, MariaDB or MySQL`, there},
		"without a name":       {set("unnamed"), "CRONAGENT_LEDGER", `the relationship "unnamed" is a pgsql without host or path, and a ledger needs PostgreSQL, MariaDB or MySQL`, there},
		"of odd types":         {set("odd"), "CRONAGENT_LEDGER", `the relationship "odd" is none that has a scheme, and a ledger needs PostgreSQL, MariaDB or MySQL`, there},
		"of no endpoints":      {set("empty"), "CRONAGENT_LEDGER", `the app has no relationship "empty"`, there},
		"auto, and none fits": {container().and(vars{"CRONAGENT_LEDGER": "auto", "PLATFORM_RELATIONSHIPS": encoded(`{"redis":[{"scheme":"redis","host":"h"}]}`)}),
			"CRONAGENT_LEDGER", "auto: the app has no relationship to a database", "there is no PostgreSQL, MariaDB or MySQL among the relationships of the app; add one, or set it to file"},
		"no relationships at all": {container().and(vars{"CRONAGENT_LEDGER": "database", "PLATFORM_RELATIONSHIPS": encoded(`[]`)}),
			"CRONAGENT_LEDGER", `the app has no relationship "database"`, "there is no PostgreSQL, MariaDB or MySQL among the relationships of the app; add one, or set it to file"},
		"off the platform":       {vars{"CRONAGENT_LEDGER": "mysql"}, "CRONAGENT_LEDGER", `"mysql": PLATFORM_RELATIONSHIPS is not set here, which tells how to reach a relationship`, ""},
		"off the platform, auto": {vars{"CRONAGENT_LEDGER": "auto"}, "CRONAGENT_LEDGER", `"auto": PLATFORM_RELATIONSHIPS is not set here, which tells how to reach a relationship`, ""},
		"no string":              {with(`"ledger":["mysql"]`), "PLATFORM_VARIABLES:cronagent:ledger", "is not a string", "set it to the name of a relationship, to auto or to file"},
		"output is neither":      {with(`"ledger_output":"sometimes"`), "PLATFORM_VARIABLES:cronagent:ledger_output", "is neither true nor false", ""},
		"output is a number":     {with(`"ledger_output":2`), "PLATFORM_VARIABLES:cronagent:ledger_output", "is neither true nor false", ""},
		"output is a list":       {with(`"ledger_output":[true]`), "PLATFORM_VARIABLES:cronagent:ledger_output", "is neither true nor false", ""},
		"output as a variable":   {with(``).and(vars{"CRONAGENT_LEDGER_OUTPUT": "maybe"}), "CRONAGENT_LEDGER_OUTPUT", "is neither true nor false", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := found(t, test.vars, envdetect.Options{}) // who needs no ledger goes on
			assert.Nil(t, found.Database)
			e, ok := errors.AsType[*envdetect.Error](found.LedgerError())
			require.True(t, ok)
			assert.Equal(t, found.LedgerProblem, e.Error())
			assert.Equal(t, test.variable, e.Variable)
			assert.Equal(t, test.problem, e.Problem)
			if test.hint != "" {
				assert.Equal(t, test.hint, e.Hint)
			}
		})
	}
}

func TestLedgerOutput(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		vars vars
		want bool
	}{
		"nothing set":       {with(``), false},
		"true":              {with(`"ledger_output":true`), true},
		"false":             {with(`"ledger_output":false`), false},
		"null":              {with(`"ledger_output":null`), false},
		"in a string":       {with(`"ledger_output":"Yes"`), true},
		"in a variable":     {with(``).and(vars{"CRONAGENT_LEDGER_OUTPUT": "1"}), true},
		"the variable wins": {with(`"ledger_output":true`).and(vars{"CRONAGENT_LEDGER_OUTPUT": "0"}), false},
		"the environment's": {with(`"ledger_output":true`).and(vars{"PLATFORM_VARIABLES": encoded(`{"cronagent:ledger_output":"false"}`)}), false},
		"off the platform":  {vars{"PLATFORM_APPLICATION": encoded(`{"variables":{"cronagent":{"ledger_output":true}}}`)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := detect(t, test.vars, envdetect.Options{})
			require.NoError(t, err)
			assert.Equal(t, test.want, e.LedgerOutput)
		})
	}
}
