package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/sandbox"
)

func newSandbox(p proc) *cobra.Command {
	var opts sandbox.Options
	var faults, role string
	var useTLS, quiet, asJSON bool
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "serve the built-in fake platform on loopback",
		Long: `Serve the built-in fake platform on loopback, for trying things out: token
endpoint, project, environments, backups, operations, variables, activities and
members, as the platform's API has them. It prints the variables that point
cronagent, or the platform's own command-line tool, to it, and then every request
that it gets. It ends with SIGINT or SIGTERM. Nothing leaves this machine.

--faults FILE holds a JSON list of scripted faults, for example
  [{"on": "post", "times": 1, "status": 502, "content": "html", "act": true}]`,
		Example: `  cronagent sandbox
  cronagent sandbox --listen 127.0.0.1:8080 --role viewer`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if role != roles[0] {
				opts.Role = sandbox.Role(role)
			}
			opts.OnRequest = func(r sandbox.Request) {
				switch {
				case quiet:
				case asJSON:
					_ = writeJSONLine(p.stdout, sandboxLine{Event: "request", request: requestOf(r)}) // it serves on
				default:
					fmt.Fprintln(p.stdout, safe(requestLine(r)))
				}
			}
			server := sandbox.New(opts)
			defer server.Close()
			if faults != "" {
				data, err := os.ReadFile(faults)
				if err != nil {
					return usage("", "%v", err)
				}
				list, err := sandbox.ParseFaults(data)
				if err == nil {
					err = server.Fault(list...)
				}
				if err != nil {
					return usage("", "%s: %v", faults, err)
				}
			}
			dir, err := os.MkdirTemp("", "cronagent-sandbox-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			vars, err := startSandbox(server, useTLS, dir)
			if err != nil {
				return usage("give an address of this machine's loopback, or none", "%v", err)
			}
			vars = append(vars, [2]string{"PLATFORMSH_CLI_TOKEN", sandbox.DefaultToken})
			if asJSON {
				ready := &sandboxReady{Variables: map[string]string{}, Project: sandbox.DefaultProject}
				for _, v := range vars {
					ready.Variables[v[0]] = v[1]
				}
				if err := writeJSONLine(p.stdout, sandboxLine{Event: "ready", sandboxReady: ready}); err != nil {
					return err
				}
			} else {
				for _, v := range vars {
					fmt.Fprintf(p.stdout, "export %s=%s\n", v[0], v[1])
				}
				fmt.Fprintf(p.stdout, "# project %s, environments main, staging and feature/new-menu; waiting for requests\n", sandbox.DefaultProject)
			}
			<-cmd.Context().Done()
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&opts.Address, "listen", "127.0.0.1:0", "loopback `address`; port 0 takes a free one")
	fs.BoolVar(&useTLS, "tls", false, "serve https with a certificate made for this run")
	fs.StringVar(&role, "role", roles[0], "the `role` of the token's user: "+strings.Join(roles, ", "))
	oneOf(fs, "role", "role", roles)
	fs.StringVar(&faults, "faults", "", "a `file` with scripted faults")
	fs.BoolVar(&quiet, "quiet", false, "do not print requests")
	fs.BoolVar(&asJSON, "json", false, "print JSON, an object on each line: first the variables, then each request")
	return cmd
}

// sandboxLine is a line of `sandbox --json`.
type sandboxLine struct {
	Event string `json:"event"`
	*sandboxReady
	*request
}

// sandboxReady is what points to the fake platform, in `sandbox --json`.
type sandboxReady struct {
	Variables map[string]string `json:"variables"`
	Project   string            `json:"project"`
}

// request is one that the fake platform received, in `sandbox --json` and
// `demo --json`.
type request struct {
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Query  string    `json:"query"`
	Body   string    `json:"body"`
	Status int       `json:"status"`
}

func requestOf(r sandbox.Request) *request {
	return &request{r.Time, r.Method, r.Path, r.Query, r.Body, r.Status}
}

// roles are those that --role takes; the first is the default.
var roles = []string{"admin", string(sandbox.ProductionAdmin), string(sandbox.Contributor), string(sandbox.Viewer), string(sandbox.NoMember)}

// startSandbox starts the server and returns the variables that point to it. Its
// certificate goes to dir.
func startSandbox(server *sandbox.Server, useTLS bool, dir string) ([][2]string, error) {
	if !useTLS {
		url, err := server.Start()
		return [][2]string{{"CRONAGENT_API_URL", url}, {"CRONAGENT_AUTH_URL", url}}, err
	}
	url, ca, err := server.StartTLS()
	if err != nil {
		return nil, err
	}
	bundle := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(bundle, ca, 0o600); err != nil {
		return nil, err
	}
	return [][2]string{{"CRONAGENT_API_URL", url}, {"CRONAGENT_AUTH_URL", url}, {"SSL_CERT_FILE", bundle}}, nil
}

// requestLine is a request that the fake platform received, on one line.
func requestLine(r sandbox.Request) string {
	line := r.Method + " " + r.Path
	if r.Body != "" {
		line += " " + r.Body
	}
	return fmt.Sprintf("%s -> %d", line, r.Status)
}
