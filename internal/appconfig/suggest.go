package appconfig

import "fmt"

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

// suggest is a hint: what may have been meant instead of word, then rest.
func suggest(word string, known []string, rest string) string {
	better := nearest(word, known)
	switch {
	case better == "":
		return rest
	case rest == "":
		return fmt.Sprintf("did you mean %q?", better)
	}
	return fmt.Sprintf("did you mean %q? %s", better, rest)
}

// nearest returns the known word that was most likely meant, or nothing.
func nearest(word string, known []string) string {
	if better := meant[word]; better != "" {
		for _, k := range known {
			if better == k || better == "commands.start" && k == "commands" || better == "commands.stop" && k == "commands" {
				return better
			}
		}
	}
	best, least := "", 3
	for _, k := range known {
		// The cost is quadratic, and a difference in length is a distance already.
		if len(word) > len(k)+2 || len(k) > len(word)+2 {
			continue
		}
		if d := distance(word, k); d < least && d*2 < len(k) {
			best, least = k, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to make b of a, without regard to - and _.
func distance(a, b string) int {
	before, previous, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	same := func(x, y byte) bool { return fold(x) == fold(y) }
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if same(a[i-1], b[j-1]) {
				cost = 0
			}
			row[j] = min(previous[j]+1, row[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && same(a[i-1], b[j-2]) && same(a[i-2], b[j-1]) {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, previous, row = previous, row, make([]int, len(b)+1)
	}
	return previous[len(b)]
}

func fold(c byte) byte {
	switch {
	case c == '-' || c == ' ':
		return '_'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}
