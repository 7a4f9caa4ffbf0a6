package install_test

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/sandbox"
)

// provoked are what makes each line of docs/exit-codes.md true, by when that is: what
// the fake platform does, and what the shell does before the command. A line that needs
// nothing is empty.
var provoked = map[string]struct {
	faults []sandbox.Fault
	before string
}{
	"the platform has accepted the operation, which then goes on by itself": {},
	"the environment is not of a type that is meant":                        {before: "export PLATFORM_ENVIRONMENT_TYPE=staging"},
	"everything is paused":                                                                  {before: "cronagent pause --for 1h"},
	"the environment does not exist":                                                        {before: "export PLATFORM_BRANCH=gone"},
	"what the platform made of it failed":                                                   {faults: []sandbox.Fault{{On: "post", Outcome: sandbox.Failure}}},
	"the command of the cron failed, or was stopped at its time limit":                      {before: "touch broken"},
	"the last success is older, or there is none":                                           {before: "rm -r .cronagent/*"},
	"the last run of a cron failed":                                                         {before: "touch broken; cronagent trigger import || true"},
	"there is a problem; warnings alone are 0":                                              {before: "export PLATFORMSH_CLI_TOKEN="},
	"a word or a flag is mistyped":                                                          {},
	"there is a mistake in the configuration":                                               {before: `export PLATFORM_APPLICATION=$(echo '{"timezone":"UTC","variables":{"cronagent":{"crons":{"x":{"spec":"60 * * * *","fire":"backup:create"}}}}}' | base64 -w0)`},
	"there is no such cron":                                                                 {},
	"it is called in a build, where there is no environment yet":                            {before: "unset PLATFORM_BRANCH"},
	"it found errors; with `--strict` warnings too":                                         {before: `sed -i 's/H 5 /60 5 /' .platform.app.yaml`},
	"no variable holds an API token":                                                        {before: "unset PLATFORMSH_CLI_TOKEN"},
	"the token is wrong, revoked or expired":                                                {before: "export PLATFORMSH_CLI_TOKEN=wrong-token"},
	"the role of the token's user is too small":                                             {faults: []sandbox.Fault{{On: "post", Status: 403}}},
	"the environment is not active":                                                         {before: "export PLATFORM_BRANCH=feature/new-menu"},
	"the environment is busy (a cron of the agent is handed back instead, and fires later)": {before: "busy"},
	"there is no connection":                                                                {before: "export CRONAGENT_API_URL=$nobody"},
	"the platform answers 429, or 503 in its own words":                                     {faults: []sandbox.Fault{{On: "post", Status: 429}}},
	"the database of the ledger is out of reach: nothing is acted on":                       {before: "database"},
	"the answer was lost, and the activities do not tell":                                   {faults: []sandbox.Fault{{On: "post", Drop: true}}},
	"the command ended with 0":                                                              {},
	"it was rightly skipped: the environment's type, a pause":                               {before: "export PLATFORM_ENVIRONMENT_TYPE=staging"},
	"it was skipped, since its last run has not ended":                                      {before: "slow"},
	"the command ended with 3; so with every other code":                                    {},
	"a signal ended the command: 128 and its number":                                        {},
	"it was stopped at its time limit":                                                      {},
	"`exec` itself was told to stop":                                                        {},
	"it cannot be executed":                                                                 {},
	"there is no such command":                                                              {},
	"a mistake in flags or configuration":                                                   {},
}

var codeRow = regexp.MustCompile("(?m)^\\| (\\d+) \\| `([^\n]*)` \\| (.*) \\|$")

// TestExitCodes provokes each line of the tables of docs/exit-codes.md, each in a
// container of its own.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	// Nobody listens there once it is closed.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := listener.Addr().String()
	require.NoError(t, listener.Close())

	page := readDocument(t, "docs/exit-codes.md")
	rows := codeRow.FindAllStringSubmatch(page.prose, -1)
	assert.Len(t, rows, len(provoked))
	for _, row := range rows {
		t.Run(row[3], func(t *testing.T) {
			t.Parallel()
			provocation, ok := provoked[row[3]]
			require.True(t, ok, "nothing provokes this")
			p := newPage(t, document{name: page.name})
			require.NoError(t, p.server.Fault(provocation.faults...))
			before := strings.ReplaceAll(provocation.before, "$nobody", "http://"+nobody)
			switch before {
			case "busy":
				p.server.SetEnvironment(sandbox.Environment{ID: "main", MachineName: "main-bvxea6i", Type: "production", Dirty: true})
				require.NoError(t, p.server.Happen(sandbox.Event{Type: "environment.push", By: sandbox.Colleague, Outcome: sandbox.Unfinished}))
				before = ":"
			case "database":
				host, port, err := net.SplitHostPort(nobody)
				require.NoError(t, err)
				before = fmt.Sprintf(`export CRONAGENT_LEDGER=database PLATFORM_RELATIONSHIPS=$(echo '{"database":[{"scheme":"pgsql","host":"%s","port":%s,"username":"main","password":"","path":"main"}]}' | base64 -w0)`, host, port)
			case "slow":
				before = "mkfifo started; cronagent exec --name slow -- sh -c 'echo >started; exec sleep 60' & running=$!; trap 'kill $running' EXIT; read -r _ <started"
			case "":
				before = ":"
			}
			status := 0
			_, err := fmt.Sscan(row[1], &status)
			require.NoError(t, err)
			p.shell("sh container", status, []statement{{0, before}, {0, row[2]}})
		})
	}
}
