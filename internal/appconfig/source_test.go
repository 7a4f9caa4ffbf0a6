package appconfig_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
)

const single = "name: app\n"

func TestFindTakesTheFirstOfADirectory(t *testing.T) {
	t.Parallel()
	const several, upsun = "one: {type: php}\n", "applications: {two: {type: php}}\n"
	cases := map[string]struct {
		files map[string]string
		from  string
		apps  []string
		file  string
	}{
		"the app's own file first":                   {map[string]string{".platform.app.yaml": single, ".platform/applications.yaml": several, ".upsun/a.yaml": upsun}, ".", []string{"app"}, ".platform.app.yaml"},
		"then applications.yaml":                     {map[string]string{".platform/applications.yaml": several, ".upsun/a.yaml": upsun}, ".", []string{"one"}, ".platform/applications.yaml"},
		"then .upsun":                                {map[string]string{".upsun/a.yaml": upsun, ".platform/routes.yaml": ""}, ".", []string{"two"}, ".upsun/a.yaml"},
		"the nearest directory first":                {map[string]string{"a/b/.platform.app.yaml": single, ".platform/applications.yaml": several}, "a/b", []string{"app"}, "a/b/.platform.app.yaml"},
		"upwards":                                    {map[string]string{"a/b/c/x": "", ".platform/applications.yaml": several}, "a/b/c", []string{"one"}, ".platform/applications.yaml"},
		"past a directory that is in its name's way": {map[string]string{"a/.upsun": "", "a/.platform": "", ".upsun/a.yaml": upsun}, "a", []string{"two"}, ".upsun/a.yaml"},
		"up to the repository's top":                 {map[string]string{"repo/.git/HEAD": "", "repo/a/x": "", "repo/.upsun/a.yaml": upsun}, "repo/a", []string{"two"}, "repo/.upsun/a.yaml"},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := filepath.EvalSymlinks(tree(t, tt.files))
			require.NoError(t, err)
			source, err := appconfig.Find(filepath.Join(dir, tt.from))
			require.NoError(t, err)
			assert.Equal(t, tt.apps, source.Apps())
			app, err := source.App(appconfig.Options{})
			require.NoError(t, err)
			assert.Equal(t, filepath.Join(dir, tt.file), app.File)
		})
	}
}

func TestFindFindsNothing(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{".platform.app.yaml": single, "repo/.git/HEAD": "", "repo/.upsun/x.yml": "", "other/.git/HEAD": "", "other/api/.platform.app.yaml": single})
	source, err := appconfig.Find(filepath.Join(dir, "repo"))
	assert.Nil(t, source)
	require.ErrorIs(t, err, fs.ErrNotExist, "a repository's top is not left")
	const none = ": no app configuration is here or above: neither .platform.app.yaml nor .platform/applications.yaml nor .upsun/*.yaml"
	assert.Equal(t, []string{dir + "/repo" + none + " | go to the app's directory, or name the file with --file"}, problems(t, err))

	_, err = appconfig.Find(filepath.Join(dir, "other"))
	assert.Equal(t, []string{dir + "/other" + none + " | there are some below: name one with --file, for example " + dir + "/other/api/.platform.app.yaml"}, problems(t, err))

	_, err = appconfig.Find(filepath.Join(dir, "nowhere"))
	assert.Equal(t, []string{dir + "/nowhere: there is no such file"}, problems(t, err))
}

