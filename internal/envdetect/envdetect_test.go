package envdetect_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/envdetect"
)

// secret is in every variable that may hold one, and must come out nowhere.
const secret = "hunter2-secret"

type vars map[string]string

func (v vars) lookup(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}

// and returns v with other variables put over it; an empty value takes one out.
func (v vars) and(others vars) vars {
	all := maps.Clone(v)
	maps.Copy(all, others)
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// container is what a container has at run time.
func container() vars {
	return vars{
		"PLATFORM_APPLICATION_NAME": "app", "PLATFORM_BRANCH": "main", "PLATFORM_ENVIRONMENT": "main-bvxea6i",
		"PLATFORM_ENVIRONMENT_TYPE": "production", "PLATFORM_PROJECT": "abcdefgh1234567", "PLATFORM_APP_DIR": "/app",
		"PLATFORM_DOCUMENT_ROOT": "/app/web", "PLATFORM_TREE_ID": "0123", "PLATFORM_PROJECT_ENTROPY": secret,
		"PLATFORM_APPLICATION":   encoded(`{"name":"app","variables":{"env":{"PASSWORD":"` + secret + `"}},"mounts":{"/.cronagent":{"source":"local","source_path":"cronagent"}}}`),
		"PLATFORM_VARIABLES":     encoded(`{"cronagent:timezone":"Europe/Paris","x:password":"` + secret + `"}`),
		"PLATFORM_RELATIONSHIPS": encoded(`{"database":[{"password":"` + secret + `","query":[]}]}`),
		"PLATFORMSH_CLI_TOKEN":   secret,
	}
}

// build is what a container has while it is built.
func build() vars {
	return container().and(vars{
		"PLATFORM_BRANCH": "", "PLATFORM_ENVIRONMENT": "", "PLATFORM_ENVIRONMENT_TYPE": "", "PLATFORM_DOCUMENT_ROOT": "",
		"PLATFORM_RELATIONSHIPS": "", "PLATFORM_OUTPUT_DIR": "/app", "PLATFORM_CACHE_DIR": "/cache", "CI": "true",
	})
}

// detect detects, and looks for the secret in all that comes of it.
func detect(t *testing.T, v vars, opts envdetect.Options) (envdetect.Environment, error) {
	t.Helper()
	e, err := envdetect.Detect(v.lookup, opts)
	out, jsonErr := json.Marshal(e)
	require.NoError(t, jsonErr)
	text := string(out) + strings.Join(e.Warnings, "\n")
	if problem, ok := err.(*envdetect.Error); ok {
		text += problem.Error() + problem.Hint
	} else {
		require.NoError(t, err, "every error is an *Error")
	}
	assert.NotContains(t, text, secret)
	assert.NotContains(t, text, base64.StdEncoding.EncodeToString([]byte(secret)))
	return e, err
}

func found(t *testing.T, v vars, opts envdetect.Options) envdetect.Environment {
	t.Helper()
	e, err := detect(t, v, opts)
	require.NoError(t, err)
	return e
}

// refused is the error of a variable that cannot be understood.
func refused(t *testing.T, v vars, opts envdetect.Options) *envdetect.Error {
	t.Helper()
	e, err := detect(t, v, opts)
	problem, ok := err.(*envdetect.Error)
	require.True(t, ok, "want an error")
	assert.Zero(t, e, "nothing is half detected")
	assert.Contains(t, problem.Error(), problem.Variable+": ")
	return problem
}

func TestPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		vars         vars
		phase        envdetect.Phase
		mode, reason string
	}{
		"run time":                                {container(), envdetect.Runtime, "grid", "PLATFORM_APPLICATION_NAME and PLATFORM_BRANCH are set"},
		"run time with little else":               {vars{"PLATFORM_APPLICATION_NAME": "app", "PLATFORM_BRANCH": "main"}, envdetect.Runtime, "grid", "are set"},
		"Dedicated Gen 2":                         {container().and(vars{"PLATFORM_MODE": "enterprise", "PLATFORM_CLUSTER": "x", "PLATFORM_BRANCH": "production"}), envdetect.Runtime, "dedicated-gen2", "are set"},
		"another mode is none":                    {container().and(vars{"PLATFORM_MODE": "odd"}), envdetect.Runtime, "grid", "are set"},
		"build, where CI is set too":              {build(), envdetect.Build, "grid", "PLATFORM_BRANCH is not"},
		"build that knows but its tree":           {vars{"PLATFORM_PROJECT": "p", "PLATFORM_TREE_ID": "0"}, envdetect.Build, "grid", "PLATFORM_BRANCH is not"},
		"an empty branch is none":                 {build().and(vars{"PLATFORM_BRANCH": " "}), envdetect.Build, "grid", "PLATFORM_BRANCH is not"},
		"nothing set":                             {vars{}, envdetect.Local, "", "not both set"},
		"CI with a project only":                  {vars{"CI": "true", "PLATFORM_PROJECT": "p", "PLATFORMSH_CLI_TOKEN": secret}, envdetect.Local, "ci", "not both set"},
		"CI with project and branch":              {vars{"CI": "true", "PLATFORM_PROJECT": "p", "PLATFORM_BRANCH": "main"}, envdetect.Local, "ci", "not both set"},
		"a project only":                          {vars{"PLATFORM_PROJECT": "p"}, envdetect.Local, "", "not both set"},
		"container variables without a project":   {build().and(vars{"PLATFORM_PROJECT": ""}), envdetect.Local, "ci", "not both set"},
		"DDEV imitates a build":                   {build().and(vars{"IS_DDEV_PROJECT": "true"}), envdetect.Local, "ddev", "IS_DDEV_PROJECT"},
		"DDEV that imitates a container":          {container().and(vars{"IS_DDEV_PROJECT": "1"}), envdetect.Local, "ddev", "IS_DDEV_PROJECT"},
		"DDEV that is off":                        {container().and(vars{"IS_DDEV_PROJECT": "False"}), envdetect.Runtime, "grid", "are set"},
		"the machine name stands for no branch":   {vars{"PLATFORM_APPLICATION_NAME": "app", "PLATFORM_ENVIRONMENT": "main-bvxea6i"}, envdetect.Local, "", "not both set"},
		"a branch without an app is no container": {container().and(vars{"PLATFORM_APPLICATION_NAME": ""}), envdetect.Local, "", "not both set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := found(t, test.vars, envdetect.Options{})
			assert.Equal(t, test.phase, e.Phase)
			assert.Equal(t, test.mode, e.Mode)
			assert.Equal(t, test.phase != envdetect.Local, e.Platform)
			assert.Contains(t, e.Reasons["phase"], test.reason)
			assert.Equal(t, test.vars["PLATFORM_PROJECT"], e.Project)
			if test.phase != envdetect.Runtime {
				assert.False(t, e.Production)
				assert.Empty(t, e.ConfigSource, "the configuration is in files")
			}
		})
	}
}

