package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/check"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/terminal"
)

type checkOptions struct {
	format, plan               string
	asJSON, strict, fix, write bool
}

func newCheck(p proc) *cobra.Command {
	var opts checkOptions
	plans := planNames()
	cmd := &cobra.Command{
		Use:        "check [FILE...]",
		SuggestFor: []string{"lint", "validate"},
		Short:      "find mistakes in app configurations",
		Long: `Find mistakes in app configurations: all of the repository, or the files and
directories that are named. It knows what the platform refuses, what a cron's
command does not do as it is meant, and what the agent cannot do well. Each finding
has a code, which docs/checks explains. In a container without those files it looks
at the configuration that the platform runs.

--fix shows what can be rewritten safely as a diff; with --write it is written.
Only the places of the findings change: comments, order and quotes stay.

Exit codes: 0 nothing but notices and warnings; 2 errors, or with --strict
warnings too.`,
		Example: `  cronagent check
  cronagent check --fix --write .platform.app.yaml
  cronagent check --strict --format github`,
		RunE: func(_ *cobra.Command, args []string) error { return p.check(args, opts) },
	}
	f := cmd.Flags()
	f.StringVar(&opts.format, "format", "text", "the `format`: text, json or github")
	f.BoolVar(&opts.asJSON, "json", false, "print JSON, like --format json")
	oneOf(f, "format", "format", []string{"text", "json", "github"})
	f.BoolVar(&opts.strict, "strict", false, "count warnings as errors")
	f.StringVar(&opts.plan, "plan", "", "the project's `plan`, which decides how often crons may run: "+strings.Join(plans, ", "))
	oneOf(f, "plan", "plan", plans)
	f.BoolVar(&opts.fix, "fix", false, "show what can be rewritten safely, as a diff")
	f.BoolVar(&opts.write, "write", false, "with --fix: write it")
	return cmd
}

func (p proc) check(files []string, opts checkOptions) error {
	switch {
	case opts.asJSON && opts.format == "github":
		return usage("leave one of them out", "--json and --format %s exclude each other", opts.format)
	case opts.asJSON:
		opts.format = "json"
	}
	switch {
	case opts.write && !opts.fix:
		return usage("cronagent check --fix --write", "--write goes with --fix")
	case opts.fix && opts.format == "github":
		return usage("leave --format out, or take json", "--fix has no format github")
	}
	asked := check.Options{Now: time.Now()}
	asked.Plan = planNamed(opts.plan)
	env, err := p.detect("")
	if err != nil {
		env = envdetect.Environment{} // a file can be checked anywhere
	}
	if asked.Plan.Name == "" && env.Mode == "dedicated-gen2" {
		asked.Plan = planNamed("dedicated-gen-2")
	}
	sources, err := configurations(files, env)
	if err != nil {
		var ok bool
		if asked.Unread, ok = errors.AsType[appconfig.Errors](err); !ok {
			return err
		}
	}
	if env.Phase == envdetect.Runtime && len(files) == 0 {
		asked.Shared, asked.Lasts = env.Database != nil, env.StateLasts
		if app, err := loadApp(configFlags{}, env); err == nil {
			asked.NotifyProblems = p.notifyProblems(env, app)
		}
	}
	findings := check.Run(sources, asked)
	if opts.fix {
		return p.fixFindings(findings, opts)
	}
	if err := p.showFindings(findings, opts.format); err != nil {
		return err
	}
	p.sumUp(findings, opts.format)
	return judge(findings, opts.strict)
}

func planNames() (names []string) {
	for _, plan := range check.Plans() {
		names = append(names, plan.Name)
	}
	return names
}

// planNamed is the plan of a name; zero if there is none.
func planNamed(name string) check.Plan {
	for _, plan := range check.Plans() {
		if plan.Name == name {
			return plan
		}
	}
	return check.Plan{}
}

// configurations reads the files that were named, else all of the repository, else
// what a container is given.
func configurations(files []string, env envdetect.Environment) ([]*appconfig.Source, error) {
	if len(files) > 0 {
		var sources []*appconfig.Source
		var problems appconfig.Errors
		for _, file := range files {
			var found []*appconfig.Source
			var err error
			if info, problem := os.Stat(file); problem == nil && info.IsDir() {
				found, err = appconfig.FindBelow(file)
			} else {
				found = make([]*appconfig.Source, 1)
				found[0], err = appconfig.ReadFile(file)
			}
			if some, ok := errors.AsType[appconfig.Errors](err); ok {
				problems = append(problems, some...)
			} else if err != nil {
				return nil, err
			}
			for _, source := range found {
				if source != nil {
					sources = append(sources, source)
				}
			}
		}
		if problems != nil {
			return sources, problems
		}
		return sources, nil
	}
	sources, err := appconfig.FindAll("")
	if errors.Is(err, fs.ErrNotExist) && len(sources) == 0 && env.ConfigSource == "PLATFORM_APPLICATION" {
		source, err := appconfig.FromVariables(env.Application, env.Variables)
		if err != nil {
			return nil, err
		}
		return []*appconfig.Source{source}, nil
	}
	if env.Phase == envdetect.Runtime {
		for _, s := range sources {
			if slices.Contains(s.Apps(), env.App) {
				s.Override(env.Variables)
			}
		}
	}
	return sources, err
}

// judge is the exit code that findings stand for.
func judge(findings []*check.Finding, strict bool) error {
	for _, f := range findings {
		if f.Severity == check.Error || strict && f.Severity == check.Warning {
			return codeError(exitUsage)
		}
	}
	return nil
}

func place(f *check.Finding) string {
	return appconfig.Position{File: f.File, Line: f.Line, Column: f.Column}.String()
}

