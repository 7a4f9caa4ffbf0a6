package check

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/shell"
)

// platformCall is a call of the platform CLI, or of cronagent for one of its
// commands.
type platformCall struct {
	*shell.Call
	op *operation.Operation
	// word is which of the call's words names the command.
	word int
	// fired says that cronagent fire calls it, which has a gate and never waits;
	// cronagent that it is called by that name.
	fired, cronagent bool
}

// clis are the names of the platform CLI. Symfony's hands over to it.
var clis = []string{"platform", "upsun", "webpaas", "symfony", "cronagent"}

// withValue are the options before a command's name that take the next word.
var withValue = []string{"-p", "--project", "-e", "--environment", "-A", "--app", "-o", "--org", "--vendor"}

func platformCallOf(c *shell.Call) *platformCall {
	name := program(c)
	if !slices.Contains(clis, name) {
		return nil
	}
	p := &platformCall{Call: c, cronagent: name == "cronagent"}
	skip := func(i int) int {
		for ; i < len(c.Words); i++ {
			switch text := c.Words[i].Text; {
			case slices.Contains(withValue, text):
				i++
			case !strings.HasPrefix(text, "-"):
				return i
			}
		}
		return i
	}
	p.word = skip(1)
	if p.cronagent && p.word < len(c.Words) && c.Words[p.word].Text == "fire" {
		p.fired = true
		p.word = skip(p.word + 1)
	}
	if p.word >= len(c.Words) || !c.Words[p.word].Literal {
		return nil
	}
	var err error
	if p.op, err = operation.Find(c.Words[p.word].Text); err != nil || p.op == nil {
		return nil
	}
	return p
}

// what is what it does, with its first argument if that names what is run.
func (p *platformCall) what() string {
	text := p.op.Name
	if len(p.op.Arguments) > 0 && p.op.Arguments[0].Required {
		for _, w := range p.Words[p.word+1:] {
			if w.Literal && !strings.HasPrefix(w.Text, "-") {
				return text + " " + w.Text
			}
		}
	}
	return text
}

// hasOption tells whether an option is given, or may be, in a word that the text
// does not tell.
func (p *platformCall) hasOption(long string, short byte) bool {
	for i, w := range p.Words[1:] {
		switch {
		case w.Text == "--":
			return false
		case i+1 == p.word:
		case !w.Literal && !strings.Contains(w.Text, "=") && !strings.HasPrefix(w.Text, `"`):
			return true
		case w.Text == long, len(w.Text) > 1 && w.Text[0] == '-' && w.Text[1] != '-' && strings.IndexByte(w.Text, short) > 0:
			return true
		}
	}
	return false
}

// waits tells whether the platform CLI may wait for what it starts.
func (p *platformCall) waits() bool {
	for _, group := range p.op.With {
		for i := range group {
			if group[i].Name == "no-wait" {
				return p.op.Effect != operation.Reads
			}
		}
	}
	return false
}

// checkCommand looks at what a cron's command does.
func (c *cron) checkCommand() {
	if c.command == nil {
		return
	}
	if !c.app.checkShell(c.Name, c.command) {
		return
	}
	for _, call := range c.command.calls {
		c.checkCall(call)
	}
	if c.platform() {
		c.checkGuards()
	}
	c.checkSleep()
	c.checkOutput()
}

// checkShell looks at whether dash takes a command. It is false if it does not.
func (a *app) checkShell(cron string, c *command) bool {
	var found []shell.Bashism
	if c.exact || c.err != nil {
		found = shell.Bashisms(c.text)
	}
	if c.script != nil {
		for _, b := range c.script.Bashisms() {
			if len(found) == 0 || found[len(found)-1].Place != b.Place {
				found = append(found, b)
			}
		}
	}
	for _, b := range found {
		hint := ""
		if b.What == "[[" {
			hint = "write [ ... ], with = for == and quotes around variables"
		}
		a.add("bashism", a.name, cron, c.position(b.Place), hint, "%s is bash's, and dash runs this", b.What)
	}
	e, wrong := c.err.(*shell.Error)
	if wrong && len(found) == 0 {
		at := c.at.Position()
		if c.exact && e.Line > 0 {
			at = c.layout.Position(byteOf(c.text, e.Line, e.Column))
		}
		if e.Bash {
			a.add("bashism", a.name, cron, at, "", "%s", e.Error())
		} else {
			a.add("shell-syntax", a.name, cron, at, "", "this is no shell: %s", e.Problem)
		}
	}
	return !wrong
}

