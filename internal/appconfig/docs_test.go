package appconfig_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/operation"
)

// row is one of a table of docs/configuration.md.
type row struct{ key, is, byDefault, means string }

var codes = regexp.MustCompile("`([^`]+)`")

// configurationPage returns what stands between <!-- name --> and <!-- end -->.
func configurationPage(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(page), "<!-- "+name+" -->\n")
	require.True(t, ok, name)
	text, _, ok := strings.Cut(after, "<!-- end -->")
	require.True(t, ok, name)
	return text
}

func rows(t *testing.T, name string) []row {
	t.Helper()
	var all []row
	for line := range strings.Lines(configurationPage(t, name)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) == 4 && strings.HasPrefix(strings.TrimSpace(cells[0]), "`") {
			all = append(all, row{strings.Trim(cells[0], " `"), cells[1], cells[2], strings.TrimSpace(cells[3])})
		}
	}
	require.NotEmpty(t, all, name)
	return all
}

// TestReferenceKeys: the page has a row for each key that may stand there, in the
// order of the code, and no other; what has no row is refused.
func TestReferenceKeys(t *testing.T) {
	t.Parallel()
	for _, table := range []struct {
		name string
		want []string
		with func(key string) string // a configuration that has the key and nothing of it
	}{
		{"settings", appconfig.SettingKeys, func(key string) string { return settings(key + ": !!set {}") }},
		{"crons", appconfig.AgentKeys, func(key string) string { return oneCron(key + ": !!set {}") }},
		{"commands", appconfig.CommandKeys, func(key string) string {
			return oneCron("spec: '@daily', commands: { " + key + ": !!set {} }")
		}},
		{"notify", appconfig.NotifyKeys, func(key string) string { return settings("notify: { " + key + ": !!set {} }") }},
	} {
		var documented []string
		for _, r := range rows(t, table.name) {
			documented = append(documented, r.key)
		}
		assert.Equal(t, table.want, documented, table.name)
		for _, key := range table.want {
			_, err := inFile(t, table.with(key))
			if err != nil {
				assert.NotContains(t, err.Error(), "unknown", "%s: the reader does not know its own key %s", table.name, key)
			}
		}
		_, err := inFile(t, table.with("nosuchkey"))
		require.Error(t, err, table.name)
		assert.Contains(t, err.Error(), `unknown`, table.name)
		assert.Contains(t, err.Error(), `"nosuchkey"`, table.name)
	}
	for _, key := range appconfig.PlatformKeys {
		assert.Contains(t, appconfig.AgentKeys, key, "an entry that is moved keeps its meaning")
	}
	assert.Contains(t, configurationPage(t, "operations"), "`"+operation.Fireable()[0].Name+"`")
	var operations []string
	for _, o := range operation.Fireable() {
		operations = append(operations, o.Name)
	}
	var written []string
	for _, found := range codes.FindAllStringSubmatch(configurationPage(t, "operations"), -1) {
		written = append(written, found[1])
	}
	assert.ElementsMatch(t, operations, written)
}

// settings is an app whose variables.cronagent has these keys beside a cron.
func settings(keys string) string {
	return "name: shop\nvariables:\n  cronagent:\n    " + keys + "\n"
}

// TestReferenceExamples: each row ends with an example, which is read.
func TestReferenceExamples(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"settings", "crons", "commands", "notify"} {
		for _, r := range rows(t, table) {
			spans := codes.FindAllStringSubmatch(r.means, -1)
			require.NotEmpty(t, spans, r.key)
			example := spans[len(spans)-1][1]
			text := settings(example)
			switch {
			case table == "settings" || table == "notify":
			case r.key == "spec":
				text = oneCron(example + ", fire: 'backup:create'")
			case strings.Contains("fire commands cmd start stop", r.key):
				text = oneCron("spec: '@daily', " + example)
			default:
				text = oneCron("spec: '@daily', commands: { start: 'true' }, " + example)
			}
			assert.Contains(t, example, r.key+":", "the example is of its key")
			_, err := inFile(t, text)
			assert.NoError(t, err, "%s: %s", r.key, example)
		}
	}
}

