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
	apps = append(apps,
		"access: { ssh: viewer }", "access: { ssh: [viewer] }", "build: { flavor: none }", "build: { flavour: none }", "build: composer", "dependencies: { php: { x: '1' } }",
		"dependencies: { php: [x] }", "container_profile: BALANCED", "container_profile: LOW", "firewall: { outbound: [{ ports: [443], domains: [x] }] }", "firewall: { outbound: [{ port: 443 }] }",
		"firewall: { outbound: [{ ports: ['443'] }] }", "firewall: { outbound: { ports: [443] } }", "firewall: { inbound: [] }",
		"hooks: { build: x, deploy: x, post_deploy: x }", "hooks: { build: [x] }", "hooks: { predeploy: x }", "hooks: x", "hooks: [x]", "hooks: { deploy: 5 }",
		"mounts: { /x: { source: instance, source_path: x } }", "mounts: { /x: { source: tmp } }", "mounts: { /x: { source: service, service: files } }", "mounts: { /x: { source_path: x } }",
		"mounts: { /x: { source: nfs } }", "mounts: { /x: { source: tmp, sourcepath: x } }", "mounts: { /x: shared:files/x }", "mounts: [/x]",
		"operations: { a: { role: viewer, commands: { start: x } } }", "operations: { a: { role: owner, commands: { start: x } } }", "operations: { a: { role: viewer } }",
		"operations: { a: { commands: { stop: x } } }", "operations: { a: { commands: { start: x, more: 1 } } }", "operations: { a: x }",
		"preflight: { enabled: false, ignored_rules: [x] }", "preflight: { ignored_rules: [x] }", "preflight: { enabled: 'false' }", "preflight: { enabled: false, ignored_rules: x }",
		"relationships: { db: 'db:mysql' }", "relationships: { db: null }", "relationships: { db: { service: db, endpoint: mysql } }", "relationships: { db: [db] }", "relationships: { db: { service: 5 } }", "relationships: db",
		"resources: { base_memory: 64, memory_ratio: 128 }", "resources: { memory: 64 }", "resources: { base_memory: '64' }",
		"runtime: { extensions: [x], more: 1 }", "runtime: { extensions: x }", "runtime: { sizing_hints: { request_memory: 10 } }", "runtime: { sizing_hints: { request_memory: 9 } }",
		"runtime: { sizing_hints: { reserved: 70 } }", "runtime: { request_terminate_timeout: 5s }", "runtime: { xdebug: { idekey: x, more: 1 } }",
		"source: { root: /, operations: { a: { command: x } } }", "source: { operations: { a: { commands: { start: x } } } }", "source: { operation: { a: { command: x } } }", "source: { root: 5 }",
		"web: { commands: { start: x } }", "web: { commands: { pre_start: x } }", "web: { commands: { start: x, stop: y } }", "web: { commands: x }", "web: { command: x }", "web: { upstream: { socket_family: tcp, protocol: http } }",
		"web: { upstream: { port: 80 } }", "web: { locations: { /: { root: public, passthru: true, expires: 5m, scripts: false, allow: false, index: [x], headers: { A: b } } } }",
		"web: { locations: { /: { expires: 300, passthru: /index.php, rules: { x: { allow: true } } } } }", "web: { locations: { /: { expires: 1.5 } } }", "web: { locations: { /: { index: index.html } } }",
		"web: { locations: { /: { headers: { A: 5 } } } }", "web: { locations: { /: { rules: { x: { index: [x] } } } } }", "web: { locations: [/] }", "web: { locations: { /: { document_root: x } } }",
		"web: { locations: { /: { allow: 'true' } } }", "web: { locations: { /: { request_buffering: { enabled: false, max_request_size: 1m } } } }", "web: { locations: { /: { request_buffering: false } } }",
		"web: { locations: { /: { passthru: [x] } } }", "web: { document_root: /x, index_files: [x], whitelist: [x], blacklist: [x], expires: -1, move_to_root: true, passthru: /x }",
		"workers: { w: { commands: { start: x } } }", "workers: { w: { commands: x } }", "workers: { w: { commands: {} } }", "workers: { w: {} }", "workers: { w: x }", "workers: [w]", "workers: { w: { start: x } }",
		"workers: { w: { commands: { start: x }, size: S, variables: { env: { A: 1 } } } }", "workers: { w: { commands: { start: x }, crons: {} } }", "workers: { w: { commands: { start: x }, disk: 5 } }",
		"stack: [php@8.3, { nodejs@20: { x: 1 } }]", "stack: { runtimes: [x] }", "additional_hosts: { a: b }", "additional_hosts: [a]", "timezone: 5",
	)
	var configs []string
	for _, app := range apps {
		configs = append(configs, "applications:\n  app:\n    type: php:8.3\n    "+app+"\n")
	}
	for _, beside := range []string{
		"services: { db: { type: 'mariadb:11', size: S, configuration: { x: 1 } } }", "services: { db: { size: S } }", "services: { db: { type: 'mariadb:11', disk: 512 } }", "services: { db: 'mariadb:11' }", "services: [db]", "services:",
		"services: { db: { type: 'mariadb:11', config: {} } }", "routes: { 'https://x/': { type: upstream, upstream: 'app:http' } }", "routes: { 'https://x/': { type: redirect, to: 'https://y/' } }",
		"routes: { 'https://x/': { type: upstream } }", "routes: { 'https://x/': { type: redirect } }", "routes: { 'https://x/': { upstream: 'app:http' } }", "routes: { 'https://x/': { type: up, upstream: 'app:http' } }",
		"routes: { 'https://x/': { type: upstream, upstream: 'app:http', cache: { enabled: true, cookies: ['*'], default_ttl: 5 } } }", "routes: { 'https://x/': { type: upstream, upstream: 'app:http', cache: { cookies: ['*'] } } }",
		"routes: { 'https://x/': { type: upstream, upstream: 'app:http', cache: true } }", "routes: { 'https://x/': { type: upstream, upstream: 'app:http', ssi: { enabled: true } } }",
		"routes: { 'https://x/': { type: upstream, upstream: 'app:http', redirects: { paths: { /a: { to: /b, code: 301, regexp: true, prefix: false } } } } }",
		"routes: { 'https://x/': { type: upstream, upstream: 'app:http', redirects: { /a: { to: /b } } } }", "routes: { 'https://x/': { type: upstream, upstream: 'app:http', redirects: { paths: { /a: { code: 301 } } } } }",
		"routes: { 'https://x/': { type: upstream, upstream: 'app:http', tls: { min_version: TLSv1.2, strict_transport_security: { enabled: true } } } }",
		"routes: { 'https://x/': { type: upstream, upstream: 'app:http', tls: { min_version: TLSv1.4 } } }", "routes: { 'https://x/': { type: upstream, upstream: 'app:http', primary: 'true' } }", "routes: https://x/", ".shared: { a: b }", "x: 1",
	} {
		configs = append(configs, "applications:\n  app:\n    type: php:8.3\n"+beside+"\n")
	}
	for _, config := range configs {
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
			assert.NotEmpty(t, ours, "the schema refuses %s: %v", config, err)
		} else {
			assert.Empty(t, ours, "the schema takes %s", config)
		}
	}
}
