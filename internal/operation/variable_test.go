package operation_test

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/operation"
)

// words reads a command line: the command, then its words.
func words(t *testing.T, line ...string) (*operation.Operation, []string, operation.Values) {
	t.Helper()
	o, err := operation.Find(line[0])
	require.NoError(t, err)
	require.NotNil(t, o)
	fs := pflag.NewFlagSet(line[0], pflag.ContinueOnError)
	v := o.AllFlags(fs)
	require.NoError(t, fs.Parse(line[1:]))
	return o, fs.Args(), v
}

// TestRequests: what is sent, as the vendor's CLI was seen to send it.
func TestRequests(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"variable:create env:A -l e --value X --sensitive true":                                               `POST variables {"application_scope":[],"is_enabled":true,"is_inheritable":true,"is_json":false,"is_sensitive":true,"name":"env:A","value":"X"}`,
		"variable:create --name A --prefix env: -l environment --value X --inheritable 0 --visible-build yes": `POST variables {"application_scope":[],"is_enabled":true,"is_inheritable":false,"is_json":false,"is_sensitive":false,"name":"env:A","value":"X","visible_build":true}`,
		"variable:create a -l e --value X --visible-build false --visible-runtime true":                       `POST variables {"application_scope":[],"is_enabled":true,"is_inheritable":true,"is_json":false,"is_sensitive":false,"name":"a","value":"X"}`,
		"variable:create a --prefix none -l p --value 1 --json true --visible-runtime false --app-scope a,b":  `POST project variables {"application_scope":["a","b"],"is_json":true,"is_sensitive":false,"name":"a","value":"1","visible_build":true,"visible_runtime":false}`,
		"variable:create x:y --prefix env -l project --value 1":                                               `POST project variables {"application_scope":[],"is_json":false,"is_sensitive":false,"name":"x:y","value":"1","visible_build":true,"visible_runtime":true}`,
		"operation:run clear -A app":                                   `POST deployments/current/operations {"operation":"clear","service":"app"}`,
		"operation:run clear -A app --worker queue":                    `POST deployments/current/operations {"operation":"clear","service":"queue"}`,
		"backup:restore abc --target main":                             `POST backups/abc/restore {"environment_name":"main"}`,
		"backup:delete a/b":                                            `DELETE backups/a%2Fb `,
		"activity:cancel abc":                                          `POST project activities/abc/cancel `,
		"user:add r@example.com -r viewer -r production:admin":         `POST project invitations {"email":"r@example.com","permissions":[{"type":"production","role":"admin"}],"role":"viewer"}`,
		"user:add r@example.com -r a -r production:viewer":             `POST project invitations {"email":"r@example.com","role":"admin"}`,
		"user:add r@example.com -r %:c,production:none --force-invite": `POST project invitations {"email":"r@example.com","force":true,"permissions":[{"type":"staging","role":"contributor"},{"type":"development","role":"contributor"}],"role":"viewer"}`,
		"user:add r@example.com -r p:v -r production:a":                `POST project invitations {"email":"r@example.com","permissions":[{"type":"production","role":"admin"}],"role":"viewer"}`,
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			o, args, v := words(t, strings.Fields(line)...)
			r, err := o.Request(args, v)
			require.NoError(t, err)
			method := r.Method
			if method == "" {
				method = "POST"
			}
			if r.Scope == operation.OfProject {
				method += " project"
			}
			assert.Equal(t, want, method+" "+r.Path+" "+string(r.Body))
			assert.Equal(t, o.Name, r.Operation)
			if strings.Contains(line, "--value") {
				assert.Equal(t, v.Text("value"), r.Secret)
				assert.NotContains(t, r.String(), v.Text("value"))
			}
		})
	}
}

