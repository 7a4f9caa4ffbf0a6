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
		f.Hint += fixDoes
		return
	}
	zone := ""
	if name, ok := m.entry["timezone"].(string); ok {
		zone = ", timezone: " + name
	}
	f.Hint = "write below variables.cronagent.crons: " + c.Name + ": { spec: '" + c.Spec + "', fire: '" + fire + "'" + zone + " }"
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
	indent := file[lineStart(file, from):from]
	to, ok := c.app.agentCrons(c.Name, len(indent))
	if !ok || to.at < app || len(bytes.Trim(indent, " ")) > 0 {
		return nil
	}
	deep, step := []byte(strings.Repeat(" ", to.indent)), to.step
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
	comments := aboveComments(file, begin, indent)
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
	edits := []*edit{{comments, end, ""}}
	if to.header != "" {
		edits = append(edits, &edit{to.at, to.at, strings.ReplaceAll(to.header, "\n", newline)})
	}
	return append(edits, &edit{to.at, to.at, text.String() + newline})
}

// aboveComments is where the comments begin that stand directly above a line, and
// before it as many blanks.
func aboveComments(file []byte, line int, indent []byte) int {
	for line > 0 {
		at := lineStart(file, line-1)
		if !bytes.HasPrefix(file[at:line], append(slices.Clone(indent), '#')) {
			break
		}
		line = at
	}
	return line
}

// slot is where an agent cron can be written.
type slot struct {
	// at is the byte before which it is written, behind the header: the keys above it
	// that are not there yet.
	at     int
	header string
	// indent is how far it is indented, and step how far each key below it is further.
	indent, step int
}

// agentCrons finds where a new agent cron goes; false if that is not simple. Deep is how
// far the crons of the platform are indented.
func (a *app) agentCrons(name string, deep int) (slot, bool) {
	file := a.written.File()
	// column is how far a key is indented that stands on a line of its own.
	column := func(k appconfig.WrittenKey) (int, bool) {
		at, ok := k.Key.Start()
		if !ok || !bytes.Equal(k.Key.File(), file) {
			return 0, false
		}
		before := file[lineStart(file, at):at]
		return len(before), len(bytes.Trim(before, " ")) == 0
	}
	in := a.written
	var above appconfig.WrittenKey
	path := []string{"variables", "cronagent", "crons"}
	for i, key := range path {
		var next *appconfig.WrittenKey
		for _, k := range in.Keys() {
			if k.Name == key {
				next = &k
			}
		}
		if next != nil {
			if in, above = next.Value, *next; in.Flow() || in.Alias() || in.Include() {
				return slot{}, false
			}
			continue
		}
		if i == 0 { // above crons:, which there is
			for _, k := range a.written.Keys() {
				at, _ := k.Key.Start()
				if indent, ok := column(k); k.Name == "crons" && ok && deep > indent {
					line := lineStart(file, at)
					return slotBelow(aboveComments(file, line, file[line:at]), indent, deep-indent, path), true
				}
			}
			return slot{}, false
		}
		// Before the first of the keys that are there.
		own, ok := column(above)
		all := in.Keys()
		if !ok || len(all) == 0 {
			return slot{}, false
		}
		indent, ok := column(all[0])
		at, _ := above.Key.Start()
		return slotBelow(nextLine(file, at), indent, indent-own, path[i:]), ok && indent > own
	}
	own, ok := column(above)
	others := in.Keys()
	if !ok || len(others) == 0 || slices.ContainsFunc(others, func(k appconfig.WrittenKey) bool { return k.Name == name }) {
		return slot{}, false
	}
	indent, ok := column(others[0])
	at, _ := above.Key.Start()
	return slot{at: nextLine(file, at), indent: indent, step: indent - own}, ok && indent > own
}

// slotBelow is a slot below keys that are not there yet.
func slotBelow(at, indent, step int, keys []string) slot {
	s := slot{at: at, step: step}
	for _, key := range keys {
		s.header += strings.Repeat(" ", indent) + key + ":\n"
		indent += step
	}
	s.indent = indent
	return s
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
	at := app
	for _, key := range []string{"variables", "cronagent", "crons"} {
		below, ok := at[key].(map[string]any)
		if !ok {
			below = map[string]any{}
			at[key] = below
		}
		at = below
	}
	at[m.cron] = m.entry
}
