package main

import (
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/operation"
)

// This file answers shells that ask what a word may become. Whoever presses tab has
// asked for nothing yet: it reads the configuration and no more, neither the ledger
// nor the platform, and is silent whatever is wrong.

// completes tells whether a shell asks.
func completes(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// addCompletions tells what arguments and flags may become. What it says nothing of
// becomes nothing, not a file either.
func addCompletions(root *cobra.Command, p proc) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	for _, cmd := range allCommands(root) {
		switch {
		case cmd == root, cmd.Name() == "fire":
			cmd.ValidArgsFunction = completeAliases
		case cmd.GroupID == platformGroup || cmd.Parent().Name() == "fire":
			o, _ := operation.Lookup(cmd.Name())
			cmd.ValidArgsFunction = p.completeArguments(o)
		}
		complete := func(f *pflag.Flag) {
			if done := p.completeFlag(cmd, f); done != nil {
				// The flag is there, and this is the first time.
				_ = cmd.RegisterFlagCompletionFunc(f.Name, done)
			}
		}
		cmd.LocalFlags().VisitAll(complete)
	}
	for name, complete := range map[string]cobra.CompletionFunc{
		"next": p.completeCrons(false), "explain": one(p.completeCrons(false)), "timeline": p.completeCrons(false),
		"trigger": one(p.completeCrons(true)), "pause": p.completeCrons(true), "resume": p.completeCrons(true),
		"status": p.completeRuns, "logs": p.completeRuns,
		"help": completeCommands, "check": completeFiles, "exec": completeFiles,
	} {
		if cmd, _, err := root.Find([]string{name}); err == nil && cmd != root {
			cmd.ValidArgsFunction = complete
		}
	}
}

const (
	onlyThese = cobra.ShellCompDirectiveNoFileComp
	andFiles  = cobra.ShellCompDirectiveDefault
)

func completeFiles(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, andFiles
}

// one is for a single argument.
func one(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, onlyThese
		}
		return complete(cmd, args, typed)
	}
}

// completeCommands is for help.
func completeCommands(cmd *cobra.Command, args []string, typed string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
	parent, rest, err := cmd.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return nil, onlyThese
	}
	for _, child := range parent.Commands() {
		if child.IsAvailableCommand() && strings.HasPrefix(child.Name(), typed) {
			found = append(found, cobra.CompletionWithDesc(child.Name(), child.Short))
		}
	}
	return found, onlyThese
}

// completeAliases is for names of operations that older versions of the platform CLI
// had: only where no name begins so.
func completeAliases(cmd *cobra.Command, args []string, typed string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
	if len(args) > 0 || typed == "" {
		return nil, onlyThese
	}
	for _, child := range cmd.Commands() {
		if strings.HasPrefix(child.Name(), typed) {
			return nil, onlyThese
		}
		for _, alias := range child.Aliases {
			if strings.HasPrefix(alias, typed) {
				found = append(found, cobra.CompletionWithDesc(alias, child.Short))
			}
		}
	}
	return found, onlyThese
}

// configured reads the app's configuration as the command's flags say; nil if there
// is none that can be read.
func (p proc) configured(cmd *cobra.Command) *appconfig.App {
	_, app, err := p.load(configOf(cmd))
	if err != nil {
		return nil
	}
	return app
}

func configOf(cmd *cobra.Command) configFlags {
	value := func(name string) string {
		if f := cmd.Flags().Lookup(name); f != nil {
			return f.Value.String()
		}
		return ""
	}
	return configFlags{file: value("file"), app: value("app"), vendor: value("vendor")}
}

// offer adds a word, unless it was given already or a shell could not take it.
func offer(found []cobra.Completion, args []string, typed, word, about string) []cobra.Completion {
	if word == "" || safe(word) != word || !strings.HasPrefix(word, typed) || slices.Contains(args, word) {
		return found
	}
	return append(found, cobra.CompletionWithDesc(word, oneLine(safe(about))))
}

