package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/nearest"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/runner"
)

// This file and those beside it whose names begin with platform stand in for the
// platform's command-line tool: called as platform, upsun or webpaas, or with the
// name of one of its commands. It has no gate of its own, since the shell around it
// has one. It never waits unless told to, asks only a person at a terminal and only
// before something is destroyed, and says nothing on standard error when all is well.

// isPlatformCommand tells whether arguments to cronagent itself name a command of
// the platform CLI. Our own commands win over its aliases: env is ours.
func isPlatformCommand(args []string) bool {
	name := commandName(args)
	if _, known := operation.Lookup(name); known {
		return !slices.Contains(ownCommands, name)
	}
	if !strings.Contains(name, ":") { // or a mistyped command of ours would be one of theirs
		return false
	}
	o, err := operation.Find(name)
	return o != nil || err != nil
}

// ownCommands are our own whose names the platform CLI has too, for something else.
var ownCommands = []string{"env"}

// commandName finds the command among arguments whose options are not known yet:
// options may stand before it, and some of them take the next word.
func commandName(args []string) string {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&operation.Operation{Fires: true, With: []operation.Group{operation.InEnvironment, operation.Listing}}).AllFlags(fs)
	takesNext := func(arg string) bool {
		if long, ok := strings.CutPrefix(arg, "--"); ok {
			f := fs.Lookup(long)
			return f != nil && f.NoOptDefVal == ""
		}
		last := fs.ShorthandLookup(arg[len(arg)-1:])
		// In -yp ID the last letter takes the next word; in -pID the first has its own.
		first := fs.ShorthandLookup(arg[1:2])
		return last != nil && last.NoOptDefVal == "" && (len(arg) == 2 || first == nil || first.NoOptDefVal != "")
	}
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--":
			if i+1 < len(args) {
				return args[i+1]
			}
			return ""
		case len(args[i]) < 2 || args[i][0] != '-':
			return args[i]
		case takesNext(args[i]):
			i++
		}
	}
	return ""
}

// cliCall is one call of a command of the platform CLI.
type cliCall struct {
	proc
	o     *operation.Operation
	v     operation.Values
	words []string // its arguments

	env    envdetect.Environment
	client *platform.Client
	target platform.Target
}

// platformCLI does what the vendor's tool does, as far as we cover it, and hands
// the rest to the real one. vendor is the one whose name we were called by; its
// zero value is our own name.
func platformCLI(ctx context.Context, p proc, vendor envdetect.Vendor) error {
	name := commandName(p.args)
	o, err := operation.Find(name)
	if abbreviated, ok := errors.AsType[*operation.AbbreviatedError](err); ok {
		return usage("type the whole name: "+abbreviated.Whole, "%v", err)
	}
	// What is ambiguous to us may be less so to an older one.
	if err != nil && p.realCommand(vendor) == "" {
		return usage("type more of it", "%v", err)
	}
	if o == nil {
		return p.handOver(vendor, name)
	}
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.SortFlags = false
	fs.Usage = func() {}
	c := &cliCall{proc: p, o: o, v: o.AllFlags(fs)}
	if err := fs.Parse(p.args); err != nil && !errors.Is(err, pflag.ErrHelp) {
		// An option that only the real one knows may matter.
		if p.realCommand(vendor) != "" {
			return p.handOver(vendor, name)
		}
		return usage(nearest.Ask(operation.MeantOptions(err, fs), cliUsage(o)), "%s: %s", o.Name, operation.OptionProblem(err))
	}
	if c.v.On("quiet") && !c.v.Given("verbose") {
		c.stderr, c.logs = io.Discard, io.Discard
	}
	verbose, _ := strconv.Atoi(c.v.Text("verbose"))
	c.debug = p.debug || p.cliDebugWanted(vendor, verbose)
	if c.v.On("help") {
		_, err := io.WriteString(p.stdout, cliHelp(cmp.Or(vendor.Command, "cronagent"), o, fs))
		return err
	}
	// Without the command's own name, which may stand behind options.
	c.words = slices.Clone(fs.Args())
	if i := slices.Index(c.words, name); i >= 0 {
		c.words = slices.Delete(c.words, i, i+1)
	}
	// A second word of these is a value to set, which we do not.
	sets := (o.Name == "environment:info" || o.Name == "project:info") && len(c.words) > 1
	if c.v.On("version") || sets {
		return p.handOver(vendor, strings.Join(slices.Concat([]string{name}, c.words[:min(len(c.words), 1)]), " "))
	}
	// --quiet silences the error too; the exit code stays.
	if err := c.run(ctx); err != nil {
		return codeError(c.exit(err))
	}
	return nil
}

