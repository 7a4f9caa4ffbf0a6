package main

import (
	_ "embed"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/nearest"
)

// The scripts are our own: those that cobra makes put what was typed before eval,
// so that pressing tab runs what stands in $(...), and the one for bash needs a
// package that containers do not have.
var (
	//go:embed completion/cronagent.bash
	completionBash string
	//go:embed completion/cronagent.zsh
	completionZsh string
	//go:embed completion/cronagent.fish
	completionFish string
)

func newCompletion(p proc) *cobra.Command {
	shells, scripts := []string{"bash", "zsh", "fish"}, []string{completionBash, completionZsh, completionFish}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "print what makes a shell complete commands, crons and operations",
		Long: `Print a script for bash, zsh or fish, by which pressing tab completes commands,
flags and their words, the names of crons, operations and apps. It asks neither the
platform nor the ledger, fires nothing and writes nothing.

For this session, over SSH for example; for good the same line goes into ~/.bashrc,
~/.zshrc or ~/.config/fish/config.fish:
  bash   eval "$(cronagent completion bash)"
  zsh    eval "$(cronagent completion zsh)"
  fish   cronagent completion fish | source

In a container of the platform nothing else is needed: no package bash-completion.
For every SSH session this line goes into the file .environment of the app. sh reads
that file too, so it asks for bash first:
  [ -z "$BASH_VERSION" ] || eval "$(/app/.platformsh/bin/cronagent completion bash)"

For everybody on a machine, as root:
  bash   cronagent completion bash >/usr/share/bash-completion/completions/cronagent
  zsh    cronagent completion zsh >/usr/share/zsh/vendor-completions/_cronagent
  fish   cronagent completion fish >/usr/share/fish/vendor_completions.d/cronagent.fish

Where platform, upsun or webpaas is a link to cronagent, it is completed too; the
vendor's own tool is left alone.`,
		Example: `  eval "$(cronagent completion bash)"
  cronagent completion fish >cronagent.fish`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: shells,
		RunE: func(_ *cobra.Command, args []string) error {
			i := slices.Index(shells, args[0])
			if i < 0 {
				return usage(nearest.Hint(args[0], shells, "the shells are "+strings.Join(shells, ", ")), "there is no completion for %q", args[0])
			}
			_, err := io.WriteString(p.stdout, scripts[i])
			return err
		},
	}
}
