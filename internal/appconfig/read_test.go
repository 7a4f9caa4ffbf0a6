package appconfig_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	_ "time/tzdata" // the tests must not depend on the machine's zone files

	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/schedule"
)

// tree writes files into a new directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

// inFile reads text as .platform.app.yaml.
func inFile(t *testing.T, text string) (*appconfig.App, error) {
	t.Helper()
	return readApp(t, filepath.Join(tree(t, map[string]string{".platform.app.yaml": text}), ".platform.app.yaml"), "")
}

func readApp(t *testing.T, path, app string) (*appconfig.App, error) {
	t.Helper()
	source, err := appconfig.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return source.App(appconfig.Options{Project: "abcdefgh1234567", App: app})
}

// inVariables reads what a container has. Variables are name=JSON.
func inVariables(t *testing.T, application string, variables ...string) (*appconfig.App, error) {
	t.Helper()
	all := map[string]json.RawMessage{}
	for _, v := range variables {
		name, text, ok := strings.Cut(v, "=")
		require.True(t, ok)
		all[name] = json.RawMessage(text)
	}
	source, err := appconfig.FromVariables([]byte(application), all)
	if err != nil {
		return nil, err
	}
	return source.App(appconfig.Options{Project: "abcdefgh1234567"})
}

// problems are the lines "line:column: cron "name": message" of an error, the
// file's directory left out.
func problems(t *testing.T, err error) []string {
	t.Helper()
	var all appconfig.Errors
	if err == nil {
		return nil
	}
	require.ErrorAs(t, err, &all)
	var lines []string
	for _, e := range all {
		short := *e
		if short.Position.Line > 0 {
			short.Position.File = filepath.Base(short.Position.File)
		}
		line := strings.TrimPrefix(short.Error(), ".platform.app.yaml:")
		// The hints for specs are the schedule package's.
		if wrong := (*schedule.Error)(nil); e.Hint != "" && !errors.As(e, &wrong) {
			line += " | " + e.Hint
		}
		lines = append(lines, line)
	}
	return lines
}

func cron(t *testing.T, app *appconfig.App, name string) *appconfig.Cron {
	t.Helper()
	require.NotNil(t, app)
	for i := range app.Crons {
		if app.Crons[i].Name == name {
			return &app.Crons[i]
		}
	}
	require.Failf(t, "no such cron", "%q", name)
	return nil
}

// agentCrons is a .platform.app.yaml with these lines, indented by six blanks,
// as agent crons; the first of them is line 4.
func agentCrons(lines string) string {
	return "variables:\n  cronagent:\n    crons:\n      " +
		strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n      ") + "\n"
}

// oneCron is a .platform.app.yaml with one agent cron of these keys, on line 4.
func oneCron(keys string) string { return agentCrons("c: { " + keys + " }") }
