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

	"github.com/spf13/pflag"

	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/runner"
)

// This file stands in for the platform's command-line tool: called as platform,
// upsun or webpaas, or with the name of one of its commands. It has no gate of
// its own, since the shell around it has one. It never asks, never waits unless
// told to, and says nothing on standard error when all is well.

// authInfo is the one covered command that is no operation.
const authInfo = "auth:info"

// isPlatformCommand tells whether arguments to cronagent itself name a command of
// the platform CLI.
func isPlatformCommand(args []string) bool {
	if len(args) == 0 {
		return false
	}
	_, ok := operation.Lookup(args[0])
	return ok || args[0] == authInfo
}

// cliOptions are the options that the platform CLI has everywhere.
type cliOptions struct {
	project, environment, app, org, host string
	worker, instance, property           string
	yes, no, noInteraction, quiet        bool
	wait, noWait                         bool
	help, version, ansi, noANSI          bool
	verbose                              int
}

func (o *cliOptions) flags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.project, "project", "p", "", "the project's `id`")
	fs.StringVarP(&o.environment, "environment", "e", "", "the environment's `id`")
	fs.StringVarP(&o.app, "app", "A", "", "the app's `name`")
	fs.StringVarP(&o.org, "org", "o", "", "the organization's `name`")
	fs.StringVar(&o.host, "host", "", "obsolete")
	fs.StringVar(&o.worker, "worker", "", "the worker's `name`")
	fs.StringVarP(&o.instance, "instance", "I", "", "the instance's `id`")
	fs.StringVarP(&o.property, "property", "P", "", "print this `property` only")
	fs.BoolVarP(&o.yes, "yes", "y", false, "answer questions with yes")
	fs.BoolVarP(&o.no, "no", "n", false, "answer questions with no")
	fs.BoolVar(&o.noInteraction, "no-interaction", false, "ask no questions, which is so in any case")
	fs.BoolVarP(&o.quiet, "quiet", "q", false, "nothing on standard error")
	fs.BoolVarP(&o.noWait, "no-wait", "W", false, "do not wait, which is so in any case; wins over --wait")
	fs.BoolVar(&o.wait, "wait", false, "wait until the operation has ended")
	fs.BoolVarP(&o.help, "help", "h", false, "this help")
	fs.BoolVarP(&o.version, "version", "V", false, "the version")
	fs.BoolVar(&o.ansi, "ansi", false, "no effect")
	fs.BoolVar(&o.noANSI, "no-ansi", false, "no effect")
	fs.CountVarP(&o.verbose, "verbose", "v", "three times: log every request on standard error")
}

