package operation_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/operation"
)

func TestParseMakesTheRequest(t *testing.T) {
	t.Parallel()
	backup := operation.Request{Operation: "backup:create", Activity: "environment.backup", Path: "backup", Link: "#backup", Body: []byte(`{"safe":true}`)}
	live := backup
	live.Body = []byte(`{"safe":false}`)
	redeploy := operation.Request{Operation: "environment:redeploy", Activity: "environment.redeploy", Path: "redeploy", Link: "#redeploy"}
	source := func(argument, variables string) operation.Request {
		return operation.Request{Operation: "source-operation:run", Argument: argument, Activity: "environment.source-operation",
			Path: "source-operation", Link: "#source-operation", Body: []byte(`{"operation":"` + argument + `","variables":` + variables + `}`)}
	}
	synchronize := func(argument, body string) operation.Request {
		return operation.Request{Operation: "environment:synchronize", Argument: argument, Activity: "environment.synchronize",
			Path: "synchronize", Link: "#synchronize", Body: []byte(body)}
	}
	const run = "source-operation:run"
	for name, test := range map[string]struct {
		words []string
		want  operation.Request
	}{
		"a backup is safe":                    {[]string{"backup:create"}, backup},
		"alias backup":                        {[]string{"backup"}, backup},
		"old name snapshot:create":            {[]string{"snapshot:create"}, backup},
		"old name environment:backup":         {[]string{"environment:backup"}, backup},
		"a live backup is not safe":           {[]string{"backup:create", "--live"}, live},
		"a switch may be given its value":     {[]string{"backup:create", "--live=false"}, backup},
		"a redeployment has no body":          {[]string{"environment:redeploy"}, redeploy},
		"a synchronization":                   {[]string{"sync", "code", "data"}, synchronize("code data", `{"rebase":false,"synchronize_code":true,"synchronize_data":true}`)},
		"one as a record has it":              {[]string{"environment:synchronize", "--", "code data"}, synchronize("code data", `{"rebase":false,"synchronize_code":true,"synchronize_data":true}`)},
		"with options":                        {[]string{"sync", "--rebase", "code", "resources"}, synchronize("code resources", `{"rebase":true,"synchronize_code":true,"synchronize_data":false,"synchronize_resources":true}`)},
		"alias redeploy":                      {[]string{"redeploy"}, redeploy},
		"no variables are an empty object":    {[]string{run, "update"}, source("update", `{}`)},
		"option behind the argument":          {[]string{run, "update", "--variable", "env:A=b"}, source("update", `{"env":{"A":"b"}}`)},
		"option before the argument":          {[]string{run, "--variable", "env:A=b", "update"}, source("update", `{"env":{"A":"b"}}`)},
		"option with an equals sign":          {[]string{run, "--variable=env:A=b", "update"}, source("update", `{"env":{"A":"b"}}`)},
		"behind two hyphens all are words":    {[]string{run, "--", "--update"}, source("--update", `{}`)},
		"types merge, each its own object":    {[]string{run, "update", "--variable", "env:B=2", "--variable", "x:A=3", "--variable", "env:A=1"}, source("update", `{"env":{"A":"1","B":"2"},"x":{"A":"3"}}`)},
		"the last of one name counts":         {[]string{run, "update", "--variable", "env:A=1", "--variable", "env:A=2"}, source("update", `{"env":{"A":"2"}}`)},
		"further equals signs are the value":  {[]string{run, "update", "--variable", "env:A=b=c=="}, source("update", `{"env":{"A":"b=c=="}}`)},
		"a colon in the value":                {[]string{run, "update", "--variable", "env:A=http://x"}, source("update", `{"env":{"A":"http://x"}}`)},
		"a comma does not part variables":     {[]string{run, "update", "--variable", "env:A=b,env:C=d"}, source("update", `{"env":{"A":"b,env:C=d"}}`)},
		"an empty value":                      {[]string{run, "update", "--variable", "env:A="}, source("update", `{"env":{"A":""}}`)},
		"one space around colon and equals":   {[]string{run, "update", "--variable", "env : A = b "}, source("update", `{"env":{"A":"b "}}`)},
		"every character of type and name":    {[]string{run, "update", "--variable", "a.B_9-:A:b|c/d.e_f-9=x"}, source("update", `{"a.B_9-":{"A:b|c/d.e_f-9":"x"}}`)},
		"quotes are part of the value":        {[]string{run, "update", "--variable", `env:A="b" '\`}, source("update", `{"env":{"A":"\"b\" '\\"}}`)},
		"control characters are JSON escaped": {[]string{run, "update", "--variable", "env:A=b\n\x01"}, source("update", `{"env":{"A":"b\n\u0001"}}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := operation.Parse(test.words)
			require.NoError(t, err)
			assert.Equal(t, string(test.want.Body), string(got.Body))
			assert.Equal(t, test.want, got)
		})
	}
	odd, err := operation.Parse([]string{run, `a "b" é`})
	require.NoError(t, err)
	assert.JSONEq(t, `{"operation":"a \"b\" é","variables":{}}`, string(odd.Body))
	assert.Equal(t, `source-operation:run a "b" é`, odd.String())
	assert.Equal(t, "backup:create", backup.String())
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	const run = "source-operation:run"
	for name, test := range map[string]struct {
		words []string
		want  string
	}{
		"no word at all":              {nil, "no operation is named; the operations are backup:create, source-operation:run, environment:redeploy, environment:pause, environment:resume, environment:synchronize"},
		"nothing to fire":             {[]string{"backup:delete", "x"}, "backup:delete is nothing to fire; the operations are backup:create,"},
		"nothing to synchronize":      {[]string{"sync"}, "environment:synchronize needs to know what: code, data or resources"},
		"something else":              {[]string{"sync", "all"}, `"all": want code, data or resources`},
		"an unknown name":             {[]string{"backup:craete"}, `unknown operation "backup:craete"; the operations are backup:create,`},
		"an empty name":               {[]string{""}, `unknown operation ""`},
		"an abbreviation":             {[]string{"b:c"}, `unknown operation "b:c"`},
		"another case":                {[]string{"Backup"}, `unknown operation "Backup"`},
		"an option before the name":   {[]string{"--live", "backup"}, `unknown operation "--live"`},
		"an argument too many":        {[]string{"backup", "main"}, `backup:create takes no argument, but was given "main"`},
		"redeploy takes none":         {[]string{"redeploy", "main"}, `environment:redeploy takes no argument, but was given "main"`},
		"an argument too few":         {[]string{run}, "source-operation:run needs the name of the source operation"},
		"an empty argument":           {[]string{run, ""}, "needs the name of the source operation"},
		"two arguments":               {[]string{run, "a", "b"}, `takes one source operation, but was also given "b"`},
		"another's option":            {[]string{"redeploy", "--live"}, `environment:redeploy: unknown option "--live"`},
		"an unknown option":           {[]string{run, "a", "--variabel=env:A=hunter2"}, `source-operation:run: unknown option "--variabel"`},
		"an unknown letter":           {[]string{run, "a", "-venv:A=hunter2"}, `unknown option "-v"`},
		"help is nothing to fire":     {[]string{"backup", "--help"}, "backup:create: unknown option --help"},
		"an option without a name":    {[]string{run, "a", "--=hunter2"}, "an option has no name"},
		"a switch that is no switch":  {[]string{"backup", "--live=perhaps"}, "--live"},
		"an option without a value":   {[]string{run, "a", "--variable"}, "flag needs an argument: --variable"},
		"a variable without type":     {[]string{run, "a", "--variable", "A=hunter2"}, `variable "A": want TYPE:NAME=VALUE`},
		"a variable without value":    {[]string{run, "a", "--variable", "env:A=b", "--variable", "hunter2"}, "variable 2 has no equals sign: want TYPE:NAME=VALUE"},
		"a value without name":        {[]string{run, "a", "--variable", "env:hunter2"}, "variable 1 has no equals sign"},
		"an empty type":               {[]string{run, "a", "--variable", ":A=hunter2"}, `variable ":A": want`},
		"an empty name of a variable": {[]string{run, "a", "--variable", "env:=hunter2"}, `variable "env:": want`},
		"a space in the type":         {[]string{run, "a", "--variable", "e v:A=hunter2"}, `variable "e v:A": want`},
		"two spaces":                  {[]string{run, "a", "--variable", "env:A  =hunter2"}, `variable "env:A  ": want`},
		"a line break in the name":    {[]string{run, "a", "--variable", "env:A\n=hunter2"}, `variable "env:A\n": want`},
		"an empty variable":           {[]string{run, "a", "--variable", ""}, "variable 1 has no equals sign"},
		"a value that is not UTF-8":   {[]string{run, "a", "--variable", "env:A=hunter2\xff"}, `variable "env:A": its value is not UTF-8`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := operation.Parse(test.words)
			require.Error(t, err)
			assert.Contains(t, err.Error(), test.want)
			assert.NotContains(t, err.Error(), "hunter2", "a value is never shown")
			assert.NotContains(t, err.Error(), "pflag")
			assert.Zero(t, got)
		})
	}
}

func TestUnknownOperationIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	_, err := operation.Parse([]string{"nope"})
	var unknown *operation.UnknownError
	require.ErrorAs(t, err, &unknown)
	assert.Equal(t, "nope", unknown.Name)
	require.ErrorAs(t, operation.Unknown("x"), &unknown)
}

func TestTableIsWhole(t *testing.T) {
	t.Parallel()
	asks := []string{
		"backup:create", "environment:redeploy", "environment:pause", "environment:resume", "environment:synchronize",
		"operation:run", "backup:restore", "backup:delete", "variable:delete", "user:add",
	}
	destroys := []string{"backup:restore", "backup:delete", "variable:delete", "activity:cancel"}
	fires := []string{
		"backup:create", "source-operation:run", "environment:redeploy", "environment:pause", "environment:resume", "environment:synchronize",
	}
	already := map[string]string{"environment:pause": "paused", "environment:resume": "active"}
	seen := map[string]bool{}
	for _, o := range operation.All() {
		for _, name := range append([]string{o.Name}, o.Aliases...) {
			assert.False(t, seen[name], "%s stands for two", name)
			seen[name] = true
			found, ok := operation.Lookup(name)
			require.True(t, ok)
			assert.Same(t, o, found)
		}
		assert.NotEmpty(t, o.Summary)
		assert.Equal(t, slices.Contains(asks, o.Name), o.Asks, o.Name)
		assert.Equal(t, slices.Contains(destroys, o.Name), o.Effect == operation.Destroys, o.Name)
		assert.Equal(t, slices.Contains(fires, o.Name), o.Fires, o.Name)
		assert.Equal(t, already[o.Name], o.Already, o.Name)
		changes := 0
		for _, step := range o.Steps {
			if step.Method != "GET" && step.When == "" {
				changes++
			}
		}
		switch {
		case o.Effect == operation.Reads:
			assert.Zero(t, changes, "%s only reads", o.Name)
		default:
			assert.Equal(t, 1, changes, "%s sends one request that changes something", o.Name)
		}
		if o.Fires {
			assert.Equal(t, "#"+o.Steps[0].Path, o.Link, o.Name)
			assert.True(t, strings.HasPrefix(o.Activity, "environment."), o.Name)
		}
		if o.Output.Kind == operation.Rows {
			assert.NotEmpty(t, o.Output.Columns, o.Name)
			assert.NotEmpty(t, o.Output.None, o.Name)
		}
		// A letter, or a name, that stands for two would hide one of them.
		names := map[string]bool{}
		for _, group := range append([]operation.Group{o.Options, operation.Everywhere}, o.With...) {
			for _, option := range group {
				assert.False(t, names["--"+option.Name], "%s --%s", o.Name, option.Name)
				names["--"+option.Name] = true
				// activity:log has -t for itself, as the platform CLI has it there.
				if option.Short != "" && !(o.Name == "activity:log" && option.Name == "type") {
					assert.False(t, names["-"+option.Short], "%s -%s", o.Name, option.Short)
					names["-"+option.Short] = true
				}
				assert.True(t, option.Hidden || option.Usage != "", "%s --%s", o.Name, option.Name)
			}
		}
	}
	assert.Len(t, operation.All(), 28)
	_, ok := operation.Lookup("")
	assert.False(t, ok)
}