// run runs a covered command. What detection wants a person to know is said only
// if something is wrong anyway: every line would become a mail.
func (c *cliCall) run(ctx context.Context) error {
	for _, option := range []string{"project", "environment"} {
		if c.v.Given(option) && c.v.Text(option) == "" {
			return usage("name it, or leave the option out to mean this container's", "%s: --%s is empty", c.o.Name, option)
		}
	}
	var err error
	if c.env, err = c.detect(""); err != nil {
		return err
	}
	c.client = c.proc.client(c.env)
	// A fire has its own deadline; reading and asking have theirs.
	if err = c.choose(ctx); err == nil {
		err = c.dispatch(ctx)
	}
	if err != nil {
		c.warnAbout(c.env)
	}
	return err
}

// dispatch finds who does a command: most of what is read and done is alike, and
// what is not is named here.
func (c *cliCall) dispatch(ctx context.Context) error {
	if c.o.Name == "activity:log" {
		return c.activityLog(ctx) // which may follow it for long
	}
	if c.o.Effect == operation.Reads {
		ctx, cancel := context.WithTimeout(ctx, fireDeadline)
		defer cancel()
		switch c.o.Name {
		case "activity:list":
			return c.listActivities(ctx)
		case "activity:get":
			return c.getActivity(ctx)
		case "variable:list":
			return c.listVariables(ctx)
		case "variable:get":
			return c.getVariable(ctx)
		case "environment:list":
			return c.listEnvironments(ctx)
		case "operation:list":
			return c.listOperations(ctx)
		case "backup:get":
			return c.getBackup(ctx)
		case "auth:api-token-login":
			return c.tokenLogin(ctx)
		}
		if c.o.Output.Kind == operation.Rows {
			return c.list(ctx)
		}
		return c.info(ctx)
	}
	if err := c.mayChange(ctx); err != nil {
		return err
	}
	switch c.o.Name {
	case "variable:create":
		return c.createVariable(ctx)
	case "variable:update":
		return c.updateVariable(ctx)
	case "variable:delete":
		return c.deleteVariable(ctx)
	case "backup:restore":
		return c.restoreBackup(ctx)
	case "activity:cancel":
		return c.cancelActivity(ctx)
	case "operation:run":
		return c.runOperation(ctx)
	case "user:add":
		return c.addUser(ctx)
	}
	return c.fire(ctx)
}

// cliUsage is how a command is typed.
func cliUsage(o *operation.Operation) string {
	line := "usage: " + o.Name
	for _, a := range o.Arguments {
		word := strings.ToUpper(a.Name)
		if a.Many {
			word += "..."
		}
		if !a.Required {
			word = "[" + word + "]"
		}
		line += " " + word
	}
	return line + " [options]"
}

// cliHelp is the help of a command under the name that the program was called by.
func cliHelp(calledAs string, o *operation.Operation, fs *pflag.FlagSet) string {
	text := cliUsage(o) + "\n\n" + sentence(o.Summary) + "\n"
	if len(o.Aliases) > 0 {
		text += "\nAlso: " + strings.Join(o.Aliases, ", ") + "\n"
	}
	text += "\nExamples:\n" + strings.ReplaceAll(exampleLines(o.Examples), "cronagent ", calledAs+" ") + "\n"
	for _, c := range o.Output.Columns {
		if c.Name == o.Output.Columns[0].Name {
			text += "\nColumns (* usual):"
		}
		text += " " + c.Name
		if c.Usual {
			text += "*"
		}
	}
	if len(o.Output.Columns) > 0 {
		text += "\n"
	}
	return text + "\nOptions:\n" + fs.FlagUsages()
}

// exampleLines are examples as help shows them.
func exampleLines(examples []string) string { return "  " + strings.Join(examples, "\n  ") }

// sentence makes one of a summary.
func sentence(summary string) string { return strings.ToUpper(summary[:1]) + summary[1:] + "." }

// listsCommands tells whether a call of cronagent itself needs to know all commands:
// to list, to explain or to complete them. Nothing else waits for their making.
func listsCommands(args []string) bool {
	return len(args) > 0 && (strings.HasPrefix(args[0], "-") || args[0] == "help" || completes(args))
}

