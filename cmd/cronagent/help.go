package main

import "github.com/spf13/cobra"

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "explain a command",
		Long: `Explain a command: ours, the operations of fire, and the commands of the platform
CLI. It is what --help behind the command says.`,
		Example: `  cronagent help exec
  cronagent help fire backup:create
  cronagent help variable:create`,
		RunE: func(cmd *cobra.Command, args []string) error {
			meant, rest, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknownCommand(meant, rest[0])
			}
			meant.InitDefaultHelpFlag() // which running it would do
			return meant.Help()
		},
	}
}
