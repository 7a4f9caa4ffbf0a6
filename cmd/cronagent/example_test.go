package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/syntax"

	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// exampleApp is the app whose container the examples are run in.
const exampleApp = `name: app
disk: 512
mounts:
    '/.cronagent': {source: local, source_path: cronagent}
source:
    operations:
        update: {command: 'composer update'}
operations:
    clear-cache: {commands: {start: 'true'}}
crons:
    agent:
        spec: '*/5 * * * *'
        commands: {start: 'cronagent tick'}
variables:
    cronagent:
        timezone: Europe/Paris
        crons:
            backup: {spec: 'H 5 * * *', fire: 'backup:create'}
            import: {spec: '*/30 8-18 * * *', commands: {start: 'php bin/import.php'}, timeout: 600}
`

// endless are examples that end by a signal, told by what they say when they are at
// work.
var endless = map[string]string{
	"cronagent run": "msg=running",
	"cronagent run --log-format json --listen 127.0.0.1:9100": `"msg":"running"`,
	"cronagent sandbox": "waiting for requests",
	"cronagent sandbox --listen 127.0.0.1:8080 --role viewer": "waiting for requests",
	"cronagent logs import --follow":                          "import",
}

// before is what must have happened before the examples of a command, as somebody
// types it.
var before = map[string]string{
	"status":             "cronagent trigger backup; cronagent fire backup:create",
	"logs":               "cronagent trigger import; cronagent trigger backup",
	"resume":             "cronagent pause backup --for 2h",
	"backup:list":        "cronagent backup:create; cronagent backup:create -e staging",
	"backup:get":         "cronagent backup:create",
	"backup:restore":     "cronagent backup:create",
	"activity:list":      "cronagent backup:create",
	"activity:get":       "cronagent backup:create",
	"activity:log":       "cronagent backup:create; cronagent redeploy",
	"variable:get":       "cronagent variable:create env:GREETING --level environment --value hello",
	"variable:list":      "cronagent variable:create API --level project --value hello",
	"variable:update":    "cronagent variable:create env:GREETING --level environment --value hello; cronagent variable:create env:PLATFORMSH_CLI_TOKEN --level environment --value x",
	"variable:delete":    "cronagent variable:create env:GREETING --level environment --value hello --inheritable false; cronagent variable:create env:GREETING --level environment -e staging --value hello",
	"environment:resume": "cronagent environment:pause -e staging --yes",
}

// codes are the exit codes of examples that do not end with 0 here, and why.
var codes = map[string]int{
	"cronagent backup:delete b3kq7xw2m5n8p --yes":                                                 1, // no such backup
	"cronagent backup:delete b3kq7xw2m5n8p --project abcdefgh1234567 --environment staging --yes": 1,
	"cronagent activity:cancel a7c2m5x9k4q3w --yes":                                               1, // nor activity
	"cronagent activity:cancel --type backup --yes":                                               1, // nothing is under way
	"cronagent activity:list --type backup --result failure --limit 5":                            1, // nothing failed
	"cronagent activity:list --all --incomplete --format csv":                                     1,
}

// TestExamples: every command has two examples at least, each of them is a command
// line that we take, and does in a container what it is an example of.
func TestExamples(t *testing.T) {
	t.Parallel()
	root := newRoot(proc{args: []string{"help"}})
	root.InitDefaultHelpCmd()
	commands := 0
	for _, cmd := range allCommands(root) {
		if cmd.Hidden {
			continue
		}
		commands++
		examples := strings.Split(cmd.Example, "\n")
		name := strings.TrimPrefix(cmd.CommandPath(), "cronagent ")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.GreaterOrEqual(t, len(examples), 2, "examples of %s", name)
			for _, example := range examples {
				line, indented := strings.CutPrefix(example, "  ")
				assert.True(t, indented, example)
				assert.LessOrEqual(t, len(example), 120, example)
				taken(t, line, cmd)
				runExample(t, name, line)
			}
		})
	}
	assert.Greater(t, commands, 50)
}