func TestContainer(t *testing.T) {
	t.Parallel()
	e := found(t, container(), envdetect.Options{})
	assert.Equal(t, "main", e.ID, "not the machine name")
	assert.Equal(t, "abcdefgh1234567", e.Project)
	assert.Equal(t, "app", e.App)
	assert.Empty(t, e.Worker)
	assert.Equal(t, "/app", e.AppDir)
	assert.Equal(t, "PLATFORM_APPLICATION", e.ConfigSource)
	assert.Contains(t, string(e.Application), `"name":"app"`)
	assert.Equal(t, `"Europe/Paris"`, string(e.Variables["cronagent:timezone"]))
	assert.Equal(t, "PLATFORMSH_CLI_TOKEN", e.TokenVariable)
	assert.Empty(t, e.Warnings)

	out, err := json.Marshal(e)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(out, &fields))
	for _, name := range strings.Fields("platform phase vendor project environment environment_type production app worker app_dir config_source token_variable api_url auth_url state_dir ledger reasons") {
		assert.Contains(t, fields, name)
	}
	assert.Equal(t, "upsun", fields["vendor"])
	assert.Equal(t, "runtime", fields["phase"])
	for name := range e.Reasons {
		assert.Contains(t, fields, name, "a reason is for a fact")
		assert.NotEmpty(t, e.Reasons[name], name)
	}

	worker := found(t, container().and(vars{"PLATFORM_APPLICATION_NAME": "my-app--queue--2"}), envdetect.Options{})
	assert.Equal(t, "my-app", worker.App)
	assert.Equal(t, "queue--2", worker.Worker)
}

