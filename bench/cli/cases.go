package main

import "github.com/cronagent/cronagent/internal/sandbox"

// sample is one command line, and the state in which it is typed.
type sample struct {
	// before are command lines that are typed first, by the same program.
	before []string
	// events happened an hour before.
	events []sandbox.Event
	args   []string
	// why says why the sides differ, on purpose. Empty: they must not.
	why string
}

// The reasons.
const (
	noAlias    = "`snapshot:create` and the other old names work; deployed crons call them"
	noQuestion = "destroys something: takes `--yes` where nobody can be asked"
	fresh      = "prints the variable as it is now; theirs prints it as it was"
	noDouble   = "one request, never a second: `--force-invite` sends it again"
	noSettings = "does not read the environment's settings for the property `deployment_type`"
	noGuess    = "a cron is not cancelled unless `--type` or its id says so: it may be the caller"
	wholeName  = "takes no abbreviation, since it destroys something"
	alsoSpaced = "a value may hold an equals sign"
	both       = "`both` of older versions is understood"
	noCheck    = "nothing is read before: the platform refuses the request, and says why"
	direct     = "tried as an id first, which the platform refuses; then looked up"
)

func line(args ...string) sample { return sample{args: args} }

func (s sample) after(lines ...string) sample {
	s.before = append(s.before, lines...)
	return s
}

func (s sample) happened(events ...sandbox.Event) sample {
	s.events = append(s.events, events...)
	return s
}

func (s sample) because(why string) sample {
	s.why = why
	return s
}

var (
	backup     = sandbox.Event{By: sandbox.DefaultUser}
	automated  = sandbox.Event{}
	failed     = sandbox.Event{Type: "environment.redeploy", By: sandbox.DefaultUser, Outcome: sandbox.Failure}
	cron       = sandbox.Event{Type: "environment.cron", Outcome: sandbox.Unfinished}
	unfinished = sandbox.Event{Type: "environment.redeploy", By: sandbox.DefaultUser, Outcome: sandbox.Unfinished}
)

const (
	oneVariable = "variable:create foo -l e --value bar --no-wait"
	twoLevels   = "variable:create foo -l p --value bar --no-wait"
)

