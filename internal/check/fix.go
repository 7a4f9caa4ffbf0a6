package check

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/shell"
)

// edit replaces the bytes from up to to of a file.
type edit struct {
	from, to int
	text     string
}

// replace writes something else in the place of a part of the command; nothing if it
// does not stand there as it is.
func (c *cron) replace(p shell.Place, text string) []*edit {
	if !p.Exact || !c.command.exact {
		return nil
	}
	from, to := c.command.layout.Offset(p.From), c.command.layout.Offset(p.To)
	if string(c.command.at.File()[from:to]) != c.command.text[p.From:p.To] {
		return nil
	}
	return []*edit{{from, to, text}}
}

func (c *cron) insert(at int, text string) []*edit {
	if !c.command.exact {
		return nil
	}
	from := c.command.layout.Offset(at)
	return []*edit{{from, from, text}}
}

// guardByType asks for the environment's type instead of the name of its branch, if
// that is the name that production's branch has had by default.
func (c *cron) guardByType(t shell.Test) []*edit {
	if t.Value != "main" && t.Value != "master" || t.Operator != shell.Equal && t.Operator != shell.NotEqual || !t.Name.Exact || !t.Text.Exact {
		return nil
	}
	name, text := c.command.text[t.Name.From:t.Name.To], c.command.text[t.Text.From:t.Text.To]
	if strings.Count(name, t.Variable) != 1 || strings.Count(text, t.Value) != 1 || len(text) > len(t.Value)+2 {
		return nil
	}
	a := c.replace(t.Name, strings.Replace(name, t.Variable, "PLATFORM_ENVIRONMENT_TYPE", 1))
	b := c.replace(t.Text, strings.Replace(text, t.Value, "production", 1))
	if a == nil || b == nil {
		return nil
	}
	return append(a, b...)
}

// renameCmd makes commands.start of cmd.
func (c *cron) renameCmd(k appconfig.WrittenKey) []*edit {
	if _, both := c.written.Get("commands"); both {
		return nil
	}
	file := k.Key.File()
	from, ok := k.Key.Start()
	if !ok || !bytes.HasPrefix(file[from:], []byte("cmd")) {
		return nil
	}
	if c.written.Flow() || c.written.Alias() && bytes.Contains(lineAt(file, from), []byte("{")) {
		layout, ok := k.Value.Layout()
		if !ok || k.Value.Alias() || k.Value.Block() {
			return nil
		}
		text, _ := k.Value.Text()
		end := layout.Offset(len(text))
		if end < len(file) && (file[end] == '\'' || file[end] == '"') {
			end++
		}
		return []*edit{{from, from + len("cmd"), "commands: { start"}, {end, end, " }"}}
	}
	line := lineStart(file, from)
	indent := string(file[line:from])
	if strings.Trim(indent, " ") != "" {
		return nil
	}
	// One step deeper than the key, by as much as the cron's own keys are.
	step := "  "
	if name, ok := c.key.Start(); ok {
		if n := len(indent) - (name - lineStart(file, name)); n > 0 {
			step = strings.Repeat(" ", n)
		}
	}
	newline := "\n"
	if end := bytes.IndexByte(file[from:], '\n'); end > 0 && file[from+end-1] == '\r' {
		newline = "\r\n"
	}
	edits := []*edit{{from, from + len("cmd"), "commands:" + newline + indent + step + "start"}}
	// What continues on the next lines goes along.
	at := from
	for {
		end := bytes.IndexByte(file[at:], '\n')
		if end < 0 || at+end+1 >= len(file) {
			break
		}
		at += end + 1
		rest := bytes.TrimLeft(file[at:], " ")
		deep := len(file[at:]) - len(rest)
		if len(rest) > 0 && rest[0] != '\n' && rest[0] != '\r' {
			if deep <= len(indent) {
				break
			}
			edits = append(edits, &edit{at, at, step})
		}
	}
	return edits
}

func lineStart(file []byte, at int) int { return bytes.LastIndexByte(file[:at], '\n') + 1 }

func lineAt(file []byte, at int) []byte {
	end := bytes.IndexByte(file[at:], '\n')
	if end < 0 {
		end = len(file) - at
	}
	return file[lineStart(file, at) : at+end]
}

// Fixed is a file that Fix has rewritten.
type Fixed struct {
	File string
	// Before and After are its text.
	Before, After []byte
	// Findings are those that it settles.
	Findings []*Finding
}

