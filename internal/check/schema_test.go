package check_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/check"
)

// TestSchema: what the vendor's published schema refuses of an app's keys and crons is
// reported, and what it takes is not. The schema takes less care of some things than
// cronagent does; these are marked.
func TestSchema(t *testing.T) {
	t.Parallel()
	path := os.Getenv("CRONAGENT_APP_SCHEMA")
	if path == "" {
		t.Skip("CRONAGENT_APP_SCHEMA, the path of the vendor's schema of app configurations, is not set")
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	for _, elsewhere := range regexp.MustCompile(`https://meta\.upsun\.com/[^"#]*`).FindAllString(string(text), -1) {
		require.NoError(t, compiler.AddResource(elsewhere, true))
	}
	schema, err := compiler.Compile(path)
	require.NoError(t, err)

	// The keys of an app are those of the schema.
	var published struct {
		Properties struct {
			Applications struct {
				AdditionalProperties struct {
					Properties map[string]any `json:"properties"`
				} `json:"additionalProperties"`
			} `json:"applications"`
		} `json:"properties"`
	}
	require.NoError(t, json.Unmarshal(text, &published))
	apps := []string{}
	for key := range published.Properties.Applications.AdditionalProperties.Properties {
		for _, f := range found(t, "-- .upsun/config.yaml --\napplications:\n  app:\n    "+key+": {}\n", check.Options{}) {
			assert.NotContains(t, f.Message, "unknown key", key)
		}
	}
	for _, key := range []string{"name", "disk", "size", "cron", "Crons", "cronagent", "hook", "x"} {
		apps = append(apps, key+": 1")
	}

	const whole, start = "crons: { a: { spec: '0 5 * * *', ", "commands: { start: x }"
	apps = append(apps,
		whole+start+" } }", whole+"cmd: x } }", whole+start+", timeout: 86400 } }", whole+start+", timeout: 86401 } }", whole+start+", timeout: '5' } }",
		whole+start+", timeout: 1.5 } }", whole+start+", shutdown_timeout: 5 } }", whole+start+", shutdown_timeout: x } }", whole+start+", fire: x } }",
		whole+start+", enabled: true } }", whole+"commands: { start: x, stop: y } } }", whole+"commands: { stop: y } } }", whole+"commands: { start: 5 } } }",
		whole+"commands: { start: x, pause: y } } }", whole+"commands: x } }", whole+"commands: [x] } }", whole+"cmd: [x] } }", whole+"cmd: 5 } }",
		"crons: { a: { "+start+" } }", "crons: { a: { spec: 5, "+start+" } }", "crons: { a: { spec: ['0 5 * * *'], "+start+" } }", "crons: { a: x }", "crons: [a]", "crons: x",
		"crons: { a: [x] }", "crons: {}", "timezone: Europe/Paris", "variables: { env: { A: b } }", "variables: { env: x }", "variables: { env: [x] }",
	)
	for _, app := range apps {
		config := "applications:\n  app:\n    type: php:8.3\n    " + app + "\n"
		var value any
		require.NoError(t, yaml.Unmarshal([]byte(config), &value))
		asJSON, err := json.Marshal(value)
		require.NoError(t, err)
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(asJSON)))
		require.NoError(t, err)
		var ours []string
		for _, f := range found(t, "-- .upsun/config.yaml --\n"+config, check.Options{}) {
			if f.Code == "schema" || f.Code == "commands-string" {
				ours = append(ours, fmt.Sprint(f.Code, ": ", f.Message))
			}
		}
		if err := schema.Validate(instance); err != nil {
			assert.NotEmpty(t, ours, "the schema refuses %s: %v", app, err)
		} else {
			assert.Empty(t, ours, "the schema takes %s", app)
		}
	}
}