// completeCrons is for names of crons: of all, or of the agent's.
func (p proc) completeCrons(agents bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
		app := p.configured(cmd)
		if app == nil {
			return nil, onlyThese
		}
		for _, c := range app.Crons {
			if agents && c.Scheduler != appconfig.Agent {
				continue
			}
			does := c.Start
			if c.Fire != nil {
				does = "fire " + c.Fire.String()
			}
			found = offer(found, args, typed, c.Name, c.Spec+"  "+does)
		}
		return found, onlyThese
	}
}

// completeRuns is for what has runs: the agent's crons, and operations.
func (p proc) completeRuns(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	found, _ := p.completeCrons(true)(cmd, args, typed)
	for _, o := range operation.Fireable() {
		found = offer(found, args, typed, o.Name, o.Summary)
	}
	return found, onlyThese
}

// completeArguments is for those of an operation, as far as this container knows.
func (p proc) completeArguments(o *operation.Operation) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
		var known []string
		switch {
		case o.Name == "source-operation:run" && len(args) == 0:
			if app := p.configured(cmd); app != nil {
				known = app.SourceOperations
			}
		case o.Name == "operation:run" && len(args) == 0:
			if app := p.configured(cmd); app != nil {
				known = app.Operations
			}
		default:
			for _, a := range o.Arguments {
				if len(args) == 0 || a.Many {
					known = append(known, a.Words...)
				}
			}
		}
		for _, word := range known {
			found = offer(found, args, typed, word, "")
		}
		return found, onlyThese
	}
}

// completeFlag finds what a flag's value may be; nil says nothing of it.
func (p proc) completeFlag(cmd *cobra.Command, f *pflag.Flag) cobra.CompletionFunc {
	if w, ok := f.Value.(words); ok {
		return completeWords(w.known, w.list())
	}
	switch f.Name {
	case "file", "faults", "value-file":
		return completeFiles
	case "vendor":
		return completeWords(envdetect.VendorNames(), false)
	case "timezone":
		return completeZones
	case "app":
		return func(cmd *cobra.Command, _ []string, typed string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
			config := configOf(cmd)
			if env, err := p.detect(config.vendor); err == nil {
				if source, err := readSource(config, env); err == nil {
					for _, name := range source.Apps() {
						found = offer(found, nil, typed, name, "")
					}
				}
			}
			return found, onlyThese
		}
	}
	if cmd.GroupID != platformGroup {
		return nil
	}
	o, _ := operation.Lookup(cmd.Name())
	for _, options := range append(slices.Clone(o.With), o.Options) {
		for _, option := range options {
			if option.Name != f.Name {
				continue
			}
			known := option.Words
			if option.Name == "columns" {
				for _, c := range o.Output.Columns {
					known = append(known, c.Name)
				}
			}
			if len(known) > 0 {
				return completeWords(known, option.Kind == operation.Words)
			}
		}
	}
	return nil
}

// completeWords is for one of a few words, or for several with commas between them.
func completeWords(known []string, list bool) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
		before := ""
		if i := strings.LastIndexByte(typed, ','); list && i >= 0 {
			before = typed[:i+1]
		}
		given := strings.Split(before, ",")
		for _, word := range known {
			if !slices.Contains(given, word) {
				found = offer(found, nil, typed, before+word, "")
			}
		}
		return found, onlyThese
	}
}

// zoneDir holds the tz database where a machine has one, a folder or file for each
// part of a name. The one that is built in tells no names.
const zoneDir = "/usr/share/zoneinfo"

// completeZones is for names of time zones, part by part.
func completeZones(_ *cobra.Command, _ []string, typed string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
	dir, _ := path.Split(typed)
	if strings.Contains(dir, "..") {
		return nil, onlyThese
	}
	entries, err := os.ReadDir(path.Join(zoneDir, dir))
	if err != nil {
		return nil, onlyThese
	}
	folders := 0
	for _, e := range entries {
		name := e.Name()
		// Beside zones there are tables, and the whole tree again for leap seconds.
		if name[0] < 'A' || name[0] > 'Z' || strings.Contains(name, ".") {
			continue
		}
		if e.IsDir() {
			name += "/"
		}
		before := len(found)
		if found = offer(found, nil, typed, dir+name, ""); e.IsDir() {
			folders += len(found) - before
		}
	}
	if folders == len(found) && folders > 0 {
		return found, onlyThese | cobra.ShellCompDirectiveNoSpace
	}
	return found, onlyThese
}
