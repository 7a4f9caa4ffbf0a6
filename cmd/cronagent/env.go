package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/envdetect"
)

func newEnv(p proc) *cobra.Command {
	var asJSON bool
	var vendor string
	cmd := &cobra.Command{
		Use:        "env",
		SuggestFor: []string{"info", "whoami"},
		Short:      "show what was detected, and from what",
		Long: `Show where this is, and why cronagent thinks so: phase, vendor, project,
environment and its type, the variable that holds the token (never the token),
the API's address and the state directory.`,
		Example: "  cronagent env\n  cronagent env --json | jq -r .environment",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			env, err := p.detect(vendor)
			if err != nil {
				return err
			}
			if !asJSON {
				p.warnAbout(env)
				p.warnAboutState(env)
			}
			return showEnv(p, env, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addVendor(cmd.Flags(), &vendor)
	return cmd
}

// warnAboutState says what is wrong with the state directory.
func (p proc) warnAboutState(env envdetect.Environment) {
	if env.StateProblem != "" {
		p.warn("state directory %s: %s", env.StateDir, env.StateProblem)
	}
	if env.StateWarning != "" {
		p.warn("%s", env.StateWarning)
	}
	if env.LedgerProblem != "" {
		p.warn("there is no ledger: %s", env.LedgerProblem)
	}
}

func showEnv(p proc, env envdetect.Environment, asJSON bool) error {
	if env.ConfigSource == "" {
		if file := findConfig(env); file != "" {
			env.ConfigSource, env.Reasons["config_source"] = file, "found in the file system"
		}
	}
	token := p.token(env).String()
	if asJSON {
		return writeJSON(p.stdout, struct {
			envdetect.Environment
			Token string `json:"token"`
		}{env, token})
	}
	rows := [][]string{}
	row := func(name, value string) {
		if value == "" {
			value = "-"
		}
		rows = append(rows, []string{name, value, env.Reasons[name]})
	}
	row("phase", string(env.Phase))
	row("mode", env.Mode)
	row("vendor", env.Vendor.Name)
	row("project", env.Project)
	row("environment", env.ID)
	row("environment_type", env.Type)
	row("production", strconv.FormatBool(env.Production))
	row("app", env.App)
	row("worker", env.Worker)
	row("app_dir", env.AppDir)
	row("config_source", env.ConfigSource)
	row("token_variable", env.TokenVariable)
	row("token", token)
	row("api_url", env.APIURL)
	row("auth_url", env.AuthURL)
	row("state_dir", env.StateDir)
	row("ledger", env.Ledger)
	if env.Database != nil {
		row("ledger_address", env.LedgerAddress)
	}
	return p.screen().table(rows, 2)
}
