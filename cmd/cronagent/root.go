package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newRoot builds the tree of our own commands. The platform CLI's commands are
// not in it: their options are parsed by other rules.
func newRoot(p proc) *cobra.Command {
	var asJSON bool
	root := &cobra.Command{
		Use:   "cronagent",
		Short: "production-only, fire-and-forget crons for Platform.sh, Upsun and OVH Web PaaS",
		Long: `cronagent takes backups, updates dependencies and redeploys from inside a
container of Platform.sh, Upsun or OVH Web PaaS: it fires operations of the
platform's API from the app's crons, on production only, once, and without waiting
for them.

Without arguments it shows this container at a glance, without the network. The exit
code is 0 then, whatever it finds: doctor and status are for monitors.

Project and environment are those in the PLATFORM_* variables, the API token the one
in PLATFORMSH_CLI_TOKEN. Called as platform, upsun or webpaas it does what the
platform's command-line tool does, as far as it covers it. CRONAGENT_DEBUG=1 logs
every request, without headers and bodies.

` + exitCodesHelp,
		Example: `  cronagent                       # this container at a glance
  cronagent status                # what ran, and how it ended
  cronagent doctor                # what is wrong, and what to do about it
  cronagent fire backup:create    # one backup, now
  cronagent demo                  # a day of crons in seconds, with no account`,
		Version:       versionText(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return p.overview(cmd.Context(), asJSON)
			}
			addPlatformCommands(cmd, p) // one of them may be meant
			return unknownCommand(cmd, args[0])
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.Flags().BoolVar(&asJSON, "json", false, "print the overview as JSON")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelp())
	for _, group := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Fire and run:", []*cobra.Command{newFire(p), newExec(p), newTick(p), newRun(p), newTrigger(p), newPause(p), newResume(p)}},
		{"Look:", []*cobra.Command{newStatus(p), newLogs(p), newList(p), newNext(p), newExplain(p), newTimeline(p), newEnv(p)}},
		{"Find mistakes:", []*cobra.Command{newDoctor(p), newCheck(p)}},
		{"Try out:", []*cobra.Command{newDemo(p), newSandbox(p)}},
		{"More:", []*cobra.Command{newVersion(p), newCompletion(p)}},
	} {
		root.AddGroup(&cobra.Group{ID: group.title, Title: group.title})
		for _, cmd := range group.commands {
			cmd.GroupID = group.title
			root.AddCommand(cmd)
		}
	}
	root.SetHelpCommandGroupID("More:")
	if listsCommands(p.args) {
		addPlatformCommands(root, p)
	}
	if completes(p.args) {
		root.InitDefaultHelpCmd()
		addCompletions(root, p)
	}
	for _, cmd := range allCommands(root) {
		if args := cmd.Args; args != nil {
			cmd.Args = func(cmd *cobra.Command, given []string) error {
				if err := args(cmd, given); err != nil {
					return argumentsError(cmd, given)
				}
				return nil
			}
		}
	}
	return root
}

// argumentsError is for a command that takes one argument or none, and got another
// number of them.
func argumentsError(cmd *cobra.Command, given []string) error {
	name, takes, _ := strings.Cut(cmd.Use, " ")
	example, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
	hint := "for example: " + example + "; see: " + cmd.CommandPath() + " --help"
	switch {
	case takes == "":
		return usage(hint, "%s takes no arguments, and got %q", name, given[0])
	case len(given) == 0:
		return usage(hint, "%s needs an argument: %s", name, takes)
	}
	if takes == "CRON|SPEC" {
		hint = "a spec is quoted: cronagent explain '0 5 * * *'"
	}
	return usage(hint, "%s takes one argument, %s, and got %d", name, takes, len(given))
}

func allCommands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, child := range cmd.Commands() {
		all = append(all, allCommands(child)...)
	}
	return all
}

func addVendor(fs *pflag.FlagSet, vendor *string) {
	fs.StringVar(vendor, "vendor", "", "the platform's `name`: platformsh, upsun or webpaas (default: detected)")
}

// plural counts things.
func plural(n int, one string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %ss", n, one)
}