// TestOptionsOfOneCallAreNotThoseOfTheNext: the table is shared, options are not.
func TestOptionsOfOneCallAreNotThoseOfTheNext(t *testing.T) {
	t.Parallel()
	o, _ := operation.Lookup("backup")
	first, second := pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	a, b := o.Flags(first), o.Flags(second)
	require.NoError(t, first.Parse([]string{"--live"}))
	require.NoError(t, second.Parse(nil))
	assert.True(t, a.On("live"))
	assert.False(t, b.On("live"))
	redeploy, _ := operation.Lookup("redeploy")
	none := pflag.NewFlagSet("", pflag.ContinueOnError)
	redeploy.Flags(none)
	assert.False(t, none.HasFlags())
	r, err := redeploy.Request(nil, a)
	require.NoError(t, err, "an operation reads only its own options")
	assert.Nil(t, r.Body)
}

func TestFindUnderstandsWhatThePlatformCLIUnderstands(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"backup:create":           "backup:create",
		"snapshot:create":         "backup:create",
		"snapshots":               "backup:list",
		"environment:backup":      "backup:create",
		"redeploy":                "environment:redeploy",
		"var:create":              "variable:create",
		"var:cre":                 "variable:create",
		"env:redep":               "environment:redeploy",
		"env:redeploy":            "environment:redeploy",
		"environment:sync":        "environment:synchronize",
		"e:sy":                    "environment:synchronize",
		"act":                     "activity:list",
		"redep":                   "environment:redeploy",
		"source-op:r":             "source-operation:run",
		"cloud:redeploy":          "environment:redeploy",
		"cloud:backup:create":     "backup:create",
		"cloud:env:red":           "environment:redeploy",
		"env:snapshot:create":     "backup:create",
		"env:backup":              "backup:create",
		"cloud:backup:delete":     "backup:delete",
		"env":                     "environment:list",
		"var":                     "variable:list",
		"b:c":                     "ambiguous: backup:create, blue-green:conclude",
		"e:r":                     "ambiguous: environment:redeploy, environment:resume, environment:relationships",
		"v:l":                     "ambiguous: variable:list, version:list",
		"var:d":                   "ambiguous: variable:delete, variable:disable",
		"backup:del":              "abbreviates backup:delete",
		"backup:rest":             "abbreviates backup:restore",
		"act:can":                 "abbreviates activity:cancel",
		"var:delete":              "abbreviates variable:delete",
		"environment:delete":      "",
		"env:delete":              "",
		"env:ssh":                 "",
		"ssh":                     "",
		"snapshot:cr":             "",
		"get":                     "",
		"db:dump":                 "",
		"":                        "",
		":":                       "",
		"cloud:":                  "",
		"BACKUP:CREATE":           "",
		"backup:create:more":      "",
		"scheduled-task:run":      "",
		"environment:environment": "",
		"cloud:cloud:redeploy":    "environment:redeploy",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := operation.Find(name)
			got := ""
			if o != nil {
				got = o.Name
			}
			var ambiguous *operation.AmbiguousError
			var abbreviated *operation.AbbreviatedError
			switch {
			case errors.As(err, &ambiguous):
				got = "ambiguous: " + strings.Join(ambiguous.Names, ", ")
			case errors.As(err, &abbreviated):
				got = "abbreviates " + abbreviated.Whole
			default:
				require.NoError(t, err)
			}
			assert.Equal(t, want, got)
		})
	}
}