func TestMistakesShowNoValue(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"variable:create a -l e":                                          "needs a value",
		"variable:create a --value hunter2":                               "needs --level",
		"variable:create a -l x --value hunter2":                          "want project or environment",
		"variable:create -l e --value hunter2":                            "needs a name",
		"variable:create a --name b -l e --value hunter2":                 "twice",
		"variable:create a hunter2 -l e":                                  "2 words",
		"variable:create a hunter2 hunter2 -l e":                          "3 words",
		"variable:update a hunter2":                                       "changes nothing|2 words",
		"variable:create env:1 -l e --value hunter2":                      "a letter first",
		"variable:create env: -l e --value hunter2":                       "needs a name",
		"variable:create .. -l e --value hunter2":                         "cannot be",
		"variable:create " + strings.Repeat("x", 257) + " -l e --value h": "256 characters",
		"variable:create a -l e --json 1 --value {hunter2":                "not JSON",
		"variable:create a -l e --value hunter2\xff":                      "not UTF-8",
		"variable:create a -l p --enabled true --value hunter2":           "--enabled is for variables of an environment",
		"variable:create a -l e --inheritable maybe --value hunter2":      "--inheritable takes true or false",
		"user:add r@example.com":                                          "at least one environment type",
		"user:add r@example.com -r viewer":                                "at least one environment type",
		"user:add r@example.com -r admin -r viewer":                       "two roles for the project",
		"user:add r@example.com -r contributor":                           "want admin or viewer",
		"user:add r@example.com -r production:owner":                      `role "production:owner"`,
		"user:add r@example.com -r :admin":                                `role ":admin"`,
		"user:add r@example.com -r prod:":                                 `role "prod:"`,
		"user:add r.example.com -r admin":                                 "no email address",
		"user:add":                                                        "needs the name of the user",
		"backup:delete":                                                   "needs the name of the backup",
		"backup:delete ..":                                                "cannot be a name",
		"backup:restore a b":                                              `also given "b"`,
		"backup:restore a --resources-init x":                             "want backup, parent, default or minimum",
		"backup:restore a --resources-init backup --no-resources":         "exclude each other",
		"operation:run clear":                                             "--app NAME",
		"backup:list":                                                     "changes nothing",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			o, args, v := words(t, strings.Fields(line)...)
			_, err := o.Request(args, v)
			require.Error(t, err)
			assert.Regexp(t, want, err.Error())
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestChangeSendsWhatDiffers(t *testing.T) {
	t.Parallel()
	existing := map[string]any{"value": "old", "is_json": false, "is_sensitive": false, "is_enabled": true, "visible_build": false, "application_scope": []any{}}
	sensitive := map[string]any{"is_json": false, "is_sensitive": true}
	asJSON := map[string]any{"value": "1", "is_json": true}
	for name, test := range map[string]struct {
		line, level string
		existing    map[string]any
		want        string // a body; empty: nothing changes; with an exclamation mark: an error
	}{
		"a value":                         {"--value new", "environment", existing, `{"value":"new"}`},
		"the same value":                  {"--value old", "environment", existing, ""},
		"nothing":                         {"", "environment", existing, ""},
		"defaults are no wishes":          {"--enabled true", "environment", existing, ""},
		"switches":                        {"--enabled false --visible-build 1", "environment", existing, `{"is_enabled":false,"visible_build":true}`},
		"the same scope":                  {"--app-scope=", "environment", existing, ""},
		"a scope":                         {"--app-scope a --app-scope b", "project", existing, `{"application_scope":["a","b"]}`},
		"what is sensitive is always new": {"--value x", "project", sensitive, `{"value":"x"}`},
		"a value that is no JSON":         {"--value {", "project", asJSON, "!not JSON"},
		"JSON that was none":              {"--json true", "project", existing, "!not JSON"},
		"a sensitive value may be JSON":   {"--json true", "project", sensitive, `{"is_json":true}`},
		"not of the project":              {"--inheritable false", "project", existing, "!--inheritable is for variables of an environment"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, _, v := words(t, append([]string{"variable:update"}, strings.Fields(test.line)...)...)
			r, changed, err := operation.Change(o, "env:A", test.level, v, test.existing)
			if problem, ok := strings.CutPrefix(test.want, "!"); ok {
				require.ErrorContains(t, err, problem)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want != "", changed)
			if changed {
				assert.Equal(t, test.want, string(r.Body))
				assert.Equal(t, "PATCH", r.Method)
				assert.Equal(t, "variables/env:A", r.Path)
				assert.Equal(t, test.level+".variable.update", r.Activity)
				assert.Equal(t, "variable:update env:A", r.String())
			}
		})
	}
	o, _, _ := words(t, "variable:delete")
	r := operation.Delete(o, "env:A/b", "project")
	assert.Equal(t, operation.Request{Operation: "variable:delete", Argument: "env:A/b", Activity: "project.variable.delete", Method: "DELETE", Scope: operation.OfProject, Path: "variables/env:A%2Fb"}, r)
	o, _, v := words(t, "user:add", "-r", "viewer", "-r", "prod%:admin")
	r, err := operation.Access(o, "1-2", "r@example.com", v)
	require.NoError(t, err)
	assert.Equal(t, `PATCH user-access/1-2 {"permissions":["viewer","production:admin"]}`, r.Method+" "+r.Path+" "+string(r.Body))
	assert.True(t, r.Silent)
}