// Fix rewrites what is safe to rewrite in one file: the places of the findings, and
// nothing else. The result is read again and compared: crons, specs and everything
// else must be what they were, and commands must be what they were but for what was
// rewritten. Otherwise it is an error, and nothing is to be written.
func Fix(file string, before []byte, findings []*Finding) (Fixed, error) {
	fixed := Fixed{File: file, Before: before, After: before}
	var edits []*edit
	var moves []*move
	for _, f := range findings {
		if f.File != file || len(f.edits) == 0 {
			continue
		}
		fixed.Findings = append(fixed.Findings, f)
		if f.move != nil {
			moves = append(moves, f.move)
		}
		for _, e := range f.edits {
			known := false
			for _, other := range edits {
				known = known || *other == *e
			}
			if !known {
				edits = append(edits, e)
			}
		}
	}
	if len(edits) == 0 {
		return fixed, nil
	}
	slices.SortStableFunc(edits, func(a, b *edit) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return b.to - a.to // what is moved away needs no other rewriting
	})
	var after []byte
	at, gone := 0, 0
	for _, e := range edits {
		if e.to <= gone && e.from < gone {
			continue
		}
		if e.from < at || e.to < e.from || e.to > len(before) {
			return fixed, fmt.Errorf("%s: two rewritings meet at byte %d; nothing is written", file, e.from)
		}
		after = append(append(after, before[at:e.from]...), e.text...)
		if at = e.to; e.text == "" {
			gone = e.to
		}
	}
	fixed.After = append(after, before[at:]...)
	return fixed, compare(file, before, fixed.After, moves)
}

// compare tells whether a file still says what it said, but for what Fix rewrites.
func compare(file string, before, after []byte, moves []*move) error {
	var was, is any
	if yaml.Unmarshal(withoutTags(before), &was) != nil {
		return fmt.Errorf("%s: a mistake in it keeps it from being rewritten", file)
	}
	if err := yaml.Unmarshal(withoutTags(after), &is); err != nil {
		return fmt.Errorf("%s: it cannot be read any more after rewriting: %w; nothing is written", file, err)
	}
	was, is = normal(was, false), normal(is, false)
	for _, m := range moves {
		m.entry = normal(m.entry, true).(map[string]any)
		m.apply(was)
	}
	if !reflect.DeepEqual(was, is) {
		return fmt.Errorf("%s: after rewriting it would say something else; nothing is written", file)
	}
	return nil
}

// withoutTags hides the platform's own tags from the decoder, which does not know
// what they make of a value.
func withoutTags(text []byte) []byte {
	for _, tag := range []string{"!include", "!archive"} {
		text = bytes.ReplaceAll(text, []byte(tag), bytes.Repeat([]byte(" "), len(tag)))
	}
	return text
}

// normal is a value with everything undone that Fix does.
func normal(v any, inCron bool) any {
	switch v := v.(type) {
	case map[any]any: // one key is no string
		named := map[string]any{}
		for key, value := range v {
			named[fmt.Sprint(key)] = value
		}
		return normal(named, inCron)
	case map[string]any:
		out := map[string]any{}
		// A cron may stand elsewhere, too, under an anchor.
		for _, key := range []string{"cmd", "commands"} {
			_, there := v[key]
			inCron = inCron || there
		}
		for key, value := range v {
			out[key] = normal(value, key == "crons" || inCron)
		}
		if cmd, ok := out["cmd"]; ok && inCron && out["commands"] == nil {
			delete(out, "cmd")
			out["commands"] = map[string]any{"start": cmd}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = normal(value, inCron)
		}
		return out
	case string:
		if inCron {
			return asBefore(v)
		}
	}
	return v
}

// asBefore is a command without what Fix may have written into it: the two guards
// and the two names become one, and --no-wait is left out. What remains is the same
// before and after, if nothing else was touched.
func asBefore(text string) string {
	return strings.NewReplacer(
		"PLATFORM_ENVIRONMENT_TYPE", "PLATFORM_BRANCH", "SYMFONY_BRANCH", "PLATFORM_BRANCH",
		"production", "main", "master", "main",
		" --no-wait", "",
		"snapshot:create", "backup:create", "environment:backup", "backup:create", "snapshot:restore", "backup:restore",
		"environment:restore", "backup:restore", "snapshot:list", "backup:list", "snapshots", "backup:list",
		"environment:metadata", "environment:info", "project:metadata", "project:info",
	).Replace(text)
}
