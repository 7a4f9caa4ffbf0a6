package install_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// moving is the page, and its parts.
const moving = "docs/moving.md"

var (
	sectionOf = regexp.MustCompile(`(?m)^## (.*)\n`)
	pairOf    = regexp.MustCompile("(?ms)^(?:Before|All of it, before):\n\n```yaml\n(.*?)```\n\nAfter:\n\n```yaml\n(.*?)```")
)

// step is one that the page describes: what stands in the app's configuration before
// it and after it.
type step struct{ name, before, after string }

func stepsOf(t *testing.T) []step {
	t.Helper()
	var steps []step
	text := read(t, moving)
	sections := sectionOf.FindAllStringSubmatchIndex(text, -1)
	for i, at := range sections {
		end := len(text)
		if i+1 < len(sections) {
			end = sections[i+1][0]
		}
		for _, pair := range pairOf.FindAllStringSubmatch(text[at[1]:end], -1) {
			steps = append(steps, step{text[at[2]:at[3]], pair[1], pair[2]})
		}
	}
	return steps
}

// stubs are what the page's crons call, and what it moves away from: an app's PHP,
// which only notes that it was called, and croncape without its mails.
var stubs = map[string]string{
	"php":      `echo php "$@" >>"$RAN"`,
	"croncape": `while :; do case $1 in -t | -p) shift 2 ;; -v) shift ;; *) break ;; esac; done; exec "$@"`,
}

// TestMoving takes each step of docs/moving.md, and takes it back: the crons before
// and after are run as the platform would run them, in production and on a preview,
// and do the same. The installer is the real one, called by the page's own build hook.
func TestMoving(t *testing.T) {
	t.Parallel()
	steps := stepsOf(t)
	require.Len(t, steps, 6)

	var hook struct{ Hooks struct{ Build string } }
	require.NoError(t, yaml.Unmarshal([]byte(steps[0].after), &hook))
	install := strings.ReplaceAll(hook.Hooks.Build, placeholder, releaseURL(t))
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newBox(t, dash, "")
			c.env["PATH"] = "/usr/bin:/bin"
			stdout, stderr, status := run(t, c.command("", "-c", install))
			require.Zero(t, status, stdout+stderr)
			bin := t.TempDir()
			for name, script := range stubs {
				write(t, "#!/bin/sh\n"+script+"\n", bin, name)
			}
			state := t.TempDir()
			for kind, branch := range map[string]string{"production": "main", "development": "feature/x"} {
				did := map[string]done{}
				for _, config := range []struct{ name, text string }{{"before", s.before}, {"after", s.after}, {"back again", s.before}} {
					did[config.name] = night(t, c, config.text, kind, branch, bin, state)
				}
				assert.Equal(t, did["before"], did["after"], "%s: on %s the step changes what is done", s.name, kind)
				assert.Equal(t, did["before"], did["back again"], "%s: on %s the way back changes what is done", s.name, kind)
				if kind == "production" {
					assert.NotEmpty(t, append(did["before"].accepted, did["before"].ran...), "nothing is compared")
				} else {
					assert.Empty(t, did["after"].accepted, "a preview fires nothing")
				}
			}
		})
	}

	t.Run("check writes what the page says", func(t *testing.T) {
		t.Parallel()
		c := newBox(t, dash, "")
		c.env["PATH"] = "/usr/bin:/bin"
		_, stderr, status := run(t, c.command("", "-c", install))
		require.Zero(t, status, stderr)
		fixed := func(config string) string {
			write(t, config, c.app, "app.yaml")
			stdout, stderr, status := run(t, exec.Command(c.path("cronagent"), "check", "--fix", "--write", filepath.Join(c.app, "app.yaml")))
			require.Zero(t, status, stdout+stderr)
			return read(t, c.app, "app.yaml")
		}
		assert.Equal(t, steps[1].after, fixed(steps[1].before))
		// The agent's own cron and one more are written by hand, the rest is moved.
		blocks := readDocument(t, moving).blocks
		for i, b := range blocks {
			if b.text == steps[3].before {
				var moved, want any
				require.NoError(t, yaml.Unmarshal([]byte(fixed(blocks[i-1].text)), &moved))
				require.NoError(t, yaml.Unmarshal([]byte(steps[3].after), &want))
				assert.Equal(t, want, moved)
				return
			}
		}
		assert.Fail(t, "the page has no configuration before the last step")
	})
}

// done is what came of one night.
type done struct{ accepted, ran []string }

// night runs each cron of a configuration once in a container: those of the platform
// by dash, with .environment read, and those of the agent by its own cron, for which
// each of them came due once since the tick before. The state directory stays from
// night to night; the ledger in it does not, since time stands still here.
func night(t *testing.T, c *box, config, kind, branch, bin, state string) done {
	t.Helper()
	server := sandbox.New(sandbox.Options{Environments: []sandbox.Environment{{ID: branch, MachineName: "x-1", Type: kind, Status: "active"}}})
	address, err := server.Start()
	require.NoError(t, err)
	defer server.Close()
	ran := filepath.Join(t.TempDir(), "ran")
	write(t, "", ran)
	write(t, "name: app\n"+config, c.app, ".platform.app.yaml")
	app := readApp(t, filepath.Join(c.app, ".platform.app.yaml"))

	var file map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(config), &file))
	file["name"] = "app"
	file["timezone"] = nil
	application, err := json.Marshal(file)
	require.NoError(t, err)
	env := []string{"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + c.app, "RAN=" + ran, "PLATFORM_PROJECT=" + sandbox.DefaultProject,
		"PLATFORM_APPLICATION_NAME=app", "PLATFORM_APP_DIR=" + c.app, "PLATFORM_BRANCH=" + branch, "PLATFORM_ENVIRONMENT_TYPE=" + kind,
		"PLATFORMSH_CLI_TOKEN=" + sandbox.DefaultToken, "PLATFORM_APPLICATION=" + base64.StdEncoding.EncodeToString(application),
		"CRONAGENT_API_URL=" + address, "CRONAGENT_AUTH_URL=" + address, "CRONAGENT_STATE_DIR=" + state}
	ledger := ""
	for _, cron := range app.Crons {
		if cron.Scheduler == appconfig.Agent {
			ledger += fmt.Sprintf(`{"event":"begin","project":"%s","environment":"%s","app":"app","cron":"%s","at":"%s"}`+"\n",
				sandbox.DefaultProject, branch, cron.Name, time.Now().Add(time.Minute-24*time.Hour).UTC().Format(time.RFC3339))
		}
	}
	write(t, ledger, state, "ledger.jsonl")
	for _, cron := range app.Crons {
		if cron.Scheduler != appconfig.Platform {
			continue
		}
		// The one thing that a test cannot have is a folder /app.
		script := strings.ReplaceAll(cron.Start, "/app/", c.app+"/")
		cmd := exec.Command(program(t, "dash"), "-c", ". ./.environment\n"+script)
		cmd.Dir, cmd.Env = c.app, env
		stdout, stderr, status := run(t, cmd)
		require.Zero(t, status, "%s\n%s%s", script, stdout, stderr)
	}
	var d done
	for _, a := range server.Accepted() {
		d.accepted = append(d.accepted, a.Operation)
	}
	text, err := os.ReadFile(ran)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		d.ran = append(d.ran, strings.TrimSpace(line))
	}
	return d
}
