package install_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/sandbox"
)

var fencedBlock = regexp.MustCompile("(?s)```(sh container|sh|yaml)\n(.*?)```")

const (
	robotToken = "tok-robot-8Kq2Lm4Zx"
	newToken   = "tok-second-5Vb7Nc1Qw"
)

// quickstart is a reader who does what a page says, from its first line to its last.
type quickstart struct {
	t         *testing.T
	server    *sandbox.Server
	address   string // of the fake platform
	home      string // of the reader's machine, where the commands are typed too
	container *box
	variable  string // that the page puts the token into
	output    strings.Builder
}

// TestQuickstarts executes every command of the pages docs/quickstart-*.md in their
// order, against the fake platform: on the reader's machine, in the build, in the
// cron and in a shell of the container, whose token is what the page has put into
// the variable.
func TestQuickstarts(t *testing.T) {
	t.Parallel()
	var dist string
	url, _ := site(t, "", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.FileServer(http.Dir(dist)).ServeHTTP(w, r)
	})
	root := filepath.Join(t.TempDir(), "module")
	copyModule(t, ".", root)
	_, err := runDist(root, version, "--base-url", url)
	require.NoError(t, err)
	dist = filepath.Join(root, "dist")

	for vendor, variable := range map[string]string{
		"platformsh": "PLATFORMSH_CLI_TOKEN", "upsun": "UPSUN_CLI_TOKEN", "webpaas": "OVHCLOUD_WEBPAAS_CLI_TOKEN",
	} {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			server := sandbox.New(sandbox.Options{
				ActivityDuration: -1,
				Users:            []sandbox.User{{Username: "machine", Token: robotToken, Role: sandbox.ProductionAdmin}, {Username: "later", Token: newToken, Role: sandbox.ProductionAdmin}},
			})
			address, err := server.Start()
			require.NoError(t, err)
			defer server.Close()
			q := &quickstart{t: t, server: server, address: address, home: t.TempDir(), container: newBox(t, dash, ""), variable: variable}
			q.container.env["PLATFORM_VENDOR"] = vendor
			for name, content := range map[string]string{"admin-token.txt": sandbox.DefaultToken, "robot-token.txt": robotToken, "new-token.txt": newToken} {
				write(t, content+"\n", q.home, name)
			}
			blocks := fencedBlock.FindAllStringSubmatch(read(t, "docs", "quickstart-"+vendor+".md"), -1)
			require.GreaterOrEqual(t, len(blocks), 10)
			for _, block := range blocks {
				text := strings.ReplaceAll(block[2], placeholder, url)
				switch block[1] {
				case "sh":
					q.typed(text)
				case "sh container":
					q.inContainer(text)
				case "yaml":
					q.deploy(text)
				}
			}
			q.check()
		})
	}
}

// typed types commands on the reader's machine. What is exported stays.
func (q *quickstart) typed(commands string) {
	q.t.Helper()
	kept := filepath.Join(q.home, ".kept")
	cmd := exec.Command(program(q.t, "bash"), "-c", "[ ! -e "+kept+" ] || . "+kept+"\nset -eu\n"+commands+"\nexport -p >"+kept)
	cmd.Dir = q.home
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + q.home, "CRONAGENT_API_URL=" + q.address, "CRONAGENT_AUTH_URL=" + q.address}
	q.run(cmd, commands)
}

func (q *quickstart) run(cmd *exec.Cmd, commands string) {
	q.t.Helper()
	stdout, stderr, status := run(q.t, cmd)
	require.Zero(q.t, status, "%s\n%s%s", commands, stdout, stderr)
	q.output.WriteString("$ " + commands + stdout + stderr)
}

// deploy runs the build hook of a configuration, and then its cron.
func (q *quickstart) deploy(config string) {
	q.t.Helper()
	var file struct {
		Hooks struct{ Build string }
		Crons map[string]struct{ Commands struct{ Start string } }
	}
	require.NoError(q.t, yaml.Unmarshal([]byte(config), &file))
	q.container.env["PATH"] = "/usr/bin:/bin"
	build := q.container.command("", "-c", file.Hooks.Build)
	q.run(build, file.Hooks.Build)
	require.NotEmpty(q.t, file.Crons)
	for _, c := range file.Crons {
		q.inContainer(c.Commands.Start)
	}
}

// inContainer runs commands as a cron or a login of the container does, with the
// variable that the platform has.
func (q *quickstart) inContainer(commands string) {
	q.t.Helper()
	app := q.container.app
	script := strings.ReplaceAll(commands, "/app/", app+"/") // the one thing that a test cannot have
	cmd := exec.Command(program(q.t, "dash"), "-c", ". ./.environment\nset -eu\n"+script)
	cmd.Dir = app
	state := filepath.Join(app, ".cronagent")
	require.NoError(q.t, os.MkdirAll(state, 0o700))
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + app, "PLATFORM_PROJECT=" + sandbox.DefaultProject,
		"PLATFORM_APPLICATION_NAME=app", "PLATFORM_APP_DIR=" + app, "PLATFORM_BRANCH=main", "PLATFORM_ENVIRONMENT=main-bvxea6i",
		"PLATFORM_ENVIRONMENT_TYPE=production", q.variable + "=" + q.server.Variable("main", "env:"+q.variable),
		"CRONAGENT_API_URL=" + q.address, "CRONAGENT_AUTH_URL=" + q.address, "CRONAGENT_STATE_DIR=" + state}
	q.run(cmd, script)
}

// check is what must have come of it.
func (q *quickstart) check() {
	var accepted []string
	for _, a := range q.server.Accepted() {
		accepted = append(accepted, a.User+" "+a.Operation)
	}
	assert.Equal(q.t, []string{
		"cron-bot invite", "cron-bot variable-create", "cron-bot variable-update",
		"later backup", // the cron
		"later backup", // by hand
	}, accepted)
	var created string
	for _, r := range q.server.Requests() {
		if r.Method == "POST" && strings.HasSuffix(r.Path, "/variables") {
			created = r.Body
		}
	}
	assert.Contains(q.t, created, `"is_sensitive":true`)
	assert.Contains(q.t, created, `"is_inheritable":false`)
	assert.Equal(q.t, newToken, q.server.Variable("main", "env:"+q.variable))
	assert.Empty(q.t, q.server.Variable("staging", "env:"+q.variable), "a preview does not have it")
	output := q.output.String()
	for _, want := range []string{
		"cron-bot@example.com", "it belongs to machine", "[Hidden: sensitive value]", "fired backup:create on main, activity ", "POST " + q.address + "/projects/",
		"is complete (success)", "| Backup ID ",
	} {
		assert.Contains(q.t, output, want)
	}
	for _, token := range []string{robotToken, newToken} {
		assert.NotContains(q.t, output, token)
	}
	_, err := os.Stat(filepath.Join(q.home, "robot-token.txt"))
	assert.ErrorIs(q.t, err, os.ErrNotExist)
}