func TestProduction(t *testing.T) {
	t.Parallel()
	untyped := container().and(vars{"PLATFORM_ENVIRONMENT_TYPE": ""})
	for name, test := range map[string]struct {
		vars       vars
		kind       string
		production bool
		reason     string
		warns      bool
	}{
		"by its type":                        {container(), "production", true, "PLATFORM_ENVIRONMENT_TYPE", false},
		"staging is not":                     {container().and(vars{"PLATFORM_ENVIRONMENT_TYPE": "staging"}), "staging", false, "the environment type is staging", false},
		"the word counts as it is":           {container().and(vars{"PLATFORM_ENVIRONMENT_TYPE": "Production"}), "Production", false, "the environment type is Production", false},
		"branch main alone is not":           {untyped, "", false, "PLATFORM_ENVIRONMENT_TYPE is not set", true},
		"by CRONAGENT_PRODUCTION_BRANCH":     {untyped.and(vars{"CRONAGENT_PRODUCTION_BRANCH": "main"}), "production", true, "CRONAGENT_PRODUCTION_BRANCH", false},
		"another branch than that":           {untyped.and(vars{"CRONAGENT_PRODUCTION_BRANCH": "master"}), "", false, "PLATFORM_ENVIRONMENT_TYPE is not set", true},
		"branches have a case":               {untyped.and(vars{"CRONAGENT_PRODUCTION_BRANCH": "Main"}), "", false, "PLATFORM_ENVIRONMENT_TYPE is not set", true},
		"the type wins":                      {container().and(vars{"PLATFORM_ENVIRONMENT_TYPE": "development", "CRONAGENT_PRODUCTION_BRANCH": "main"}), "development", false, "the environment type is development", false},
		"not in a build, whatever it says":   {build().and(vars{"PLATFORM_ENVIRONMENT_TYPE": "production"}), "production", false, "the phase is build", false},
		"not in a build without branch":      {build().and(vars{"CRONAGENT_PRODUCTION_BRANCH": "main"}), "", false, "the phase is build", false},
		"not in DDEV":                        {container().and(vars{"IS_DDEV_PROJECT": "true"}), "local", false, "the phase is local", false},
		"not on a laptop":                    {vars{"PLATFORM_ENVIRONMENT_TYPE": "production", "PLATFORM_BRANCH": "main"}, "local", false, "the phase is local", false},
		"not by an empty production branch":  {vars{"PLATFORM_APPLICATION_NAME": "a", "PLATFORM_BRANCH": "x", "CRONAGENT_PRODUCTION_BRANCH": " "}, "", false, "not set", true},
		"Dedicated Gen 2 by its type as all": {container().and(vars{"PLATFORM_MODE": "enterprise", "PLATFORM_BRANCH": "production", "PLATFORM_ENVIRONMENT_TYPE": ""}), "", false, "not set", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := found(t, test.vars, envdetect.Options{})
			assert.Equal(t, test.kind, e.Type)
			assert.Equal(t, test.production, e.Production)
			assert.Contains(t, e.Reasons["production"], test.reason)
			assert.Equal(t, test.warns, strings.Contains(strings.Join(e.Warnings, "\n"), "set CRONAGENT_PRODUCTION_BRANCH"))
		})
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"main", "feature/new menu#1", "100%", "é", "...", ".hidden", "pr-123", " main"} {
		assert.Equal(t, id, found(t, container().and(vars{"PLATFORM_BRANCH": id}), envdetect.Options{}).ID, "as it is")
		require.NoError(t, envdetect.CheckID("--environment", id))
	}
	for _, id := range []string{".", "..", "a\nb", "a\x00", "\x7f"} {
		for _, variable := range []string{"PLATFORM_BRANCH", "PLATFORM_PROJECT"} {
			e := refused(t, container().and(vars{variable: id}), envdetect.Options{})
			assert.Equal(t, variable, e.Variable)
			assert.Contains(t, e.Problem, "cannot be an id")
		}
		err := envdetect.CheckID("--environment", id)
		require.Error(t, err)
		assert.Contains(t, err.Error(), "--environment: ")
	}
}

func TestVariablesThatHoldJSON(t *testing.T) {
	t.Parallel()
	for _, variable := range []string{"PLATFORM_APPLICATION", "PLATFORM_VARIABLES", "PLATFORM_RELATIONSHIPS"} {
		for name, test := range map[string]struct{ value, problem string }{
			"no base64":           {secret + "!", "is not base64"},
			"no padding":          {"e30", "is not base64"},
			"no JSON":             {encoded(`{"a": ` + secret + `}`), "is not JSON: byte 7: "},
			"cut JSON":            {encoded(`{"a":"` + secret), "is not JSON"},
			"more than JSON":      {encoded(`{} {}`), "is not JSON"},
			"a string":            {encoded(`"` + secret + `"`), "does not hold a JSON object"},
			"a list with members": {encoded(`["` + secret + `"]`), "does not hold a JSON object"},
			"null":                {encoded(`null`), "does not hold a JSON object"},
			"nothing but space":   {encoded(" \n"), "is not JSON"},
		} {
			t.Run(variable+" with "+name, func(t *testing.T) {
				t.Parallel()
				e := refused(t, container().and(vars{variable: test.value}), envdetect.Options{})
				assert.Equal(t, variable, e.Variable)
				assert.Contains(t, e.Problem, test.problem)
				assert.Contains(t, e.Hint, "base64 -d")
			})
		}
		for _, value := range []string{"[]", " [ ]\n", "{}", "\n{ }"} {
			e := found(t, container().and(vars{variable: encoded(value)}), envdetect.Options{})
			if variable == "PLATFORM_VARIABLES" {
				assert.NotNil(t, e.Variables, "an empty list is an empty map")
				assert.Empty(t, e.Variables)
			}
		}
		found(t, container().and(vars{variable: ""}), envdetect.Options{})
	}
	e := found(t, container().and(vars{"PLATFORM_VARIABLES": "", "PLATFORM_APPLICATION": ""}), envdetect.Options{})
	assert.Nil(t, e.Variables)
	assert.Nil(t, e.Application)
	assert.Empty(t, e.ConfigSource)
	assert.Equal(t, "to be looked for in files", e.Reasons["config_source"])
}

