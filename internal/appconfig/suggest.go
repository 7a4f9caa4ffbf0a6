package appconfig

import "github.com/cronagent/cronagent/internal/nearest"

// meant are other words for our keys, by which other schedulers and the
// platform's own tools call the same thing.
var meant = map[string]string{
	"schedule": "spec", "cron": "spec", "expression": "spec", "when": "spec",
	"command": "commands", "start": "commands.start", "stop": "commands.stop", "run": "commands.start", "script": "commands.start",
	"operation": "fire", "action": "fire",
	"tz": "timezone", "time_zone": "timezone", "zone": "timezone",
	"environments": "environment_types", "environment": "environment_types", "types": "environment_types", "only": "environment_types",
	"retry": "retries", "attempts": "retries", "concurrency": "overlap", "grace": "shutdown_timeout", "stop_timeout": "shutdown_timeout",
	"disabled": "enabled", "environment_variables": "env", "vars": "env", "notifications": "notify", "database": "ledger",
	"email": "mail", "mailto": "mail", "to": "mail", "url": "webhook", "hook": "webhook", "slack": "webhook", "healthcheck": "ping", "healthchecks": "ping",
	"events": "on", "failed": "failure", "failures": "failure", "fail": "failure", "error": "failure", "recovery": "recovered", "succeeded": "success",
	"prod": "production", "stage": "staging", "dev": "development", "all": AnyEnvironment,
}

// Suggest is a hint: what was most likely meant instead of word, then rest.
func Suggest(word string, known []string, rest string) string { return suggest(word, known, rest) }

func suggest(word string, known []string, rest string) string {
	if better := meant[word]; better != "" {
		for _, k := range known {
			if better == k || better == "commands.start" && k == "commands" || better == "commands.stop" && k == "commands" {
				return nearest.Ask([]string{better}, rest)
			}
		}
	}
	return nearest.Hint(word, known, rest)
}
