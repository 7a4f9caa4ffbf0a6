package appconfig_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
)

func TestInclude(t *testing.T) {
	t.Parallel()
	const script = "set -e\nphp x.php\n"
	cases := map[string]struct {
		files      map[string]string
		read       string
		start, dir string
	}{
		"a script": {map[string]string{
			".platform.app.yaml": "crons: {c: {spec: '0 5 * * *', commands: {start: !include {type: string, path: s.sh}}}}",
			"s.sh":               script}, ".platform.app.yaml", script, "."},
		"a script, as the vendor writes it": {map[string]string{
			".platform.app.yaml": "crons:\n  c:\n    spec: '0 5 * * *'\n    commands:\n      start: !include\n        type: string\n        path: ./s.sh\n",
			"s.sh":               script}, ".platform.app.yaml", script, "."},
		"binary": {map[string]string{
			".platform.app.yaml": "crons: {c: {spec: '0 5 * * *', cmd: !include {type: binary, path: s.sh}}}",
			"s.sh":               "\xff\x00"}, ".platform.app.yaml", "/wA=", "."},
		"a cron": {map[string]string{
			".platform.app.yaml": "crons: {c: !include c.yaml}",
			"c.yaml":             "{spec: '0 5 * * *', cmd: x}"}, ".platform.app.yaml", "x", "."},
		"a map merged": {map[string]string{
			".platform.app.yaml": "crons: {c: {<<: !include c.yaml, spec: '0 5 * * *'}}",
			"c.yaml":             "{spec: '0 6 * * *', cmd: x}"}, ".platform.app.yaml", "x", "."},
		"all crons, through another file": {map[string]string{
			".platform.app.yaml": "crons: !include {type: yaml, path: a/b.yaml}",
			"a/b.yaml":           "!include c.yaml",
			"c.yaml":             "c: {spec: '0 5 * * *', cmd: !include {type: string, path: s.sh}}",
			"s.sh":               script}, ".platform.app.yaml", script, "."},
		"beside the file that includes": {map[string]string{
			".platform.app.yaml": "crons: !include a/b.yaml",
			"a/b.yaml":           "!include c.yaml",
			"a/c.yaml":           "c: {spec: '0 5 * * *', cmd: x}"}, ".platform.app.yaml", "x", "."},
		"from source.root": {map[string]string{
			".platform/applications.yaml": "app: {type: php, source: {root: /backend}, crons: !include c.yaml}",
			"backend/c.yaml":              "c: {spec: '0 5 * * *', cmd: right}",
			".platform/c.yaml":            "c: {spec: '0 5 * * *', cmd: wrong}"}, ".platform/applications.yaml", "right", "backend"},
		"beside source.root": {map[string]string{
			".upsun/config.yaml": "applications: {app: {type: php, source: {root: frontend}, crons: !include ../backend/c.yaml}}",
			"backend/c.yaml":     "c: {spec: '0 5 * * *', cmd: x}"}, ".upsun/config.yaml", "x", "frontend"},
		"a whole app": {map[string]string{
			".platform/applications.yaml": "app: !include ./app1.yaml",
			".platform/app1.yaml":         "{type: php, crons: {c: {spec: '0 5 * * *', cmd: x}}}"}, ".platform/applications.yaml", "x", "."},
		"all apps": {map[string]string{
			".upsun/config.yaml": "applications: !include apps/a.yaml",
			".upsun/apps/a.yaml": "app: {type: php, crons: {c: {spec: '0 5 * * *', cmd: x}}}"}, ".upsun/config.yaml", "x", "."},
		"above, inside of the repository": {map[string]string{
			".git/HEAD": "", "c.yaml": "c: {spec: '0 5 * * *', cmd: x}",
			"api/.platform.app.yaml": "crons: !include ../c.yaml"}, "api/.platform.app.yaml", "x", "api"},
		"elsewhere a missing file is not our business": {map[string]string{
			".platform.app.yaml": "hooks: {build: !include {type: string, path: missing}}\nweb: !archive x\nstack: !odd [a]\n" +
				"crons: {c: {spec: '0 5 * * *', cmd: x}}"}, ".platform.app.yaml", "x", "."},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, tt.files)
			app, err := readApp(t, filepath.Join(dir, tt.read), "")
			require.NoError(t, err)
			require.NoError(t, app.Problem)
			require.Len(t, app.Crons, 1)
			require.NoError(t, app.Crons[0].Problem)
			assert.Equal(t, "0 5 * * *", app.Crons[0].Spec)
			assert.Equal(t, tt.start, app.Crons[0].Start)
			assert.Equal(t, filepath.Join(dir, tt.dir), app.Dir)
		})
	}
}