// Not parallel: it changes the working directory.
func TestPositionsAreAsAPersonWouldTypeThem(t *testing.T) {
	dir := tree(t, map[string]string{
		".git/HEAD":                   "",
		".platform/applications.yaml": "app: { type: php, source: { root: backend }, crons: !include crons.yaml }\n",
		"backend/crons.yaml":          "c: { spec: x, cmd: y }\n",
		"backend/deep/er/x":           "",
		"single/.platform.app.yaml":   "name: a\ncrons: {c: {cmd: y}}\n",
	})
	cases := []struct{ cwd, find, read, file, position, appDir string }{
		{cwd: ".", find: ".", file: ".platform/applications.yaml", position: "backend/crons.yaml:1:12", appDir: "backend"},
		{cwd: ".", find: "", file: ".platform/applications.yaml", position: "backend/crons.yaml:1:12", appDir: "backend"},
		{cwd: "backend/deep", find: "er", file: "../../.platform/applications.yaml", position: "../crons.yaml:1:12", appDir: ".."},
		{cwd: ".", read: ".platform/applications.yaml", file: ".platform/applications.yaml", position: "backend/crons.yaml:1:12", appDir: "backend"},
		{cwd: ".platform", read: "applications.yaml", file: "applications.yaml", position: "../backend/crons.yaml:1:12", appDir: "../backend"},
		{cwd: "backend", read: "../.platform/applications.yaml", file: "../.platform/applications.yaml", position: "crons.yaml:1:12", appDir: "."},
		{cwd: "single", read: "./.platform.app.yaml", file: "./.platform.app.yaml", position: "./.platform.app.yaml:2:9", appDir: "."},
		{cwd: "single", find: ".", file: ".platform.app.yaml", position: ".platform.app.yaml:2:9", appDir: "."},
	}
	for _, tt := range cases {
		t.Run(tt.cwd+" "+tt.find+tt.read, func(t *testing.T) {
			t.Chdir(filepath.Join(dir, tt.cwd))
			var source *appconfig.Source
			var err error
			if tt.read != "" {
				source, err = appconfig.ReadFile(tt.read)
			} else {
				source, err = appconfig.Find(tt.find)
			}
			require.NoError(t, err)
			app, err := source.App(appconfig.Options{})
			require.NoError(t, err)
			assert.Equal(t, tt.file, app.File)
			assert.Equal(t, tt.appDir, app.Dir)
			var found appconfig.Errors
			require.ErrorAs(t, app.Crons[0].Problem, &found)
			assert.Equal(t, tt.position, found[0].Position.String())
		})
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		name, text string
		apps       []string
	}{
		"map":                              {".platform/applications.yaml", "a: {type: php}\nb: {}\n", []string{"a", "b"}},
		"map with an app of any name":      {".platform/applications.yaml", "applications: {type: php}\ncrons: {type: php}\n", []string{"applications", "crons"}},
		"map with anchors apart":           {".platform/applications.yaml", ".base: &base {type: php}\na: {<<: *base}\n", []string{"a"}},
		"list":                             {".platform/applications.yaml", "- name: a\n- name: b\n  type: php\n", []string{"a", "b"}},
		"upsun":                            {".upsun/config.yaml", "applications: {a: {type: php}}\nservices: {db: {type: mariadb}}\n", []string{"a"}},
		"an app of the name applications":  {".upsun/config.yaml", "applications: {applications: {type: php}}\n", []string{"applications"}},
		"one app under any name":           {"x.yaml", "name: a\ntype: php\n", []string{"a"}},
		"one app without a name":           {"x.yaml", "crons: {a: {}}\n", []string{""}},
		"one app with nothing but our key": {"x.yaml", "variables: {cronagent: {}}\n", []string{""}},
		"several apps under any name":      {"x.yaml", "a: {type: php}\nb: {type: ruby}\n", []string{"a", "b"}},
		"upsun under any name":             {"x.yaml", "applications: {a: {type: php}}\n", []string{"a"}},
		"a list under any name":            {"x.yaml", "[{name: a}]", []string{"a"}},
		"a BOM and CRLF":                   {".platform.app.yaml", "\ufeffname: a\r\ncrons:\r\n  c:\r\n    spec: '0 5 * * *'\r\n    cmd: x\r\n", []string{"a"}},
		"end marks":                        {".platform.app.yaml", "%YAML 1.1\n---\nname: a\n...\n---\n", []string{"a"}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, err := appconfig.ReadFile(filepath.Join(tree(t, map[string]string{tt.name: tt.text}), tt.name))
			require.NoError(t, err)
			assert.Equal(t, tt.apps, source.Apps())
			for _, app := range tt.apps {
				_, err := source.App(appconfig.Options{App: app})
				assert.NoError(t, err)
			}
		})
	}
}

func TestFormsAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		name, text string
		want       []string
	}{
		"empty":                    {".platform.app.yaml", "", []string{"1:1: the file is empty, or all of it is commented out"}},
		"only comments":            {".platform.app.yaml", "# a\n#b: c\n", []string{"1:1: the file is empty, or all of it is commented out"}},
		"text":                     {".platform.app.yaml", "hello", []string{`1:1: the configuration must be a map, not the text "hello"`}},
		"a second document":        {".platform.app.yaml", "a: b\n---\nc: d\n", []string{"3:1: a second YAML document begins here; a configuration is one document | remove the line --- above it"}},
		"a list without names":     {".platform/applications.yaml", "- type: php\n- name: [a]\n- name: b\n- name: b\n- 5\n", []string{"applications.yaml:1:3: this app has no name | add name: to it", "applications.yaml:2:9: name must be a string, not a list", `applications.yaml:4:9: the app "b" is there twice`, "applications.yaml:5:3: an app must be a map, not the number 5"}},
		"an app twice":             {".platform/applications.yaml", "a: {type: php}\na: {type: php}\n", []string{`applications.yaml:2:1: the configuration has "a" twice, first on line 1 | remove one of them`}},
		"applications as a string": {".upsun/x.yaml", "applications: x\n", []string{`x.yaml:1:15: applications must be a map, not the text "x"`}},
		"an app that is a list":    {".upsun/x.yaml", "applications: {a: []}\n", []string{`x.yaml:1:19: the app must be a map, not a list`}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readApp(t, filepath.Join(tree(t, map[string]string{tt.name: tt.text}), tt.name), "")
			assert.Equal(t, tt.want, problems(t, err))
		})
	}
	dir := tree(t, map[string]string{".upsun/x.yaml": "services: {}\n"})
	_, err := appconfig.Find(dir)
	hint := " | write applications: and below it the name of the app, with its type and its crons"
	assert.Equal(t, []string{"x.yaml:1:1: no app is configured: there is no key applications with an app in it" + hint}, problems(t, err))
	dir = tree(t, map[string]string{".upsun/x.yaml": "services: {}\n", ".upsun/y.yaml": "applicatoins: {}\n"})
	_, err = appconfig.Find(dir)
	assert.Equal(t, []string{dir + "/.upsun: no app is configured: there is no key applications with an app in it | did you mean \"applications\"?" + strings.TrimPrefix(hint, " |")}, problems(t, err))
}

// TestBesideApps: routes and services in files of their own are sources without an app.
func TestBesideApps(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		".platform.app.yaml": "name: app\n", ".platform/routes.yaml": "'https://{default}/': { type: upstream, upstream: 'app:http' }\n", ".platform/services.yaml": "# none\n",
	})
	all, err := appconfig.FindBelow(dir)
	require.NoError(t, err)
	var kinds []string
	for _, s := range all {
		kinds = append(kinds, s.Beside())
		assert.Equal(t, s.Beside() == "", len(s.Apps()) == 1)
		require.Len(t, s.Roots(), 1)
	}
	assert.Equal(t, []string{"", "routes", "services"}, kinds)
	_, err = readApp(t, filepath.Join(dir, ".platform", "routes.yaml"), "")
	assert.Equal(t, []string{"routes.yaml:1:1: this file configures routes, and no app | name the file of the app"}, problems(t, err))

	dir = tree(t, map[string]string{".platform/routes.yaml": "{}\n"})
	_, err = appconfig.FindBelow(dir)
	assert.ErrorIs(t, err, fs.ErrNotExist, "a repository with routes alone has no app")
}

func TestUpsunFilesAreMerged(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		".upsun/10.yaml":     "applications:\n  a: { type: php, crons: { first: { spec: '0 5 * * *', cmd: x } } }\n  b: { type: php }\n",
		".upsun/20.yaml":     "applications:\n  a: { type: php, crons: { second: { spec: '0 5 * * *', cmd: x } } }\n",
		".upsun/empty.yaml":  "# nothing\n",
		".upsun/routes.yaml": "routes: {}\n",
		".upsun/no.yml":      "applications: { c: { type: php } }\n",
		".upsun/sub/d.yaml":  "applications: { d: { type: php } }\n",
	})
	source, err := appconfig.Find(dir)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"a", "b"}, source.Apps())
	app, err := source.App(appconfig.Options{App: "a"})
	require.NoError(t, err)
	require.Len(t, app.Crons, 1, "the later file's app wins whole")
	assert.Equal(t, "second", app.Crons[0].Name)
	assert.Equal(t, "20.yaml", filepath.Base(app.File))
}

func TestAllBrokenFilesAreNamed(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{".upsun/a.yaml": "a: 'b\n", ".upsun/b.yaml": "applications: { a: {} }\n", ".upsun/c.yaml": "a: [\n"})
	_, err := appconfig.Find(dir)
	found := problems(t, err)
	require.Len(t, found, 2)
	assert.Contains(t, found[0], "a.yaml:1")
	assert.Contains(t, found[1], "c.yaml:")
}