// aboutCron is a finding's message, with the cron that it is about.
func aboutCron(f *check.Finding) string {
	if f.Cron == "" {
		return f.Message
	}
	return fmt.Sprintf("cron %q: %s", f.Cron, f.Message)
}

// checkFinding is a finding in `check --json`.
type checkFinding struct {
	*check.Finding
	// Fixable says that --fix rewrites it.
	Fixable bool `json:"fixable"`
}

func checkFindings(findings []*check.Finding) []checkFinding {
	all := []checkFinding{}
	for _, f := range findings {
		all = append(all, checkFinding{f, f.Fixable()})
	}
	return all
}

func (p proc) showFindings(findings []*check.Finding, format string) error {
	if format == "json" {
		return writeJSON(p.stdout, checkFindings(findings))
	}
	s := p.screen()
	if format == "github" {
		s.columns = 0 // they are for a machine
	}
	var lines []string
	for _, f := range findings {
		if format == "github" {
			lines = append(lines, annotation(f))
			continue
		}
		severity := string(f.Severity)
		lines = append(lines, safe(place(f))+": "+s.paint(colorOf(severity), severity)+": "+safe(aboutCron(f))+" "+s.paint(terminal.Dim, "["+f.Code+"]"))
		if f.Hint != "" {
			lines = append(lines, "  "+s.paint(terminal.Dim, "hint:")+" "+safe(f.Hint))
		}
	}
	return s.lines(lines...)
}

// annotation is a finding in the words of GitHub's workflow commands.
func annotation(f *check.Finding) string {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	text := "::" + string(f.Severity) + " file=" + property.Replace(filepath.ToSlash(f.File))
	if f.Line > 0 {
		text += fmt.Sprintf(",line=%d", f.Line)
	}
	if f.Column > 0 {
		text += fmt.Sprintf(",col=%d", f.Column)
	}
	message := aboutCron(f)
	if f.Hint != "" {
		message += "\nhint: " + f.Hint
	}
	return text + ",title=" + property.Replace("cronagent "+f.Code) + "::" + data.Replace(message)
}

// sumUp says how many there are, to people.
func (p proc) sumUp(findings []*check.Finding, format string) {
	if format != "text" {
		return
	}
	count := map[check.Severity]int{}
	fixable := 0
	for _, f := range findings {
		count[f.Severity]++
		if f.Fixable() {
			fixable++
		}
	}
	var said []string
	for _, s := range []check.Severity{check.Error, check.Warning, check.Notice} {
		if count[s] > 0 {
			said = append(said, plural(count[s], string(s)))
		}
	}
	if len(said) == 0 {
		said = []string{"nothing found"}
	}
	fmt.Fprintf(p.stderr, "cronagent: %s\n", strings.Join(said, ", "))
	if fixable > 0 {
		p.hint("cronagent check --fix shows how to rewrite " + fmt.Sprint(fixable) + " of them")
	}
}

// fixedFile is a file in `check --fix --json`.
type fixedFile struct {
	File string `json:"file"`
	Diff string `json:"diff"`
	// Written is false without --write.
	Written bool `json:"written"`
	// Findings are those that it settles.
	Findings []checkFinding `json:"findings"`
}

// fixFindings shows, or writes, what can be rewritten.
func (p proc) fixFindings(findings []*check.Finding, opts checkOptions) error {
	var files []string
	for _, f := range findings {
		if f.Fixable() && !slices.Contains(files, f.File) {
			files = append(files, f.File)
		}
	}
	var all []check.Fixed
	for _, file := range files {
		before, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fixed, err := check.Fix(file, before, findings)
		if err != nil {
			return usage("look at the file with: cronagent check "+file, "%v", err)
		}
		all = append(all, fixed)
	}
	fixes := []fixedFile{}
	for _, fixed := range all {
		fix := fixedFile{fixed.File, check.Diff(fixed), opts.write, checkFindings(fixed.Findings)}
		fixes = append(fixes, fix)
		if opts.format == "text" {
			fmt.Fprint(p.stdout, fix.Diff)
		}
		if !opts.write {
			continue
		}
		if err := rewrite(fixed); err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "cronagent: %s: rewritten, %s settled\n", safe(fixed.File), plural(len(fixed.Findings), "finding"))
	}
	if opts.format == "json" {
		if err := writeJSON(p.stdout, fixes); err != nil {
			return err
		}
	}
	switch {
	case len(all) == 0:
		fmt.Fprintf(p.stderr, "cronagent: nothing can be rewritten safely\n")
	case !opts.write:
		p.hint("nothing was written; add --write to write it")
	}
	var left []*check.Finding
	for _, f := range findings {
		if !opts.write || !f.Fixable() {
			left = append(left, f)
		}
	}
	if n := len(left); n > 0 && opts.write {
		p.hint(plural(n, "finding") + " left for you: cronagent check")
	}
	return judge(left, opts.strict)
}

// rewrite puts the new text in the place of the file's, at once, with its mode and, if
// that is allowed, its owner.
func rewrite(fixed check.Fixed) error {
	info, err := os.Stat(fixed.File)
	if err != nil {
		return err
	}
	now, err := os.ReadFile(fixed.File)
	if err != nil {
		return err
	}
	if string(now) != string(fixed.Before) {
		return usage("run it again", "%s has changed meanwhile", fixed.File)
	}
	name, err := filepath.EvalSymlinks(fixed.File)
	if err != nil {
		return err
	}
	return replaceFile(name, fixed.After, func(file *os.File) error {
		if was, ok := info.Sys().(*syscall.Stat_t); ok { // root, in a container, rewrites somebody's file
			_ = file.Chown(int(was.Uid), int(was.Gid))
		}
		return errors.Join(file.Chmod(info.Mode().Perm()), file.Sync())
	})
}