func TestIncludeIsRefused(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"secret": "c: {}"})
	dir := tree(t, map[string]string{
		".git/HEAD": "", "dir/x": "", "big": strings.Repeat("#", 1<<20+1), "self.yaml": "!include self.yaml",
		"ping.yaml": "{a: 1, <<: !include pong.yaml}", "pong.yaml": "<<: !include ping.yaml", "bad.yaml": "a: 'b", "latin1": "\xe4",
		"no.yaml": "text", "crons.yaml": "{spec: '0 5 * * *', cmd: x, flavour: y}",
	})
	for i := range 40 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("deep%d.yaml", i)), fmt.Appendf(nil, "!include deep%d.yaml", i+1), 0o600))
	}
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	require.NoError(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "link")))
	cases := map[string]struct{ value, want string }{
		"missing":               {"!include a.yaml", `4:10: cron "c": !include a.yaml: there is no such file`},
		"climbing out":          {"!include ../../../../../../../../../../etc/passwd", `4:10: cron "c": !include ../../../../../../../../../../etc/passwd: it lies outside of the repository`},
		"absolute":              {"!include /etc/passwd", `4:10: cron "c": !include needs a path relative to the app's directory`},
		"a link that leads out": {"!include link", `4:10: cron "c": !include link: cannot be read: path escapes from parent`},
		"a directory":           {"!include dir", `4:10: cron "c": !include dir: it is a directory, not a file`},
		"a named pipe":          {"!include pipe", `4:10: cron "c": !include pipe: it is not a regular file`},
		"too large":             {"!include big", `4:10: cron "c": !include big: it is larger than 1 MiB`},
		"itself":                {"!include self.yaml", `self.yaml:1:1: cron "c": !include self.yaml: the file includes itself`},
		"each other":            {"!include ping.yaml", `pong.yaml:1:5: cron "c": !include ping.yaml: the file includes itself`},
		"too deep":              {"!include deep0.yaml", `deep31.yaml:1:1: cron "c": files that include files, more than 32 deep`},
		"not YAML":              {"!include bad.yaml", `bad.yaml:1:4: cron "c": not valid YAML: a quote opens here and is never closed | close it on the same line, or double a quote that belongs to the text`},
		"text, not a map":       {"!include no.yaml", `no.yaml:1:1: cron "c": a cron must be a map, not the text "text"`},
		"a problem inside":      {"!include crons.yaml", `crons.yaml:1:29: cron "c": unknown key "flavour" | the keys are spec, timezone, fire, commands, cmd, environment_types, timeout, shutdown_timeout, overlap, retries, missed, missed_within, enabled, env, notify`},
		"unknown type":          {"!include {type: json, path: a}", `4:10: cron "c": unknown type "json" of !include | the types are string, binary and yaml`},
		"unknown key":           {"!include {paht: a}", `4:20: cron "c": unknown key "paht" of !include | the keys are type and path`},
		"no path":               {"!include {type: yaml}", `4:10: cron "c": !include needs a path relative to the app's directory`},
		"a list":                {"!include [a]", `4:10: cron "c": !include needs a path relative to the app's directory`},
		"no text":               {"{spec: '0 5 * * *', cmd: !include {type: string, path: latin1}}", `4:35: cron "c": !include latin1: the file is not UTF-8 text`},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".app.yaml")
			require.NoError(t, os.WriteFile(file, []byte(oneCron("")[:len(oneCron(""))-len("{  }\n")]+tt.value+"\n"), 0o600))
			app, err := readApp(t, file, "")
			assert.Nil(t, app)
			found := problems(t, err)
			require.NotEmpty(t, found)
			assert.Equal(t, tt.want, strings.TrimPrefix(found[0], filepath.Base(file)+":"))
		})
	}
}

func TestIncludedFilesAreReadOnceAndBoundedTogether(t *testing.T) {
	t.Parallel()
	files := map[string]string{"c.yaml": "{spec: '0 5 * * *', cmd: x}"}
	var same, many strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&same, "c%d: !include c.yaml\n", i)
	}
	for i := range 12 {
		files[fmt.Sprintf("s%d", i)] = strings.Repeat("x", 1<<20-1)
		fmt.Fprintf(&many, "c%d: {spec: '0 5 * * *', cmd: !include {type: string, path: s%d}}\n", i, i)
	}
	files["same.yaml"], files["many.yaml"] = agentCrons(same.String()), agentCrons(many.String())
	dir := tree(t, files)
	app, err := readApp(t, filepath.Join(dir, "same.yaml"), "")
	require.NoError(t, err)
	assert.Len(t, app.Crons, 3000)
	_, err = readApp(t, filepath.Join(dir, "many.yaml"), "")
	var all appconfig.Errors
	require.ErrorAs(t, err, &all)
	assert.Contains(t, all[0].Message, "the files included here are larger than 8 MiB together")
}