// platformGroup is what the platform CLI's commands are together in the help.
const platformGroup = "platform"

// newPlatformRoot has the platform CLI's commands alone, for a shell that completes
// what is called by the vendor's name.
func newPlatformRoot(p proc, vendor envdetect.Vendor) *cobra.Command {
	root := &cobra.Command{Use: vendor.Command, SilenceErrors: true, SilenceUsage: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}}
	root.SetHelpCommand(&cobra.Command{Hidden: true}) // it would be one that is not covered
	addPlatformCommands(root, p)
	addCompletions(root, p)
	return root
}

// addPlatformCommands adds the platform CLI's commands to the help and to what a
// shell completes. They are run by platformCLI, whose rules for options are others.
func addPlatformCommands(root *cobra.Command, p proc) {
	root.AddGroup(&cobra.Group{ID: platformGroup, Title: "Commands of the platform CLI:"})
	for _, o := range operation.All() {
		cmd := &cobra.Command{
			Use: strings.TrimPrefix(strings.TrimSuffix(cliUsage(o), " [options]"), "usage: "), Short: o.Summary, Long: sentence(o.Summary), Aliases: o.Aliases, Example: exampleLines(o.Examples),
			GroupID: platformGroup, Args: cobra.ArbitraryArgs, DisableFlagsInUseLine: true,
			RunE: func(cmd *cobra.Command, _ []string) error { return platformCLI(cmd.Context(), p, envdetect.Vendor{}) },
		}
		o.AllFlags(cmd.Flags())
		root.AddCommand(cmd)
	}
}

// handedOver counts how often one call was handed over: two copies of this
// program, or a script that calls it back, would do so for ever.
const handedOver = "CRONAGENT_HANDED_OVER"

// handOver becomes the real tool: the next command of its name on PATH that is
// not this program. It is for whatever we do not cover.
func (p proc) handOver(vendor envdetect.Vendor, name string) error {
	if real := p.realCommand(vendor); real != "" {
		times, _ := strconv.Atoi(p.getenv(handedOver))
		environ := append(p.environ(), handedOver+"="+strconv.Itoa(times+1))
		err := runner.Replace(real, append([]string{cliName(vendor)}, p.args...), environ)
		return fmt.Errorf("hand %q over to %s: %w", name, real, err)
	}
	what := "no command"
	if name != "" {
		what = fmt.Sprintf("%q", name)
	}
	hint := ""
	if meant := operation.MeantCommands(name); len(meant) > 0 {
		hint = nearest.Ask([]string{cliName(vendor) + " " + strings.Join(meant, ", "+cliName(vendor)+" ")}, "")
	}
	return refused(hint, "%s: cronagent, which stands in for the %s CLI here, does not cover it, and the real %s is not on PATH; install it: %s",
		what, cliName(vendor), cliName(vendor), realCLI[cliName(vendor)])
}

// cliName is the name of the real tool that is meant.
func cliName(vendor envdetect.Vendor) string { return cmp.Or(vendor.Command, "platform") }

// realCommand finds the real tool; empty if there is none, or if it has handed
// the call back to us.
func (p proc) realCommand(vendor envdetect.Vendor) string {
	self, err := os.Executable()
	if times, _ := strconv.Atoi(p.getenv(handedOver)); err != nil || times >= 3 {
		return ""
	}
	return otherCommand(cliName(vendor), p.getenv("PATH"), self)
}

// realCLI is where the vendors' documentation has their tools.
var realCLI = map[string]string{
	"platform": "https://docs.platform.sh/administration/cli.html",
	"upsun":    "https://docs.upsun.com/administration/cli.html",
	"webpaas":  "https://github.com/ovh/webpaas-cli",
}

// otherCommand finds a program on PATH that is not the one at self, under
// whatever name or link.
func otherCommand(name, path, self string) string {
	own, err := os.Stat(self)
	if err != nil {
		return ""
	}
	for _, dir := range filepath.SplitList(path) {
		// A relative folder would mean another program in every folder.
		if !filepath.IsAbs(dir) {
			continue
		}
		candidate := filepath.Join(dir, name)
		info, err := os.Stat(candidate)
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && !os.SameFile(info, own) {
			return candidate
		}
	}
	return ""
}