// taken checks the calls of cronagent in a line: that one of them is of the command,
// and that all their flags are there.
func taken(t *testing.T, line string, cmd *cobra.Command) {
	t.Helper()
	file, err := syntax.NewParser().Parse(strings.NewReader(line), "")
	require.NoError(t, err, line)
	found := false
	syntax.Walk(file, func(node syntax.Node) bool {
		call, ok := node.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 || filepath.Base(call.Args[0].Lit()) != "cronagent" {
			return true
		}
		var args []string
		for _, word := range call.Args[1:] {
			text := word.Lit()
			if text == "" {
				text = "quoted"
			}
			args = append(args, text)
		}
		root := newRoot(proc{args: []string{"help"}})
		root.InitDefaultHelpCmd()
		if isPlatformCommand(args) {
			o, err := operation.Find(commandName(args))
			require.NoError(t, err)
			found = found || o.Name == cmd.Name()
			fs := pflag.NewFlagSet("", pflag.ContinueOnError)
			o.AllFlags(fs)
			assert.NoError(t, fs.Parse(args), line)
			return true
		}
		called, rest, err := root.Find(args)
		require.NoError(t, err, line)
		found = found || strings.HasPrefix(called.CommandPath()+" ", cmd.CommandPath()+" ")
		assert.NoError(t, called.ParseFlags(rest), line)
		return true
	})
	assert.True(t, found, "%q is no example of %s", line, cmd.CommandPath())
}

// runExample runs a line in a container of its own, with everything on PATH that it
// needs.
func runExample(t *testing.T, name, line string) {
	t.Helper()
	dir := t.TempDir()
	app, state, bin := filepath.Join(dir, "app"), filepath.Join(dir, "state"), filepath.Join(dir, "bin")
	program, err := exec.LookPath("cronagent")
	require.NoError(t, err)
	for _, folder := range []string{filepath.Join(app, "web"), filepath.Join(app, ".platformsh", "bin"), state, bin} {
		require.NoError(t, os.MkdirAll(folder, 0o700))
	}
	for file, text := range map[string]string{
		filepath.Join(app, ".platform.app.yaml"): exampleApp,
		filepath.Join(app, "token.txt"):          apiToken + "\n",
		filepath.Join(app, "cleanup.sh"):         "#!/bin/sh\n",
		filepath.Join(bin, "php"):                "#!/bin/sh\necho imported\n",
		filepath.Join(bin, "drush"):              "#!/bin/sh\necho ran\n",
	} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o700))
	}
	require.NoError(t, os.Symlink(program, filepath.Join(app, ".platformsh", "bin", "cronagent")))
	server := sandbox.New(sandbox.Options{Token: apiToken, ActivityDuration: -1})
	url, err := server.Start()
	require.NoError(t, err)
	defer server.Close()
	environ := []string{endsSoon,
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + dir,
		"PLATFORM_PROJECT=" + sandbox.DefaultProject, "PLATFORM_BRANCH=main", "PLATFORM_ENVIRONMENT=main-bvxea6i",
		"PLATFORM_ENVIRONMENT_TYPE=production", "PLATFORM_APPLICATION_NAME=app", "PLATFORM_APP_DIR=" + app,
		"PLATFORMSH_CLI_TOKEN=" + apiToken, "CRONAGENT_API_URL=" + url, "CRONAGENT_AUTH_URL=" + url,
		"CRONAGENT_STATE_DIR=" + state, "CHAT_URL=" + url,
	}
	shell := func(line string) (*exec.Cmd, *bytes.Buffer) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		t.Cleanup(cancel)
		out := new(bytes.Buffer)
		cmd := exec.CommandContext(ctx, "bash", "-c", "set -o pipefail; "+line)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = app, environ, out, out
		return cmd, out
	}
	if first := before[name]; first != "" {
		cmd, out := shell("set -e; " + first)
		require.NoError(t, cmd.Run(), "%s: %s", first, out)
	}
	mark := endless[line]
	if mark == "" {
		cmd, out := shell(line)
		_ = cmd.Run()
		assert.Equal(t, codes[line], cmd.ProcessState.ExitCode(), "%s\n%s", line, out)
		return
	}
	// A port that is always the same may be another's.
	line = strings.NewReplacer(":9100", ":0", ":8080", ":0").Replace(line)
	log := filepath.Join(dir, "log")
	cmd, out := shell("exec " + line + " >" + log + " 2>&1")
	require.NoError(t, cmd.Start())
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		said, _ := os.ReadFile(log)
		if bytes.Contains(said, []byte(mark)) {
			break
		}
		require.True(t, time.Now().Before(deadline), "%s says no %q: %s", line, mark, said)
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	assert.NoError(t, cmd.Wait(), "%s\n%s", line, out)
}
