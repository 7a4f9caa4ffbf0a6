package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// versionObject is what `version --json` prints.
type versionObject struct {
	Version string `json:"version"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	// Go is the version of Go that it was built with.
	Go string `json:"go"`
}

func newVersion(p proc) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "say which version this is",
		Long: `Say which version this is. In a build hook it is the line after the installer:
a download that failed does not fail "curl ... | sh", but this line does.`,
		Example: "  cronagent version\n  .platformsh/bin/cronagent version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return writeJSON(p.stdout, versionObject{versionText(), runtime.GOOS, runtime.GOARCH, runtime.Version()})
			}
			_, err := fmt.Fprintf(p.stdout, "cronagent %s %s/%s %s\n", versionText(), runtime.GOOS, runtime.GOARCH, runtime.Version())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
