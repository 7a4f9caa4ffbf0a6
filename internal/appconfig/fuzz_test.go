package appconfig_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
)

// FuzzRead reads any bytes as a file and as what a container has: nothing
// panics, and what is accepted can be acted on.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", application, oneCron(fire), agentCrons("c:\nspec: x"), tenKeys, "crons: {c: {spec: * * * * *}}", "- name: a\n- name: b\n",
		"applications: {a: !include x.yaml, b: {<<: *c}}", "a: &a {<<: *a}\n", "a: &a [*a]\nvariables: {cronagent: {notify: {x: *a}}}\n",
		"crons:\n\tc: x\n", "a: 'b", "\xff\xfea\x00", "!!binary x", "? [a]\n: b\n", "crons: {a: {spec: !include {type: string, path: .platform.app.yaml}}}",
		`{"crons":[],"variables":{"cronagent":{"crons":"{}"}}}`, "variables: {cronagent: {crons: {c: {spec: 'H H * * *', fire: [a, b], env: {A: b}}}}}",
	} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := os.CreateTemp(dir, "*.yaml")
		require.NoError(t, err)
		defer os.Remove(file.Name())
		_, err = file.Write(data)
		require.NoError(t, err)
		require.NoError(t, file.Close())

		source, err := appconfig.ReadFile(file.Name())
		accepted(t, source, err)
		source, err = appconfig.FromVariables(data, nil)
		accepted(t, source, err)
		text, err := json.Marshal(string(data))
		require.NoError(t, err)
		for _, variable := range []json.RawMessage{data, text} {
			source, err = appconfig.FromVariables([]byte(`{"timezone":null}`), map[string]json.RawMessage{
				"cronagent:crons": variable, "cronagent:notify": variable, "cronagent:heartbeat": text, "cronagent:timezone": text})
			accepted(t, source, err)
		}
		_, err = appconfig.Find(filepath.Join(dir, "nowhere"))
		require.Error(t, err)
	})
}

func accepted(t *testing.T, source *appconfig.Source, err error) {
	explained := func(err error) {
		var all appconfig.Errors
		require.ErrorAs(t, err, &all)
		require.NotEmpty(t, all)
		for _, e := range all {
			require.NotEmpty(t, e.Message)
			require.NotEmpty(t, e.Position.File)
		}
	}
	if err != nil {
		require.Nil(t, source)
		explained(err)
		return
	}
	for _, name := range source.Apps() {
		app, err := source.App(appconfig.Options{App: name, Project: "p"})
		if err != nil {
			require.Nil(t, app)
			explained(err)
			require.NotEmpty(t, source.Problems(appconfig.Options{App: name}))
			continue
		}
		require.NotNil(t, app.Zone)
		if app.Problem != nil {
			explained(app.Problem)
		}
		for _, c := range app.Crons {
			if c.Problem != nil {
				require.Equal(t, appconfig.Platform, c.Scheduler)
				explained(c.Problem)
				continue
			}
			require.NotEmpty(t, c.Name)
			require.NotNil(t, c.Schedule)
			require.NotNil(t, c.Zone)
			assert.True(t, (c.Fire != nil) != (c.Start != ""), "fire or a command")
			if c.Scheduler == appconfig.Agent {
				require.NotEmpty(t, c.EnvironmentTypes)
				require.Positive(t, c.Timeout)
			}
			require.True(t, utf8.ValidString(c.Name))
		}
	}
}

const tenKeys = `
name: app
variables:
  cronagent:
    crons:
      c: { spec: '@every 30s', timezone: UTC, cmd: x, environment_types: [any], timeout: 1, shutdown_timeout: 0,
           overlap: allow, retries: 1, missed: skip, missed_within: 0, enabled: off, env: {A: b}, notify: {mail: [a@b, $C], webhook: 'https://x/y', ping: $P, on: [failure]} }
`