var limits = regexp.MustCompile(`(\d+) to (\d+)`)

// TestReferenceLimits: the limits are as the page says, at their ends and beyond
// them, and so are the words that a key takes.
func TestReferenceLimits(t *testing.T) {
	t.Parallel()
	numbers, words := 0, 0
	accepted := func(key, value string) bool {
		_, err := inFile(t, oneCron("spec: '@daily', commands: { start: 'true' }, "+key+": "+value))
		return err == nil
	}
	for _, r := range rows(t, "crons") {
		if found := limits.FindStringSubmatch(r.is); found != nil {
			numbers++
			least, _ := strconv.Atoi(found[1])
			most, _ := strconv.Atoi(found[2])
			for n, want := range map[int]bool{least: true, least - 1: false, most: true, most + 1: false} {
				assert.Equal(t, want, accepted(r.key, strconv.Itoa(n)), "%s: %d", r.key, n)
			}
			continue
		}
		spans := codes.FindAllStringSubmatch(r.is, -1)
		for _, found := range spans {
			words++
			value := found[1]
			if strings.HasPrefix(r.is, "list of") {
				value = "[" + value + "]"
			}
			assert.True(t, accepted(r.key, value), "%s: %s", r.key, value)
		}
		if len(spans) > 0 {
			assert.False(t, accepted(r.key, "[other]") || accepted(r.key, "other"), r.key)
		}
	}
	assert.Equal(t, 4, numbers)
	assert.Equal(t, 3+5+2+2, words)
	for _, r := range rows(t, "notify") {
		if r.key == "on" {
			var events []string
			for _, found := range codes.FindAllStringSubmatch(r.is, -1) {
				events = append(events, found[1])
			}
			assert.Equal(t, appconfig.Events(), events)
		}
	}
	for _, row := range rows(t, "settings") {
		if row.key == "crons" {
			most := regexp.MustCompile(`at most (\d+) bytes`).FindStringSubmatch(row.means)
			require.NotNil(t, most)
			n, _ := strconv.Atoi(most[1])
			for length, want := range map[int]bool{n: true, n + 1: false} {
				_, err := inFile(t, settings("crons: { ? "+strings.Repeat("x", length)+" : { spec: '@daily', fire: 'backup:create' } }"))
				assert.Equal(t, want, err == nil, "%d: %v", length, err)
			}
		}
	}
}

// TestReferenceDefaults: a cron that says nothing has what the page calls its default.
func TestReferenceDefaults(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, oneCron("spec: '@daily', commands: { start: 'true' }"))
	require.NoError(t, err)
	c := app.Crons[0]
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	list := func(all []string) string { return "`[" + strings.Join(all, ", ") + "]`" }
	want := map[string]string{
		"environment_types": list(c.EnvironmentTypes),
		"timeout":           seconds(c.Timeout),
		"shutdown_timeout":  seconds(c.ShutdownTimeout),
		"overlap":           "`" + string(c.Overlap) + "`",
		"retries":           strconv.Itoa(c.Retries),
		"missed":            "`" + string(c.Missed) + "`",
		"missed_within":     seconds(c.MissedWithin),
		"enabled":           fmt.Sprintf("`%t`", c.Enabled),
		"on":                list(appconfig.DefaultEvents()),
		"ledger_output":     fmt.Sprintf("`%t`", app.Settings.LedgerOutput),
	}
	for _, table := range []string{"settings", "crons", "notify"} {
		for _, r := range rows(t, table) {
			if value, ok := want[r.key]; ok {
				assert.Equal(t, value, r.byDefault, r.key)
				delete(want, r.key)
			}
		}
	}
	assert.Empty(t, want, "these have no row")
	assert.Empty(t, app.Settings.Ledger, "which envdetect takes for the file")
	assert.True(t, app.Settings.Notify.Quiet())
	assert.True(t, app.Settings.Heartbeat.IsZero())
}