func TestAppIsChosen(t *testing.T) {
	t.Parallel()
	two := filepath.Join(tree(t, map[string]string{".platform/applications.yaml": "api: {type: php}\nweb: {type: php}\n"}), ".platform/applications.yaml")
	one := filepath.Join(tree(t, map[string]string{".platform.app.yaml": single}), ".platform.app.yaml")
	nameless := filepath.Join(tree(t, map[string]string{".platform.app.yaml": "type: php\n"}), ".platform.app.yaml")
	cases := map[string]struct{ file, app, name, want string }{
		"by name":                 {two, "web", "web", ""},
		"by a worker's name":      {two, "web--queue", "web", ""},
		"the only one":            {one, "", "app", ""},
		"the only one by name":    {one, "app--queue", "app", ""},
		"one without a name":      {nameless, "x--queue", "x", ""},
		"several":                 {two, "", "", `applications.yaml: several apps are configured: "api", "web" | name one of them with --app`},
		"none of that name":       {two, "ap", "", `applications.yaml: no app is named "ap"; there is "api", "web" | did you mean: api; name one of them with --app`},
		"the only one is another": {one, "web", "", `.platform.app.yaml: no app is named "web"; there is "app" | name one of them with --app`},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := readApp(t, tt.file, tt.app)
			if tt.want != "" {
				require.Len(t, problems(t, err), 1)
				assert.Equal(t, tt.want, filepath.Base(strings.SplitN(problems(t, err)[0], ": ", 2)[0])+": "+strings.SplitN(problems(t, err)[0], ": ", 2)[1])
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.name, app.Name)
		})
	}
}

func TestSourceRootStaysInside(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"repo/.git/HEAD": "", "crons.yaml": "c: {spec: x}",
		"repo/.upsun/x.yaml": "applications: {a: {type: php, source: {root: ../..}, crons: !include crons.yaml}}\n"})
	app, err := readApp(t, filepath.Join(dir, "repo/.upsun/x.yaml"), "")
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "repo"), app.Dir)
	assert.ErrorContains(t, app.Problem, "!include crons.yaml: there is no such file")
}

func TestProblemsAreOfBothSchedulers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(tree(t, map[string]string{".platform.app.yaml": "name: app\ncrons: {p: {spec: '0 5 * * *'}, p: {}}\nvariables: {cronagent: {crons: {a: {spec: '0 5 * * *'}}}}\n"}), ".platform.app.yaml")
	source, err := appconfig.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, []string{
		`2:9: cron "p": it has no command | give it commands.start`,
		`2:9: cron "p": it is there twice, and which one counts is not known | remove one of them`,
		`2:33: crons has "p" twice, first on line 2 | remove one of them`,
		`3:33: cron "a": it has nothing to do | give it fire or commands.start`,
	}, problems(t, source.Problems(appconfig.Options{})))
	_, err = source.App(appconfig.Options{})
	require.Len(t, problems(t, err), 1)
	assert.Equal(t, []string{path + `: no app is named "x"; there is "app" | name one of them with --app`}, problems(t, source.Problems(appconfig.Options{App: "x"})))
}

func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"sub/x": "", "big.yaml": strings.Repeat("#", 4<<20+1)})
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	require.NoError(t, os.Symlink("pipe", filepath.Join(dir, ".platform.app.yaml")))
	for name, want := range map[string]string{
		"missing.yaml":       "there is no such file",
		"missing/x.yaml":     "there is no such file",
		"sub":                "it is a directory, not a file",
		"pipe":               "it is not a regular file",
		".platform.app.yaml": "it is not a regular file",
		"big.yaml":           "it is larger than 4 MiB",
		"sub/x/y":            "not a directory",
	} {
		_, err := appconfig.ReadFile(filepath.Join(dir, name))
		require.Error(t, err, name)
		assert.Contains(t, err.Error(), filepath.Join(dir, name)+": ", name)
		assert.Contains(t, err.Error(), want, name)
	}
}

func TestManyErrorsAreAllThereAndTheTextIsBounded(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("a: {}\n")
	for i := range 499 {
		text.WriteString("a" + strings.Repeat("x", i+1) + ": {}\n")
	}
	_, err := inFile(t, agentCrons(text.String()))
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	assert.Len(t, lines, 101)
	var all appconfig.Errors
	require.ErrorAs(t, err, &all)
	assert.Greater(t, len(all), 700)
}
