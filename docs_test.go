package install_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/sandbox"
)

var schemaURL = regexp.MustCompile(`https://meta\.upsun\.com/[^"#]*`)

// TestCompatibilityTable: the document lists the commands of the platform CLI as the
// table in internal/operation has them. UPDATE_DOCS=1 writes it.
func TestCompatibilityTable(t *testing.T) {
	t.Parallel()
	const file, begin, end = "docs/cli-compatibility.md", "<!-- commands -->\n", "<!-- end of commands -->\n"
	text := read(t, file)
	before, rest, ok := strings.Cut(text, begin)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	rows := "| command | also | arguments | requests | changes something | fire |\n| --- | --- | --- | --- | --- | --- |\n"
	for _, o := range operation.All() {
		also, arguments, requests := []string{}, []string{}, []string{}
		for _, alias := range o.Aliases {
			also = append(also, "`"+alias+"`")
		}
		for _, a := range o.Arguments {
			word := strings.ToUpper(a.Name)
			if a.Many {
				word += "…"
			}
			if !a.Required {
				word = "[" + word + "]"
			}
			arguments = append(arguments, "`"+word+"`")
		}
		for _, step := range o.Steps {
			request := "`" + step.String() + "`"
			if step.When != "" {
				request += " " + step.When
			}
			requests = append(requests, request)
		}
		effect := map[operation.Effect]string{operation.Reads: "", operation.Changes: "yes", operation.Destroys: "**destroys**"}[o.Effect]
		fires := map[bool]string{true: "yes"}[o.Fires]
		rows += "| " + strings.Join([]string{"`" + o.Name + "`", strings.Join(also, ", "), strings.Join(arguments, " "), strings.Join(requests, "; "), effect, fires}, " | ") + " |\n"
	}
	want := before + begin + rows + end + after
	if os.Getenv("UPDATE_DOCS") != "" {
		write(t, want, file)
		return
	}
	assert.Equal(t, want, text, "run the test with UPDATE_DOCS=1")
}

// TestExample: the example is what the README says that it is.
func TestExample(t *testing.T) {
	t.Parallel()
	app := readApp(t, "examples/.platform.app.yaml")
	var names []string
	for _, c := range app.Crons {
		require.NoError(t, c.Problem, c.Name)
		names = append(names, string(c.Scheduler)+" "+c.Name)
	}
	assert.Equal(t, []string{"platform agent", "platform redeploy", "agent backup", "agent dependencies", "agent import"}, names)
	assert.Contains(t, app.Mounts, "/.cronagent")
	text, err := os.ReadFile("examples/.platform.app.yaml")
	require.NoError(t, err)
	assert.Contains(t, string(text), placeholder, "dist.sh puts the real address there")
	hook := text[strings.Index(string(text), "curl -fsS"):]
	assert.Regexp(t, `(?s)^curl -fsS `+placeholder+`/install.sh \| sh\n +\.platformsh/bin/cronagent version\n`, string(hook))
}

func readApp(t *testing.T, file string) *appconfig.App {
	t.Helper()
	source, err := appconfig.ReadFile(file)
	require.NoError(t, err)
	app, err := source.App(appconfig.Options{Project: sandbox.DefaultProject})
	require.NoError(t, err)
	return app
}

// TestExampleIsTheVendorsToo: the example passes the vendor's published schema,
// without the words that only Platform.sh has: the schema is Upsun's.
func TestExampleIsTheVendorsToo(t *testing.T) {
	t.Parallel()
	path := os.Getenv("CRONAGENT_APP_SCHEMA")
	if path == "" {
		t.Skip("CRONAGENT_APP_SCHEMA, the path of the vendor's schema of app configurations, is not set")
	}
	compiler := jsonschema.NewCompiler()
	// The versions of the runtimes are elsewhere, and change.
	for _, elsewhere := range schemaURL.FindAllString(read(t, path), -1) {
		require.NoError(t, compiler.AddResource(elsewhere, true))
	}
	schema, err := compiler.Compile(path)
	require.NoError(t, err)
	validate := func(edit func(app map[string]any)) error {
		var app map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(read(t, "examples/.platform.app.yaml")), &app))
		delete(app, "name")
		delete(app, "disk")
		// The mounts that Platform.sh calls local are called instance on Upsun.
		for _, mount := range app["mounts"].(map[string]any) {
			assert.Equal(t, "local", mount.(map[string]any)["source"])
			mount.(map[string]any)["source"] = "instance"
		}
		edit(app)
		text, err := json.Marshal(map[string]any{"applications": map[string]any{"app": app}})
		require.NoError(t, err)
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		require.NoError(t, err)
		return schema.Validate(value)
	}
	require.NoError(t, validate(func(map[string]any) {}))
	assert.Error(t, validate(func(app map[string]any) { app["cronagent"] = map[string]any{} }), "the schema refuses our keys elsewhere")
	assert.Error(t, validate(func(app map[string]any) {
		app["crons"].(map[string]any)["agent"].(map[string]any)["fire"] = "backup:create"
	}), "and in crons")
}
