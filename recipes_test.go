package install_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/sandbox"
)

// The crons that the platforms' own documentation has told people to write, as
// they stand in deployed files.
const recipes = `
crons:
    snapshot:
        spec: '0 5 * * *'
        cmd: |
            if [ "$PLATFORM_BRANCH" = master ]; then
                platform snapshot:create --yes --no-wait
            fi
    backup:
        spec: '0 5 * * *'
        cmd: |
            if [ "$PLATFORM_ENVIRONMENT_TYPE" = production ]; then
                webpaas backup:create --yes --no-wait
            fi
    update:
        spec: '0 0 * * *'
        commands:
            start: |
                if [ "$PLATFORM_ENVIRONMENT_TYPE" = production ]; then
                    upsun backup:create --yes --no-wait
                    /app/.platformsh/bin/platform source-operation:run update --no-wait --yes
                fi
    absolute:
        spec: '0 3 * * *'
        cmd: |
            if [ "$PLATFORM_BRANCH" = master ]; then
              /app/.platformsh/bin/platform redeploy --yes --no-wait
            fi
    unguarded:
        spec: '0 0 * * *'
        commands:
            start: |
                set -e
                cronagent fire backup:create
`

// TestRecipes installs the real release with the real installer, and runs
// yesterday's crons unchanged: dash, .environment sourced, the installed links.
func TestRecipes(t *testing.T) {
	t.Parallel()
	b := newInstalledBox(t)

	var file struct {
		Crons map[string]struct {
			Cmd      string
			Commands struct{ Start string }
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(recipes), &file))
	for _, c := range []struct {
		cron, branch, kind string
		want               []string // the operations that the platform accepts
		stdout             string
	}{
		{"snapshot", "master", "production", []string{"backup"}, "Backup name: "},
		{"snapshot", "feature/x", "development", nil, ""},
		{"backup", "main", "production", []string{"backup"}, "Backup name: "},
		{"backup", "staging", "staging", nil, ""},
		{"update", "main", "production", []string{"backup", "source-operation"}, "Backup name: "},
		{"update", "feature/x", "development", nil, ""},
		{"absolute", "master", "production", []string{"redeploy"}, ""},
		{"unguarded", "main", "production", []string{"backup"}, "fired backup:create on main"},
		{"unguarded", "feature/x", "development", nil, ""},
	} {
		t.Run(c.cron+" on "+c.kind, func(t *testing.T) {
			t.Parallel()
			server := sandbox.New(sandbox.Options{Environments: []sandbox.Environment{
				{ID: c.branch, MachineName: "x-1", Type: c.kind, Status: "active"}}})
			address, err := server.Start()
			require.NoError(t, err)
			defer server.Close()

			script := file.Crons[c.cron].Cmd + file.Crons[c.cron].Commands.Start
			require.NotEmpty(t, script)
			// The one thing that a test cannot have is a folder /app.
			script = strings.ReplaceAll(script, "/app/", b.app+"/")
			cmd := exec.Command(program(t, "dash"), "-c", ". ./.environment\n"+script)
			cmd.Dir = b.app
			cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + b.app, "PLATFORM_PROJECT=" + sandbox.DefaultProject,
				"PLATFORM_APPLICATION_NAME=app", "PLATFORM_APP_DIR=" + b.app, "PLATFORM_BRANCH=" + c.branch,
				"PLATFORM_ENVIRONMENT_TYPE=" + c.kind, "PLATFORMSH_CLI_TOKEN=" + sandbox.DefaultToken,
				"CRONAGENT_API_URL=" + address, "CRONAGENT_AUTH_URL=" + address, "CRONAGENT_STATE_DIR=" + t.TempDir()}
			stdout, stderr, status := run(t, cmd)
			assert.Zero(t, status, stderr)
			if c.cron == "unguarded" && c.want == nil {
				assert.Equal(t, "cronagent: skipped: backup:create: this environment is of type development (only production)\n", stderr)
			} else {
				assert.Empty(t, stderr, "a line would become a mail")
			}
			assert.Equal(t, c.stdout == "", stdout == "", stdout)
			assert.Contains(t, stdout, c.stdout)

			var accepted []string
			for _, a := range server.Accepted() {
				accepted = append(accepted, a.Operation)
			}
			assert.Equal(t, c.want, accepted)
			assert.Len(t, server.Requests(), 2*len(c.want), "a token and a POST for each")
		})
	}
}