var cases = []sample{
	line("backup:create", "--yes", "--no-wait"),
	line("backup:create", "--live", "-y", "-W"),
	line("backup", "-W"),
	line("-q", "backup:create", "-W"),
	line("backup:create", "--no", "-W"),
	line("backup:create", "-y", "-n", "-W"),
	line("backup:create", "staging", "-W"),
	line("backup:create", "staging", "-e", "main", "-W"),
	line("backup:create", "-e", "main-bvxea6i", "-W").because(direct),
	line("backup:create", "-e", ".", "-p", sandbox.DefaultProject, "-W"),
	line("backup:create", "-p", "https://console.upsun.com/org/"+sandbox.DefaultProject+"/staging", "-W"),
	line("backup:create", "-e", "feature/new-menu", "-W").because(noCheck),
	line("backup:create", "-e", "nosuch", "-W").because(noCheck),
	line("backup:create", "--nosuch"),
	line("snapshot:create", "--yes", "--no-wait").because(noAlias),
	line("environment:backup", "--yes", "--no-wait").because(noAlias),
	line("snapshots").happened(backup).because(noAlias),
	line("redeploy", "--yes", "--no-wait"),
	line("env:redep", "-W"),
	line("environment:redeploy", "main", "-W"),
	line("b:c"),
	line("v:l"),
	line("source-operation:run", "update", "--no-wait", "--yes"),
	line("source-operation:run", "update", "--variable", "env:A=b", "--variable", "env:C=d", "--variable", "x:E=f", "-W"),
	line("source-operation:run", "update", "--variable", "env:A=b=c", "-W").because(alsoSpaced),
	line("source-operation:run", "nosuch", "-W").because(noCheck),
	line("source-operation:run", "-W"),
	line("environment:pause", "-e", "staging", "-W"),
	line("environment:pause", "-W").because(noCheck),
	line("environment:resume", "-e", "staging", "-W").after("environment:pause -e staging -W"),
	line("sync", "-e", "staging", "code", "data", "--no-wait", "--yes"),
	line("environment:sync", "--rebase", "-e", "staging", "code", "-W"),
	line("environment:synchronize", "data", "-W").because(noCheck),
	line("environment:synchronize", "-e", "staging", "-W"),
	line("environment:synchronize", "-e", "staging", "all", "-W"),
	line("environment:synchronize", "-e", "staging", "both", "-W").because(both),
	line("operation:run", "clear-cache", "-W"),
	line("operation:run", "clear-cache", "--app", "app", "-W"),
	line("operation:run", "nosuch", "-W").because(noCheck),
	line("backup:list"),
	line("backup:list").happened(backup, automated),
	line("backups", "--format", "csv", "--columns", "id,live,automated,created_at").happened(backup),
	line("backup:list", "--format", "plain", "--no-header", "--date-fmt", "Y-m-d H:i").happened(backup),
	line("backup:list", "--columns", "nosuch").happened(backup),
	line("backup:list", "--format", "xml").happened(backup),
	line("backup:get").happened(automated, backup),
	line("backup:get", "{backup1}", "-P", "created_at").happened(backup),
	line("backup:get", "nosuch").happened(backup),
	line("backup:restore", "{backup1}", "--yes", "-W").happened(backup),
	line("backup:restore", "-y", "-W", "--target", "new", "--branch-from", "main", "--no-code").happened(backup),
	line("backup:restore", "-W").happened(backup).because(noQuestion),
	line("backup:restore", "nosuch", "-y", "-W").happened(backup).because(noCheck),
	line("backup:delete", "{backup1}", "-y", "-W").happened(backup),
	line("backup:delete", "{backup1}", "-W").happened(backup).because(noQuestion),
	line("backup:del", "{backup1}", "-y", "-W").happened(backup).because(wholeName),
	line("backup:delete", "-y", "-W").happened(backup),
	line("variable:create", "-e", "main", "--level", "environment", "--name", "env:PLATFORMSH_CLI_TOKEN", "--sensitive", "true", "--value", "X", "-W"),
	line("var:create", "-e", "main", "--level", "environment", "--prefix", "env", "--name", "PLATFORMSH_CLI_TOKEN", "--sensitive", "true", "--value", "X",
		"--inheritable", "false", "--visible-build", "true", "--no-interaction"),
	line("variable:create", "foo", "-l", "p", "--value", `{"a":1}`, "--json", "true", "--visible-build", "false", "-W"),
	line("variable:create", "foo", "-l", "e", "--value", "x", "--app-scope", "app", "--enabled", "0", "-W"),
	line("variable:create", "foo", "-l", "e", "--value", "two", "-W").after(oneVariable),
	line("variable:create", "foo", "-l", "e", "--value", "two", "--update", "-W").after(oneVariable).because(fresh),
	line("variable:create", "foo", "-l", "e", "--value", "bar", "-u", "-W").after(oneVariable),
	line("variable:create", "foo", "-l", "e", "-W"),
	line("variable:create", "foo", "--value", "x", "-W"),
	line("variable:create", "foo", "-l", "p", "--value", "x", "--inheritable", "false", "-W"),
	line("variable:create", "env:not-good", "-l", "e", "--value", "x", "-W"),
	line("variable:create", "foo", "-l", "e", "--value", "{", "--json", "true", "-W"),
	line("variable:list"),
	line("variable:list").after(oneVariable, twoLevels, "variable:create s -l e --value x --sensitive true --no-wait"),
	line("variables", "-l", "e", "--format", "csv").after(oneVariable, "variable:create s -l e --value x --sensitive true --no-wait"),
	line("variable:get", "foo").after(oneVariable),
	line("vget", "foo", "-P", "value").after(oneVariable),
	line("variable:get", "foo").after(oneVariable, twoLevels),
	line("variable:get", "foo", "-l", "p", "--format", "tsv", "--no-header").after(oneVariable, twoLevels),
	line("variable:get", "s", "-P", "value").after("variable:create s -l e --value x --sensitive true --no-wait"),
	line("variable:get", "nosuch"),
	line("variable:update", "foo", "--value", "new", "--visible-build", "1", "-W").after(oneVariable).because(fresh),
	line("variable:update", "foo", "-W").after(oneVariable),
	line("variable:update", "foo", "--allow-no-change", "-W").after(oneVariable),
	line("variable:update", "nosuch", "--value", "x", "-W"),
	line("variable:delete", "foo", "-y", "-W").after(oneVariable),
	line("variable:delete", "foo", "-W").after(oneVariable),
	line("variable:delete", "foo", "-y", "-W").after(oneVariable, twoLevels),
	line("variable:delete", "foo", "-l", "project", "-y", "-W").after(oneVariable, twoLevels),
	line("var:d", "foo", "-y"),
	line("user:add", "robot@example.com", "-r", "viewer", "-r", "production:admin", "-y"),
	line("user:add", "robot@example.com", "-r", "viewer", "-r", "prod%:a"),
	line("user:add", "robot@example.com", "-r", "admin"),
	line("user:add", "robot@example.com", "-r", "viewer"),
	line("user:add", "robot", "-r", "admin"),
	line("user:add", "robot@example.com", "-r", "viewer", "-r", "production:admin").after("user:add robot@example.com -r viewer -r production:admin").because(noDouble),
	line("user:add", "robot@example.com", "-r", "admin", "--force-invite").after("user:add robot@example.com -r viewer -r production:admin"),
	line("user:add", "colleague@example.com", "-r", "viewer", "-r", "production:admin"),
	line("activity:list"),
	line("activity:list").happened(backup, failed),
	line("activities", "--format", "csv").happened(backup, failed),
	line("act", "-a", "--type", "backup,redeploy", "--columns", "+type,environments", "--format", "plain").happened(backup, failed),
	line("activity:list", "--state", "complete", "--result", "failure", "--limit", "1", "--no-header").happened(backup, failed),
	line("activity:list", "-i", "--columns", "id,t%", "--format", "tsv").happened(backup, cron),
	line("activity:get", "{activity1}").happened(backup),
	line("activity:get", "-P", "state").happened(backup, failed),
	line("activity:get", "nosuch").happened(backup),
	line("activity:log", "{activity1}").happened(backup),
	line("activity:log", "-t", "--date-fmt", "H:i:s").happened(backup),
	line("activity:cancel", "{activity1}", "-y").happened(unfinished),
	line("activity:cancel", "-y").happened(unfinished),
	line("activity:cancel", "-y").happened(cron).because(noGuess),
	line("activity:cancel", "{activity1}").happened(unfinished).because(noQuestion),
	line("activity:cancel", "-y").happened(backup),
	line("environment:list"),
	line("environments", "--format", "csv", "--columns", "*"),
	line("env", "--pipe"),
	line("environment:list", "--no-inactive", "--type", "staging,production", "--format", "plain", "--no-header"),
	line("environment:list", "--status", "dirty"),
	line("environment:list", "--sort", "machine_name", "--reverse", "--pipe"),
	line("environment:list", "-e", "main"),
	line("project:info", "-P", "title"),
	line("user:add", "robot@example.com", "-r", "admin", "-e", "staging"),
	line("environment:info").because(noSettings),
	line("environment:info", "deployment_state.crons.status"),
	line("environment:info", "http_access", "-e", "staging"),
	line("environment:info", "nosuch"),
	line("project:info"),
	line("project:info", "repository.url"),
	line("project:info", "created_at", "--date-fmt", "U"),
	line("source-operation:list"),
	line("source-ops", "--format", "csv", "--columns", "operation"),
	line("operation:list"),
	line("ops", "--format", "plain", "--columns", "name,role", "--no-header"),
	line("auth:info"),
	line("auth:info", "email"),
	line("auth:info", "-P", "username"),
	line("auth:info", "--format", "csv", "--no-header"),
	line("auth:info", "nosuch"),
	line("auth:api-token-login").because("tests the token of the variable; theirs refuses where there is no terminal"),
}