func TestStateDirectory(t *testing.T) {
	t.Parallel()
	mounts := func(json string) vars {
		return container().and(vars{"PLATFORM_APPLICATION": encoded(`{"mounts":` + json + `}`)})
	}
	without := mounts(`[]`)
	readOnly := envdetect.Options{Writable: func(string) bool { return false }}
	for name, test := range map[string]struct {
		vars    vars
		opts    envdetect.Options
		dir     string
		lasts   bool
		reason  string
		problem string
	}{
		"the mount":                      {vars: container(), dir: "/app/.cronagent", lasts: true, reason: "the mount .cronagent"},
		"the mount, spelled otherwise":   {vars: mounts(`{".cronagent/":{"source":"local"}}`), dir: "/app/.cronagent", lasts: true, reason: "the mount .cronagent"},
		"the mount, an old string":       {vars: mounts(`{"/.cronagent":"shared:files/x"}`), dir: "/app/.cronagent", lasts: true, reason: "the mount .cronagent"},
		"a temporary mount":              {vars: mounts(`{"/.cronagent":{"source":"tmp"}}`), dir: "/app/.cronagent", reason: "the mount .cronagent"},
		"a mount below it is not it":     {vars: mounts(`{"/.cronagent/x":{"source":"local"}}`), dir: "/tmp/cronagent", reason: "there is no mount"},
		"the mount is not writable":      {vars: container(), opts: readOnly, dir: "/app/.cronagent", lasts: true, reason: "the mount .cronagent", problem: "cannot be written to here"},
		"a mount of the network":         {vars: mounts(`{"/.cronagent":{"source":"storage"}}`), dir: "/app/.cronagent", reason: "the mount .cronagent", problem: "has the source storage"},
		"a mount that apps share":        {vars: mounts(`{"/.cronagent":{"source":"service","service":"files"}}`), dir: "/app/.cronagent", reason: "the mount .cronagent", problem: "has the source service"},
		"a mount of one instance":        {vars: mounts(`{"/.cronagent":{"source":"instance"}}`), dir: "/app/.cronagent", lasts: true, reason: "the mount .cronagent"},
		"asked for in a network mount":   {vars: mounts(`{"/var":{"source":"storage"}}`).and(vars{"CRONAGENT_STATE_DIR": "/app/var/agent"}), dir: "/app/var/agent", reason: "CRONAGENT_STATE_DIR", problem: "over a network"},
		"no mount":                       {vars: without, dir: "/tmp/cronagent", reason: "there is no mount .cronagent"},
		"mounts of another shape":        {vars: mounts(`"x"`), dir: "/tmp/cronagent", reason: "there is no mount .cronagent"},
		"no app directory":               {vars: container().and(vars{"PLATFORM_APP_DIR": ""}), dir: "/tmp/cronagent", reason: "there is no mount .cronagent"},
		"another temporary folder":       {vars: without.and(vars{"TMPDIR": "/var/tmp/"}), dir: "/var/tmp/cronagent", reason: "there is no mount"},
		"a relative temporary folder":    {vars: without.and(vars{"TMPDIR": "tmp"}), dir: "/tmp/cronagent", reason: "there is no mount"},
		"asked for":                      {vars: container().and(vars{"CRONAGENT_STATE_DIR": "/srv/state"}), dir: "/srv/state", reason: "CRONAGENT_STATE_DIR"},
		"asked for, not writable":        {vars: container().and(vars{"CRONAGENT_STATE_DIR": "/srv/state"}), opts: readOnly, dir: "/srv/state", reason: "CRONAGENT_STATE_DIR"},
		"asked for in the mount":         {vars: container().and(vars{"CRONAGENT_STATE_DIR": "/app/.cronagent/x"}), dir: "/app/.cronagent/x", lasts: true, reason: "CRONAGENT_STATE_DIR"},
		"asked for in another mount":     {vars: mounts(`{"/var":{"source":"local"}}`).and(vars{"CRONAGENT_STATE_DIR": "/app/var/agent"}), dir: "/app/var/agent", lasts: true, reason: "CRONAGENT_STATE_DIR"},
		"asked for beside a mount":       {vars: mounts(`{"/var":{"source":"local"}}`).and(vars{"CRONAGENT_STATE_DIR": "/app/variable"}), dir: "/app/variable", reason: "CRONAGENT_STATE_DIR"},
		"asked for in a temporary mount": {vars: mounts(`{"/var":{"source":"temporary"}}`).and(vars{"CRONAGENT_STATE_DIR": "/app/var"}), dir: "/app/var", reason: "CRONAGENT_STATE_DIR"},
		"asked for on a laptop":          {vars: vars{"CRONAGENT_STATE_DIR": "/srv/state"}, dir: "/srv/state", lasts: true, reason: "CRONAGENT_STATE_DIR"},
		"a relative path":                {vars: container().and(vars{"CRONAGENT_STATE_DIR": "state"}), dir: "state", reason: "CRONAGENT_STATE_DIR", problem: "must be an absolute path"},
		"under the document root":        {vars: container().and(vars{"CRONAGENT_STATE_DIR": "/app/web/../web/state"}), dir: "/app/web/../web/state", reason: "CRONAGENT_STATE_DIR", problem: "under the document root /app/web,"},
		"the document root itself":       {vars: container().and(vars{"CRONAGENT_STATE_DIR": "/app/web/"}), dir: "/app/web/", reason: "CRONAGENT_STATE_DIR", problem: "under the document root"},
		"out of the document root again": {vars: container().and(vars{"CRONAGENT_STATE_DIR": "/app/web/../state"}), dir: "/app/web/../state", reason: "CRONAGENT_STATE_DIR"},
		"beside the document root":       {vars: container().and(vars{"CRONAGENT_STATE_DIR": "/app/web2"}), dir: "/app/web2", reason: "CRONAGENT_STATE_DIR"},
		"two dots begin a name":          {vars: container().and(vars{"CRONAGENT_STATE_DIR": "/app/web/..state"}), dir: "/app/web/..state", reason: "CRONAGENT_STATE_DIR", problem: "under the document root"},
		"the mount under a root /app":    {vars: container().and(vars{"PLATFORM_DOCUMENT_ROOT": "/app"}), dir: "/app/.cronagent", lasts: true, reason: "the mount .cronagent", problem: "under the document root"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := found(t, test.vars, test.opts)
			assert.Equal(t, test.dir, e.StateDir)
			assert.Equal(t, test.lasts, e.StateLasts)
			assert.Contains(t, e.Reasons["state_dir"], test.reason)
			assert.Contains(t, e.StateProblem, test.problem)
			assert.Equal(t, test.problem == "", e.StateProblem == "")
			warned := e.Phase == envdetect.Runtime && !test.lasts && test.problem == ""
			assert.Equal(t, warned, e.StateWarning != "", e.StateWarning)
		})
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		relationships string
		want          []string
	}{
		"each endpoint's":            {`{"db":[{"username":"main","password":"s3cr3t-one","path":"main"},{"password":"s3cr3t-two"}],"x":[{"password":"s3cr3t-one"}]}`, []string{"s3cr3t-one", "s3cr3t-two"}},
		"none, null, empty, short":   {`{"a":[{"username":null,"password":null,"query":[]}],"b":[{"password":""}],"c":[{"password":"main"}],"d":[{"password":"1234567"}]}`, nil},
		"not a user's, nor a path's": {`{"a":[{"username":"longusername","password":"longusername","path":"p"}],"b":[{"password":"longdatabase","path":"longdatabase"}]}`, nil},
		"not the branch":             {`{"a":[{"password":"feature/menu"}]}`, nil},
		"another shape":              {`{"a":{"password":"s3cr3t-one"},"b":[1,"x"],"c":[{"password":["s3cr3t-one"]}],"d":[{"password":"s3cr3t-two","username":7}]}`, []string{"s3cr3t-two"}},
		"no relationships":           {`[]`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := found(t, container().and(vars{"PLATFORM_RELATIONSHIPS": encoded(test.relationships), "PLATFORM_BRANCH": "feature/menu"}), envdetect.Options{})
			assert.ElementsMatch(t, test.want, e.Passwords)
		})
	}
}
