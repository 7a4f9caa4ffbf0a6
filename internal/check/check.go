// Package check says what is wrong, or will be one night, with the configuration of
// apps: what the platform refuses, what a cron's command does not do as it is meant,
// and what the agent cannot do well. Its rules are one table, Rules; the files
// beside it hold what finds them.
//
// It reads nothing and runs nothing: it is given what internal/appconfig has read.
package check

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/schedule"
	"github.com/cronagent/cronagent/internal/shell"
)

// Finding is one thing that was found. Its JSON is that of `cronagent check --json`.
type Finding struct {
	File string `json:"file"`
	// Line and Column count from 1; 0 if they are not known.
	Line     int      `json:"line"`
	Column   int      `json:"column"`
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`
	// App and Cron name what it is about; empty if it is no single one.
	App     string `json:"app"`
	Cron    string `json:"cron"`
	Message string `json:"message"`
	Hint    string `json:"hint"`

	edits []*edit
	move  *move
}

// Fixable tells whether Fix rewrites it.
func (f *Finding) Fixable() bool { return len(f.edits) > 0 }

// Plan is what is known of the project's plan.
type Plan struct {
	Name string
	// Interval is the shortest time between two runs of a platform cron.
	Interval time.Duration
	// NoHash says that its crons know no H.
	NoHash bool
}

// Plans are those that can be named.
func Plans() []Plan {
	return []Plan{
		{"professional", 5 * time.Minute, false},
		{"enterprise", time.Minute, false},
		{"elite", time.Minute, false},
		{"upsun", 5 * time.Minute, false},
		{"dedicated-gen-2", time.Minute, true},
		{"dedicated-gen-3", time.Minute, false},
	}
}

// Options say for whom is looked.
type Options struct {
	// Plan is the project's; zero if it is not known. Then the least that most plans
	// allow is taken for it.
	Plan Plan
	// Now decides which changes of the clock are near.
	Now time.Time
	// Unread is what kept configurations from being read.
	Unread appconfig.Errors
	// Shared says that in this container the ledger is in a database, and Lasts that its
	// state outlives a deployment: variables that are set elsewhere can make it so.
	Shared, Lasts bool
	// NotifyProblems are what keeps messages from arriving in this container, found
	// by who sends them.
	NotifyProblems []string
}

// checker collects findings.
type checker struct {
	opts     Options
	findings []*Finding
}

// app is one app with what is known of it.
type app struct {
	*checker
	source  *appconfig.Source
	name    string
	config  *appconfig.App
	written appconfig.Written
	crons   []*cron
	// hooks are the app's hooks, and workers its workers, by their names.
	hooks, workers map[string]*command
	// ours says that the build hook installs or calls cronagent, which may then be
	// what is called platform.
	ours bool
}

// cron is a cron with its command.
type cron struct {
	*app
	*appconfig.Cron
	// written is the cron, and key its name.
	written, key appconfig.Written
	command      *command
}

// command is a text for the shell.
type command struct {
	text   string
	at     appconfig.Written
	layout appconfig.Layout
	exact  bool
	script *shell.Script
	err    error
	calls  []*platformCall
}

// Run checks all apps of the sources. Findings are in the order of files and lines.
func Run(sources []*appconfig.Source, opts Options) []*Finding {
	c := &checker{opts: opts}
	for _, p := range opts.Unread {
		c.problem("yaml", p)
	}
	var apps []*app
	for _, s := range sources {
		c.checkRoots(s)
		for _, name := range s.Apps() {
			if a := c.readApp(s, name); a != nil {
				apps = append(apps, a)
			}
		}
	}
	for _, a := range apps {
		a.checkSchema()
		a.checkSecrets()
		a.checkInstallers()
		for _, c := range a.hooks {
			a.checkShell("", c)
		}
		for _, cron := range a.crons {
			cron.checkWriting()
			cron.checkTime()
			cron.checkCommand()
			if cron.Fire != nil && cron.Fire.Operation == "backup:create" {
				cron.checkQuota(cron.at("fire"))
			}
		}
		a.checkCompany()
		a.checkAgent()
	}
	c.checkTwins(apps)
	for _, problem := range opts.NotifyProblems {
		if len(apps) == 0 {
			break
		}
		at := appconfig.Position{File: apps[0].config.File}
		if w, ok := apps[0].written.Get("variables", "cronagent", "notify"); ok {
			at = w.Position()
		}
		c.add("notify-lost", apps[0].name, "", at, "", "here, messages do not arrive: %s", problem)
	}
	return sorted(c.findings)
}

func sorted(all []*Finding) []*Finding {
	slices.SortStableFunc(all, func(a, b *Finding) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		if a.Column != b.Column {
			return a.Column - b.Column
		}
		return strings.Compare(a.Code, b.Code)
	})
	// What anchors repeat is said once.
	var once []*Finding
	for i, f := range all {
		if last := len(once) - 1; i == 0 || f.File != once[last].File || f.Line != once[last].Line || f.Column != once[last].Column || f.Code != once[last].Code || f.Message != once[last].Message {
			once = append(once, f)
		}
	}
	return once
}

// add notes a finding.
func (c *checker) add(code, app, cron string, at appconfig.Position, hint, format string, args ...any) *Finding {
	rule := ByCode(code)
	f := &Finding{
		File: at.File, Line: at.Line, Column: at.Column, Severity: rule.Severity, Code: code, App: app, Cron: cron,
		Message: fmt.Sprintf(format, args...), Hint: hint,
	}
	if hint == "" {
		f.Hint = rule.Hint
	}
	c.findings = append(c.findings, f)
	return f
}

// problem notes what appconfig found.
func (c *checker) problem(code string, p *appconfig.Error) {
	if wrong := (*schedule.Error)(nil); errors.As(p, &wrong) {
		if code = "spec"; wrong.Never {
			code = "spec-never"
		}
	}
	c.add(code, p.App, p.Cron, p.Position, p.Hint, "%s", p.Message)
}

func (c *checker) readApp(s *appconfig.Source, name string) *app {
	config, errs := s.Inspect(appconfig.Options{App: name})
	for _, e := range errs {
		c.problem("agent-config", e)
	}
	if config == nil {
		return nil
	}
	a := &app{checker: c, source: s, name: config.Name, config: config, hooks: map[string]*command{}, workers: map[string]*command{}}
	a.written, _ = s.Written(name)
	whole, _ := config.Problem.(appconfig.Errors)
	for _, e := range whole {
		c.problem("schema", e)
	}
	written := map[appconfig.Scheduler]map[string]appconfig.WrittenKey{} // once: there may be thousands
	for by, path := range map[appconfig.Scheduler][]string{appconfig.Platform: {"crons"}, appconfig.Agent: {"variables", "cronagent", "crons"}} {
		written[by] = map[string]appconfig.WrittenKey{}
		crons, _ := a.written.Get(path...)
		for _, k := range crons.Keys() {
			written[by][k.Name] = k
		}
	}
	for i := range config.Crons {
		known := &config.Crons[i]
		problems, _ := known.Problem.(appconfig.Errors)
		for _, e := range problems {
			c.problem("schema", e)
		}
		k := written[known.Scheduler][known.Name]
		one := &cron{app: a, Cron: known, written: k.Value, key: k.Key}
		if known.Start != "" {
			one.command = readCommand(known.Start, one.start())
		}
		a.crons = append(a.crons, one)
	}
	hooks, _ := a.written.Get("hooks")
	for _, k := range hooks.Keys() {
		if text, ok := k.Value.Text(); ok {
			a.hooks[k.Name] = readCommand(text, k.Value)
		}
	}
	for name, start := range config.Workers {
		if w, ok := a.written.Get("workers", name, "commands", "start"); ok {
			a.workers[name] = readCommand(start, w)
		}
	}
	if build := a.hooks["build"]; build != nil && build.script != nil {
		calls := build.script.Calls()
		for i := range calls {
			a.ours = a.ours || program(&calls[i]) == "cronagent"
		}
	}
	return a
}

// start is where the cron's command is written.
func (c *cron) start() appconfig.Written {
	for _, path := range [][]string{{"commands", "start"}, {"commands"}, {"cmd"}} {
		if w, ok := c.written.Get(path...); ok && (len(path) == 2 || !w.IsMap()) {
			return w
		}
	}
	return c.written
}

func readCommand(text string, at appconfig.Written) *command {
	c := &command{text: text, at: at}
	if written, ok := at.Text(); ok && written == text {
		c.layout, c.exact = at.Layout()
	}
	c.script, c.err = shell.Parse(text)
	if c.err == nil {
		calls := c.script.Calls()
		for i := range calls {
			if p := platformCallOf(&calls[i]); p != nil {
				c.calls = append(c.calls, p)
			}
		}
	}
	return c
}

// position is where a place of the command is in the file.
func (c *command) position(p shell.Place) appconfig.Position {
	if !c.exact {
		return c.at.Position()
	}
	return c.layout.Position(p.From)
}

// add notes a finding about the cron.
func (c *cron) add(code string, at appconfig.Position, hint, format string, args ...any) *Finding {
	return c.checker.add(code, c.app.name, c.Name, at, hint, format, args...)
}

// at is where one of the cron's keys is, else the cron itself.
func (c *cron) at(key string) appconfig.Position {
	at, _ := c.At(key)
	return at
}

func (c *cron) platform() bool { return c.Scheduler == appconfig.Platform }

// program is the base name of a call's program, empty if the text does not tell.
func program(c *shell.Call) string {
	if !c.Words[0].Literal {
		// /app/bin/x is told even behind a variable: "$PLATFORM_APP_DIR/bin/x".
		text := strings.Trim(c.Words[0].Text, `"'`)
		i := strings.LastIndexByte(text, '/')
		if i < 0 || strings.ContainsAny(text[i:], "$`*?") {
			return ""
		}
		return text[i+1:]
	}
	return filepath.Base(c.Words[0].Text)
}