// commandName finds the command among arguments whose options are not known yet:
// options may stand before it, and some of them take the next word.
func commandName(args []string) string {
	var o cliOptions
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.flags(fs)
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

// platformCLI does what the vendor's tool does, as far as we cover it, and hands
// the rest to the real one. vendor is the one whose name we were called by; its
// zero value is our own name.
func platformCLI(ctx context.Context, p proc, vendor envdetect.Vendor) error {
	name := commandName(p.args)
	o, covered := operation.Lookup(name)
	if !covered && name != authInfo {
		return p.handOver(vendor, name)
	}
	var opts cliOptions
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	opts.flags(fs)
	values := new(operation.Options)
	if covered {
		values = o.Flags(fs)
	}
	if err := fs.Parse(p.args); err != nil && !errors.Is(err, pflag.ErrHelp) {
		// An option that only the real one knows may matter.
		if p.realCommand(vendor) != "" {
			return p.handOver(vendor, name)
		}
		return usage(cliUsage(name, o), "%s: %v", name, err)
	}
	for _, option := range []string{"project", "environment"} {
		if f := fs.Lookup(option); f.Changed && f.Value.String() == "" {
			return usage("name it, or leave the option out to mean this container's", "%s: --%s is empty", name, option)
		}
	}
	if strings.Contains(opts.project, "/") {
		return usage("the id stands in the project's address, after projects/", "%s: --project takes the project's id here, not an address", name)
	}
	if opts.quiet && opts.verbose == 0 {
		p.stderr, p.logs = io.Discard, io.Discard
	}
	p.debug = p.debug || p.cliDebugWanted(vendor, opts.verbose)
	if opts.help {
		_, err := fmt.Fprintf(p.stdout, "%s\n\nOptions:\n%s", cliUsage(name, o), fs.FlagUsages())
		return err
	}
	if opts.version {
		return p.handOver(vendor, name)
	}
	// Without the command's own name, which may stand behind options.
	words := slices.Clone(fs.Args())
	if i := slices.Index(words, name); i >= 0 {
		words = slices.Delete(words, i, i+1)
	}
	// --quiet silences the error too; the exit code stays.
	if err := p.cliRun(ctx, o, words, *values, opts); err != nil {
		return codeError(p.exit(err))
	}
	return nil
}

func cliUsage(name string, o *operation.Operation) string {
	line := "usage: " + name
	switch {
	case o == nil:
		line += " [PROPERTY]"
	case o.Argument != "":
		line += " " + strings.ToUpper(strings.ReplaceAll(o.Argument, " ", "-"))
	}
	return line + " [--project ID] [--environment ID] [--yes] [--no-wait]"
}

// cliRun runs a covered command. What detection wants a person to know is said
// only if something is wrong anyway: every line would become a mail.
func (p proc) cliRun(ctx context.Context, o *operation.Operation, words []string, values operation.Options, opts cliOptions) error {
	env, err := p.detect("")
	if err != nil {
		return err
	}
	if o == nil {
		if opts.property != "" {
			words = []string{opts.property}
		}
		err = p.authInfo(ctx, p.client(env), words)
	} else {
		err = p.cliFire(ctx, p.client(env), env, o, words, values, opts)
	}
	if err != nil {
		p.warnAbout(env)
	}
	return err
}

func (p proc) cliFire(ctx context.Context, client *platform.Client, env envdetect.Environment, o *operation.Operation, words []string, values operation.Options, opts cliOptions) error {
	// backup:create takes the environment as an argument too.
	if o.Name == "backup:create" && len(words) == 1 {
		if words[0] == "" {
			return usage("name it, or leave it out to mean this container's", "%s: the environment is empty", o.Name)
		}
		if opts.environment != "" {
			return usage("", "the environment is named twice: %q and --environment %q", words[0], opts.environment)
		}
		opts.environment, words = words[0], nil
	}
	request, err := o.Request(words, values)
	if err != nil {
		return usage(cliUsage(o.Name, o), "%v", err)
	}
	if env.Phase == envdetect.Build {
		return errBuild(request.String())
	}
	target := platform.Target{Project: env.Project, Environment: env.ID}
	if opts.project != "" {
		target.Project = opts.project
	}
	if opts.environment == "." {
		return usage("name it: --environment main", "%s: --environment . means the default environment, which is not known here", request)
	}
	if opts.environment != "" {
		target.Environment = opts.environment
	}
	for option, id := range map[string]string{"--project": target.Project, "--environment": target.Environment} {
		if err := envdetect.CheckID(option, id); err != nil {
			return err
		}
	}
	if target.Project == "" || target.Environment == "" {
		return errNoTarget(request)
	}
	// The real one asks before these, and no means no; with --yes as well, neither
	// counts.
	if opts.no && !opts.yes && o.Asks {
		return fmt.Errorf("%s: not done, because of --no", request)
	}
	run := p.newRun(env, target, request)
	fireCtx, cancel := context.WithTimeout(ctx, fireDeadline)
	defer cancel()
	accepted, err := send(fireCtx, client, target, request, &run)
	p.record(env, run)
	if err != nil {
		return err
	}
	if accepted.Already {
		_, err := fmt.Fprintln(p.stdout, safe(accepted.Note))
		p.notSaid(err)
	}
	for _, activity := range accepted.Activities {
		if activity.BackupName != "" {
			_, err := fmt.Fprintf(p.stdout, "Backup name: %s\n", safe(activity.BackupName))
			p.notSaid(err)
		}
	}
	if opts.wait && !opts.noWait {
		return p.await(ctx, client, env, &run, accepted.Activities, 0)
	}
	return nil
}

// authInfo prints whose token this is: all properties as a table, or one of them
// bare.
func (p proc) authInfo(ctx context.Context, client *platform.Client, words []string) error {
	ctx, cancel := context.WithTimeout(ctx, fireDeadline)
	defer cancel()
	user, err := client.Me(ctx)
	if err != nil {
		return err
	}
	properties := [][2]string{
		{"id", user.ID}, {"first_name", user.FirstName}, {"last_name", user.LastName},
		{"username", user.Username}, {"email", user.Email}, {"phone_number_verified", fmt.Sprint(user.PhoneNumberVerified)},
	}
	if len(words) == 0 {
		rows := [][]string{{"Property", "Value"}}
		for _, property := range properties {
			rows = append(rows, property[:])
		}
		return writeTable(p.stdout, rows)
	}
	for _, property := range properties {
		if property[0] == words[0] {
			_, err := fmt.Fprintln(p.stdout, safe(property[1]))
			return err
		}
	}
	return usage("the properties are id, first_name, last_name, username, email, phone_number_verified", "property %q not found", words[0])
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
	return fmt.Errorf("%s: cronagent, which stands in for the %s CLI here, does not cover it, and the real %s is not on PATH; install it: %s",
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