// byteOf is the byte that a line and column of a text stand for.
func byteOf(text string, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		i := strings.IndexByte(text[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
	return min(at+max(column-1, 0), len(text))
}

func (c *cron) checkCall(p *platformCall) {
	at := c.command.position(p.Places[p.word])
	name := p.Words[p.word].Text
	if bare := strings.TrimPrefix(strings.TrimPrefix(name, "cloud:"), "env:"); operation.Forgotten(bare) && !p.cronagent && !c.ours {
		f := c.add("removed-command", at, "write "+p.op.Name, "%s is unknown to the platform CLI since version 5, which does nothing then", name)
		if bare == name && p.Places[p.word].Exact {
			f.edits = c.replace(p.Places[p.word], p.op.Name)
		}
	}
	if p.waits() && !p.fired && !p.cronagent && !c.ours && !p.hasOption("--no-wait", 'W') {
		said := "without --no-wait it may wait for the environment, which is busy with this cron until its timeout"
		if p.hasOption("--wait", 0) {
			said = "it waits for the environment, which is busy with this cron until its timeout"
		}
		f := c.add("no-wait", at, "", "%s: %s", name, said)
		if !p.hasOption("--wait", 0) && p.Places[p.word].Exact {
			f.edits = c.insert(p.Places[p.word].To, " --no-wait")
		}
	}
	if c.platform() && p.op.Effect != operation.Reads && !p.fired && !c.guarded(p.Call) {
		c.add("unguarded", at, "", "%s is called on every environment: on a preview too, which is a copy with the same crons", name)
	}
	if p.op.Name == "backup:create" {
		c.checkQuota(at)
	}
	if p.op.Name == "environment:redeploy" && c.aboutCertificates() {
		c.add("redeploy-certificate", at, "", "certificates renew themselves; this redeploys for nothing, with a moment of downtime")
	}
}

// guarded tells whether a call needs something that may tell production from other
// environments. What cannot be understood may.
func (c *cron) guarded(call *shell.Call) bool {
	if len(call.When) == 0 {
		return false
	}
	for _, all := range call.When {
		guarded := false
		for i := range all {
			guarded = guarded || maybeGuard(&all[i])
		}
		if !guarded {
			return false
		}
	}
	return true
}

func maybeGuard(c *shell.Condition) bool {
	switch c.Operator {
	case shell.IsBash, shell.IsNotBash:
		return false
	case shell.Unset, shell.Undefined:
		return false // a switch to turn it off
	case shell.Set, shell.Defined:
		return !strings.HasPrefix(c.Variable, "PLATFORM_") // which are set everywhere
	case shell.Succeeds, shell.Fails:
		// A platform CLI before it, and set -e: that is no guard.
		script, err := shell.Parse(c.Source)
		if err != nil || len(script.Calls()) == 0 {
			return true
		}
		first := &script.Calls()[0]
		return !slices.Contains(clis, program(first)) && !first.Minor
	}
	return true
}

// productions are names that production's branch has.
var productions = []string{"main", "master", "production", "prod", "live"}

// checkGuards looks at what a command tells environments apart by.
func (c *cron) checkGuards() {
	script := c.command.script
	seen := map[string]bool{}
	note := func(variable, value string, at shell.Place) *Finding {
		seen[variable] = true
		switch variable {
		case "PLATFORM_BRANCH", "SYMFONY_BRANCH":
			if slices.Contains(productions, value) {
				return c.add("guard-branch", c.command.position(at), "",
					"%s = %s: if production's branch gets another name, nothing is done any more, and nobody notices", variable, value)
			}
		case "PLATFORM_ENVIRONMENT", "SYMFONY_ENVIRONMENT":
			return c.add("guard-environment", c.command.position(at), "",
				"%s is a name that the platform makes up, such as main-bvxea6i: it is not the branch, and another one in each project", variable)
		case "PLATFORM_ENVIRONMENT_TYPE":
			if types := []string{"production", "staging", "development"}; value != "" && !strings.ContainsAny(value, "*?[") && !slices.Contains(types, value) {
				return c.add("guard-type", c.command.position(at), appconfig.Suggest(value, types, ""),
					"no environment is of the type %q: the types are %s", value, strings.Join(types, ", "))
			}
		}
		return nil
	}
	for _, t := range script.Tests() {
		if f := note(t.Variable, t.Value, t.Name); f != nil && f.Code == "guard-branch" {
			f.edits = c.guardByType(t)
		}
	}
	calls := script.Calls()
	for i := range calls {
		for _, all := range calls[i].When {
			for j := range all {
				if cond := &all[j]; cond.Variable != "" && cond.Value != "" && !seen[cond.Variable] {
					note(cond.Variable, cond.Value, calls[i].Places[0])
				}
			}
		}
	}
	if at, ok := script.Ending(); ok {
		c.add("guard-exit", c.command.position(at), "", "where this does not hold, the cron ends with exit code 1: it fails on every run")
	}
}

// checkSleep looks for what cron cannot do, faked.
func (c *cron) checkSleep() {
	if c.Schedule == nil {
		return
	}
	gap, _ := c.gaps()
	calls := c.command.script.Calls()
	before := map[string]bool{}
	for i := range calls {
		call := &calls[i]
		if program(call) != "sleep" || len(call.Words) != 2 {
			if !call.Minor {
				before[call.String()] = true
			}
			continue
		}
		twice := false
		for j := range calls[i+1:] {
			twice = twice || before[calls[i+1+j].String()]
		}
		if gap <= 5*time.Minute && (call.Loop && len(calls) > 1 || i == 0 && gap <= time.Minute && call.Words[1].Literal) || twice {
			c.add("sleep", c.command.position(call.Places[0]), "", "this sleeps to run something more often than cron can; meanwhile all other crons of the app wait")
			return
		}
	}
}

// writable are where a container can be written to besides its mounts.
var writable = []string{"/tmp", "/dev", "/var", "/run", "/mnt", "/proc", "/data"}

// checkOutput looks for files that the command cannot write. Which ones are mounts
// must be known for that.
func (c *cron) checkOutput() {
	if !c.platform() && c.config.Dir == "" {
		return
	}
	moves := false
	calls := c.command.script.Calls()
	for i := range calls {
		moves = moves || program(&calls[i]) == "cd"
	}
	for _, r := range c.command.script.Redirects() {
		file := ""
		switch {
		case r.Variable == "PLATFORM_APP_DIR" || r.Variable == "HOME":
			file = path.Join("/app", r.Path)
		case r.Variable != "":
			continue
		case strings.HasPrefix(r.Path, "/"):
			file = path.Clean(r.Path)
		case moves || strings.HasPrefix(r.Path, "&"):
			continue
		default:
			file = path.Join("/app", r.Path)
		}
		if c.canWrite(file) {
			continue
		}
		c.add("read-only", c.command.position(r.Place), "", "%s cannot be written at run time: only mounts can, and there is none there", file)
	}
}

func (c *cron) canWrite(file string) bool {
	for _, dir := range writable {
		if below(file, dir) {
			return true
		}
	}
	for mount := range c.config.Mounts {
		if below(file, path.Join("/app", mount)) {
			return true
		}
	}
	return false
}

// below tells whether a file is a folder, or in it.
func below(file, dir string) bool { return file == dir || strings.HasPrefix(file, dir+"/") }

// aboutCertificates tells whether the cron says that it is there for certificates.
func (c *cron) aboutCertificates() bool {
	said := strings.ToLower(c.Name + " " + c.key.Comment() + " " + c.written.Comment() + " " + c.command.text)
	for _, word := range []string{"cert", "letsencrypt", "let's encrypt", "ssl", "tls"} {
		if strings.Contains(said, word) {
			return true
		}
	}
	return false
}
