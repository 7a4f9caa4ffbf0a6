package operation_test

import (
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
		"no word at all":              {nil, "no operation is named; the operations are backup:create, source-operation:run, environment:redeploy, environment:pause, environment:resume"},
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
	asks := map[string]bool{"backup:create": true, "environment:redeploy": true, "environment:pause": true, "environment:resume": true}
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
		assert.Equal(t, "#"+o.Path, o.Link)
		assert.True(t, strings.HasPrefix(o.Activity, "environment."))
		assert.Equal(t, asks[o.Name], o.Asks, o.Name)
		assert.Equal(t, already[o.Name], o.Already, o.Name)
	}
	assert.Len(t, operation.All(), 5)
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
	assert.True(t, a.Live)
	assert.False(t, b.Live)
	redeploy, _ := operation.Lookup("redeploy")
	none := pflag.NewFlagSet("", pflag.ContinueOnError)
	assert.Equal(t, &operation.Options{}, redeploy.Flags(none))
	assert.False(t, none.HasFlags())
	r, err := redeploy.Request(nil, operation.Options{Live: true, Variables: []string{"bad"}})
	require.NoError(t, err, "an operation reads only its own options")
	assert.Nil(t, r.Body)
}
