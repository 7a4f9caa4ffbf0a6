package check

import (
	"bytes"
	"slices"
	"strings"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/shell"
)

// move is a cron of the platform that becomes one of the agent.
type move struct {
	app, cron string
	// entry is what it is then.
	entry map[string]any
}

// needless are options that fire does not need.
var needless = []string{"--yes", "-y", "--no-wait", "-W", "-yW", "-Wy", "--no-interaction", "--quiet", "-q"}

// checkMove says that a cron only fires an operation on production, which the app's
// agent does better.
func (c *cron) checkMove() {
	fire := c.fires()
	if fire == "" || c.Schedule == nil || c.Stop != "" {
		return
	}
	f := c.add("move-to-agent", c.Position, "", "all that it does is to fire %s on production; the agent does that once, records it, and tells what became of it", fire)
	m := &move{app: c.app.name, cron: c.Name, entry: map[string]any{"spec": c.Spec, "fire": fire}}
	if zone := c.config.Settings.Timezone; zone != "" && zone != c.config.Zone.String() {
		m.entry["timezone"] = c.config.Zone.String()
	}
	if f.edits = c.moveEdits(m); f.edits != nil {
		f.move = m
	}
}

// fires is the operation that a cron fires and nothing else, on production only, in
// the words of an agent cron; empty if it does anything else, or that is not known.
func (c *cron) fires() string {
	if c.command == nil || c.command.script == nil || len(c.command.calls) != 1 || len(c.command.script.Redirects())+len(c.command.script.Assignments()) > 0 {
		return ""
	}
	p := c.command.calls[0]
	calls := c.command.script.Calls()
	for i := range calls {
		if call := &calls[i]; call != p.Call && !call.Minor {
			return ""
		}
	}
	if len(p.When) == 0 && !p.fired || len(p.When) > 0 && !onProduction(p.When) || p.Loop || !p.op.Fires {
		return ""
	}
	words := []string{p.op.Name}
	for _, w := range p.Words[p.word+1:] {
		if !w.Literal || w.Text == "" || strings.ContainsAny(w.Text, " \t\n'\"") {
			return ""
		}
		if !slices.Contains(needless, w.Text) {
			words = append(words, w.Text)
		}
	}
	if _, err := operation.Parse(words); err != nil || p.word > 1 && !p.fired || p.word > 2 {
		return ""
	}
	return strings.Join(words, " ")
}

// onProduction tells whether a gate is that of production and nothing else.
func onProduction(gate shell.Gate) bool {
	if len(gate) != 1 || len(gate[0]) != 1 {
		return false
	}
	c := &gate[0][0]
	return c.Operator == shell.Equal && (c.Variable == "PLATFORM_ENVIRONMENT_TYPE" && c.Value == "production" ||
		c.Variable == "PLATFORM_BRANCH" && (c.Value == "main" || c.Value == "master"))
}

// moveEdits take a cron out of crons: and put it below variables.cronagent.crons;
// nil if that is not as simple as it should be.
func (c *cron) moveEdits(m *move) []*edit {
	file := c.key.File()
	app, ok := c.app.written.Start()
	from, known := c.key.Start()
	if !ok || !known || from < app || len(c.sisters("crons")) < 2 || c.written.Alias() {
		return nil
	}
	var agents appconfig.WrittenKey
	settings, _ := c.app.written.Get("variables", "cronagent")
	for _, k := range settings.Keys() {
		if k.Name == "crons" {
			agents = k
		}
	}
	others := c.sisters("variables", "cronagent", "crons")
	if len(others) == 0 || agents.Value.Flow() || agents.Value.Alias() || slices.ContainsFunc(others, func(k appconfig.WrittenKey) bool { return k.Name == c.Name }) {
		return nil
	}
	above, known := agents.Key.Start()
	first, also := others[0].Key.Start()
	if !known || !also || above < app || lineStart(file, first) == lineStart(file, above) {
		return nil
	}
	indent, deep := file[lineStart(file, from):from], file[lineStart(file, first):first]
	step := len(deep) - (above - lineStart(file, above))
	if len(bytes.Trim(indent, " "))+len(bytes.Trim(deep, " ")) > 0 || step < 1 {
		return nil
	}
	// The lines of the cron, with the comments above it.
	begin, end := lineStart(file, from), nextLine(file, from)
	for at := end; at < len(file); at = nextLine(file, at) {
		rest := bytes.TrimLeft(file[at:nextLine(file, at)], " ")
		if text := bytes.TrimSpace(rest); len(text) == 0 {
			continue
		}
		if nextLine(file, at)-at-len(rest) <= len(indent) {
			break
		}
		end = nextLine(file, at)
	}
	spec, said := "spec: '"+c.Spec+"'", 0
	for at := begin; at < end; at = nextLine(file, at) {
		line := strings.TrimSpace(string(file[at:nextLine(file, at)]))
		if strings.HasPrefix(line, "spec:") {
			spec = line // with what is said beside it
		} else if strings.HasPrefix(line, "#") || strings.Contains(line, " #") {
			said++
		}
	}
	if said > 0 {
		return nil // a comment would be lost
	}
	comments := begin
	for comments > 0 {
		at := lineStart(file, comments-1)
		if !bytes.HasPrefix(file[at:comments], append(slices.Clone(indent), '#')) {
			break
		}
		comments = at
	}
	newline := "\n"
	if bytes.HasSuffix(file[begin:end], []byte("\r\n")) {
		newline = "\r\n"
	}
	name := file[from:]
	name = bytes.TrimSpace(name[:bytes.IndexByte(name, ':')])
	if strings.Trim(string(name), `'"`) != c.Name {
		return nil
	}
	var text strings.Builder
	for _, line := range strings.SplitAfter(string(file[comments:begin]), "\n") {
		if line != "" {
			text.WriteString(string(deep) + strings.TrimLeft(line, " "))
		}
	}
	inner := newline + string(deep) + strings.Repeat(" ", step)
	text.WriteString(string(deep) + string(name) + ":" + inner + spec + inner + "fire: '" + m.entry["fire"].(string) + "'")
	if zone, ok := m.entry["timezone"].(string); ok {
		text.WriteString(inner + "timezone: " + zone)
	}
	at := nextLine(file, above)
	return []*edit{{comments, end, ""}, {at, at, text.String() + newline}}
}

// sisters are the keys of a map of the app.
func (a *app) sisters(path ...string) []appconfig.WrittenKey {
	w, _ := a.written.Get(path...)
	return w.Keys()
}

// nextLine is where the line after a byte begins.
func nextLine(file []byte, at int) int {
	if end := bytes.IndexByte(file[at:], '\n'); end >= 0 {
		return at + end + 1
	}
	return len(file)
}

// apply does to a decoded file what a move does to its text.
func (m *move) apply(file any) {
	all, _ := file.(map[string]any)
	if apps, ok := all["applications"].(map[string]any); ok {
		all = apps
	}
	app, ok := all[m.app].(map[string]any)
	if !ok || app["crons"] == nil {
		app = all
	}
	crons, _ := app["crons"].(map[string]any)
	delete(crons, m.cron)
	variables, _ := app["variables"].(map[string]any)
	settings, _ := variables["cronagent"].(map[string]any)
	if agents, ok := settings["crons"].(map[string]any); ok {
		agents[m.cron] = m.entry
	}
}
