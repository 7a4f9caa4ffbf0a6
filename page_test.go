package install_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/sandbox"
)

// The release that all pages install, made once by the real dist.sh and served on
// loopback until the tests end.
var release = sync.OnceValues(func() (*httptest.Server, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(http.FileServer(http.Dir(releaseDir())))
	if _, err = runDist(root, version, "--base-url", server.URL, "--out", releaseDir()); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := os.Symlink(filepath.Join(releaseDir(), binaryName), filepath.Join(scratch, name)); err != nil {
			return nil, err
		}
	}
	return server, nil
})

// names are those under which cronagent is installed. In scratch they are the program
// of the release.
var names = []string{"cronagent", "platform", "upsun", "webpaas"}

func releaseDir() string { return filepath.Join(scratch, "release") }

// releaseURL is where the real release can be downloaded.
func releaseURL(t *testing.T) string {
	t.Helper()
	server, err := release()
	require.NoError(t, err)
	return server.URL
}

// installed is the folder of an app in which the real installer has installed the real
// release.
var (
	installOnce sync.Once
	installed   string
)

// newInstalledBox is a container with what the installer installs, made by it once and
// then copied.
func newInstalledBox(t *testing.T) *box {
	t.Helper()
	releaseURL(t)
	installOnce.Do(func() {
		b := newBox(t, dash, "")
		b.script = read(t, releaseDir(), "install.sh")
		b.mustInstall()
		installed = b.app
	})
	require.NotEmpty(t, installed)
	b := newBox(t, dash, "")
	require.NoError(t, os.MkdirAll(b.path(), 0o755))
	require.NoError(t, os.Link(filepath.Join(installed, ".platformsh", "bin", "cronagent"), b.path("cronagent")))
	for _, link := range names[1:] {
		require.NoError(t, os.Symlink("cronagent", b.path(link)))
	}
	write(t, strings.ReplaceAll(read(t, installed, ".environment"), installed, b.app), b.app, ".environment")
	return b
}

// page is somebody who does what a document says, from its first line to its last, on
// a machine and in a container of the fake platform. The machine has bash, a folder
// that is a Git repository with the app's configuration (if the document is typed in a
// checkout of cronagent: that), and cronagent installed under all of its names. In the
// container, one of production, the configuration is deployed, cronagent is installed
// by the installer, and crons have run already: a backup, and an import that failed
// and then succeeded. Quickstarts begin with nothing of that.
type page struct {
	t         *testing.T
	doc       document
	bare      bool
	server    *sandbox.Server
	address   string // of the fake platform
	folder    string // of all that follows
	home      string // of the reader
	dir       string // where the reader begins to type
	tmp       string // stands for /tmp
	container *box
	variables map[string]string // of the environment, beside the platform's own
	config    map[string]any    // of the app
	said      *strings.Replacer // from the document's addresses and folders to those of the test
	output    strings.Builder
}

// defaultConfig is what the app has before a document says anything.
const defaultConfig = `
name: app
type: 'php:8.3'
timezone: UTC
mounts:
    '/.cronagent': { source: local, source_path: cronagent }
crons:
    agent:
        spec: '*/5 * * * *'
        commands: { start: /app/.platformsh/bin/cronagent tick }
variables:
    cronagent:
        crons:
            backup: { spec: 'H 5 * * *', fire: 'backup:create' }
            import: { spec: '*/30 8-18 * * *', commands: { start: 'php bin/import.php' }, timeout: 600 }
`

// checkoutCommand is what can only be typed in a checkout of cronagent.
var checkoutCommand = regexp.MustCompile(`(?m)^(\./[a-z]+\.sh|go (run|test|build)) `)

func newPage(t *testing.T, d document) *page {
	t.Helper()
	_, bare := quickstarts[d.name]
	// Not t.TempDir: its name may hold what a shell reads.
	folder, err := os.MkdirTemp(scratch, "page")
	require.NoError(t, err)
	p := &page{t: t, doc: d, bare: bare, folder: folder, home: filepath.Join(folder, "home"), tmp: filepath.Join(folder, "tmp"), variables: map[string]string{}}
	require.NoError(t, os.Mkdir(p.tmp, 0o755))
	p.server = sandbox.New(sandbox.Options{ActivityDuration: -1, Users: []sandbox.User{
		{Username: "machine", Token: robotToken, Role: sandbox.ProductionAdmin}, {Username: "later", Token: newToken, Role: sandbox.ProductionAdmin}}})
	p.address, err = p.server.Start()
	require.NoError(t, err)
	t.Cleanup(func() { p.server.Close() })

	for name, content := range map[string]string{"admin-token.txt": sandbox.DefaultToken, "robot-token.txt": robotToken, "new-token.txt": newToken} {
		write(t, content+"\n", p.home, name)
	}
	p.dir = p.home
	if slices.ContainsFunc(d.blocks, func(b block) bool { return b.kind == "sh" && checkoutCommand.MatchString(b.text) }) {
		p.dir = filepath.Join(p.home, "cronagent")
		copyModule(t, ".", p.dir)
	} else {
		write(t, read(t, "examples", ".platform.app.yaml"), p.dir, "examples", ".platform.app.yaml")
	}
	release := releaseURL(t)
	local, _ := site(t, filepath.Join(p.tmp, "cronagent-dist"), nil)
	if bare {
		p.container = newBox(t, dash, "")
		p.container.env["PLATFORM_VENDOR"] = strings.TrimSuffix(strings.TrimPrefix(d.name, "docs/quickstart-"), ".md")
	} else {
		p.container = newInstalledBox(t)
	}
	p.said = strings.NewReplacer(
		"/app/", p.container.app+"/", "/tmp/", p.tmp+"/", // what a test cannot have
		placeholder, release, "https://downloads.example.org/cronagent", release, "http://127.0.0.1:8000", local,
		" 127.0.0.1:9100", " 127.0.0.1:0", " 127.0.0.1:8080", " 127.0.0.1:0", // no port is surely free
		"CRONAGENT_SHA256=...", "CRONAGENT_SHA256="+sum(read(t, releaseDir(), binaryName)),
	)
	_, _, status := run(t, p.prepared("sh", "git init -q ."))
	require.Zero(t, status)
	if bare {
		return p
	}

	heard, _ := site(t, "", func(http.ResponseWriter, *http.Request, http.Handler) {})
	p.variables["PLATFORMSH_CLI_TOKEN"] = sandbox.DefaultToken
	p.variables["PLATFORM_SMTP_HOST"], p.variables["MAILFROM"] = mailServer(t), "cron@example.com"
	for _, name := range []string{"CHAT_URL", "CHECK_URL", "BACKUP_CHECK_URL", "HEARTBEAT_URL"} {
		p.variables[name] = heard + "/" + name
	}
	// The app has what examples call.
	write(t, "#!/bin/sh\n", p.folder, "bin", "drush")
	write(t, "#!/bin/sh\n", p.container.app, "cleanup.sh")
	require.NoError(t, os.Mkdir(filepath.Join(p.container.app, "web"), 0o755))
	write(t, "#!/bin/sh\n[ ! -e broken ] || { echo 'import.php: the shop does not answer' >&2; exit 1; }\necho 'imported 12 products'\n", p.folder, "bin", "php")
	p.apply(nil)
	p.shell("sh container", 0, []statement{{0, "touch broken"}, {0, "cronagent trigger import 2>&1 || rm broken"}, {0, "cronagent trigger import"}, {0, "cronagent trigger backup"}, {0, "cronagent tick"}})
	return p
}

// readerEnv is the environment of a new shell of the reader, who may build cronagent
// there with what the tests were built with.
func (p *page) readerEnv() []string {
	path := "/usr/bin:/bin"
	if !p.bare {
		path = scratch + ":" + path
	}
	env := []string{"HOME=" + p.home, "LANG=C.UTF-8", "CRONAGENT_API_URL=" + p.address, "CRONAGENT_AUTH_URL=" + p.address, "TMPDIR=" + p.tmp,
		"GIT_AUTHOR_NAME=reader", "GIT_AUTHOR_EMAIL=reader@example.com", "GIT_COMMITTER_NAME=reader", "GIT_COMMITTER_EMAIL=reader@example.com"}
	if !p.bare {
		env = append(env, "PLATFORMSH_CLI_TOKEN="+sandbox.DefaultToken)
	}
	if p.dir != p.home {
		// As dist.sh builds, so that little is compiled once more.
		env = append(env, goEnv(p.t)...)
		env = append(env, "CGO_ENABLED=0", "GOFLAGS=-trimpath -tags=nethttpomithttp2")
		path += ":" + filepath.Dir(program(p.t, "go"))
	}
	return append(env, "PATH="+path)
}

// goEnv is where Go keeps what it downloaded and compiled.
func goEnv(t *testing.T) []string {
	t.Helper()
	names := []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOTOOLCHAIN"}
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	require.NoError(t, err)
	var env []string
	for i, value := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		env = append(env, names[i]+"="+value)
	}
	return env
}

// containerEnv is what a cron or a login has before it sources .environment.
func (p *page) containerEnv() []string {
	app := p.container.app
	marshalled, err := json.Marshal(p.config)
	require.NoError(p.t, err)
	application := []byte(p.said.Replace(string(marshalled)))
	env := []string{"PATH=" + p.folder + "/bin:/usr/bin:/bin", "HOME=" + app, "LANG=C.UTF-8", "TMPDIR=" + p.tmp,
		"PLATFORM_PROJECT=" + sandbox.DefaultProject, "PLATFORM_APPLICATION_NAME=app", "PLATFORM_APP_DIR=" + app,
		"PLATFORM_APPLICATION=" + base64.StdEncoding.EncodeToString(application), "PLATFORM_VARIABLES=" + base64.StdEncoding.EncodeToString([]byte("{}")),
		"PLATFORM_BRANCH=main", "PLATFORM_ENVIRONMENT=main-bvxea6i", "PLATFORM_ENVIRONMENT_TYPE=production",
		"CRONAGENT_API_URL=" + p.address, "CRONAGENT_AUTH_URL=" + p.address}
	for name, value := range p.variables {
		env = append(env, name+"="+value)
	}
	for _, name := range []string{"PLATFORMSH_CLI_TOKEN", "UPSUN_CLI_TOKEN", "OVHCLOUD_WEBPAAS_CLI_TOKEN", "MAILTO"} {
		if value := p.server.Variable("main", "env:"+name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// typed types the commands of a block.
func (p *page) typed(b block) {
	p.t.Helper()
	var segment []statement
	all := p.doc.statements(p.t, b)
	for i, s := range all {
		a := apartFrom(s.text)
		if a == nil {
			segment = append(segment, s)
		}
		if (a != nil || i == len(all)-1) && len(segment) > 0 {
			status := 0
			if a == nil {
				status = b.status
			}
			p.shell(b.kind, status, segment)
			segment = nil
		}
		if a != nil && a.instead != nil {
			a.instead(p.t, s.text)
		}
		if a != nil && a.prints != nil {
			p.stays(b.kind, s, a.prints)
		}
	}
}

// shell types commands until one fails, and expects the last one to end with status.
// On the reader's machine the folder and what is exported stay.
func (p *page) shell(kind string, status int, commands []statement) {
	p.t.Helper()
	reached := filepath.Join(p.folder, "reached")
	script := "set -eu\n"
	for i, c := range commands {
		script += fmt.Sprintf("echo %d >%s\n%s\n", i, reached, p.said.Replace(c.text))
	}
	stdout, stderr, ended := run(p.t, p.prepared(kind, script))
	text, err := os.ReadFile(reached)
	require.NoError(p.t, err, stderr)
	last := 0
	_, err = fmt.Sscan(string(text), &last)
	require.NoError(p.t, err)
	at := fmt.Sprintf("%s:%d: %s\n%s%s", p.doc.name, commands[last].line, commands[last].text, stdout, stderr)
	require.Equal(p.t, status, ended, at)
	require.Equal(p.t, len(commands)-1, last, "this ended the block: %s", at)
	p.output.WriteString("$ " + script + stdout + stderr)
}

// prepared is a shell that runs a script where it is typed.
func (p *page) prepared(kind, script string) *exec.Cmd {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	p.t.Cleanup(cancel)
	if kind == "sh container" {
		return p.command(ctx, p.container.app, p.containerEnv(), "dash", ". ./.environment\n"+script)
	}
	kept := filepath.Join(p.home, ".kept")
	return p.command(ctx, p.dir, p.readerEnv(), "bash", "[ ! -e "+kept+" ] || . "+kept+"\n"+
		"trap '{ export -p; echo \"cd \\\"$PWD\\\"\"; } >"+kept+"' EXIT\n"+script)
}

func (p *page) command(ctx context.Context, dir string, env []string, shell, script string) *exec.Cmd {
	p.t.Helper()
	cmd := exec.CommandContext(ctx, program(p.t, shell), "-c", script)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, env, time.Minute // for the output of what it left running
	return cmd
}

// stays starts a command that goes on until it is stopped, waits until it prints what
// shows that it works, and stops it.
func (p *page) stays(kind string, s statement, prints *regexp.Regexp) {
	p.t.Helper()
	cmd := p.prepared(kind, "trap - EXIT\nexec "+p.said.Replace(s.text))
	out, err := os.Create(filepath.Join(p.folder, "out"))
	require.NoError(p.t, err)
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(p.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	at := func() string { return fmt.Sprintf("%s:%d: %s\n%s", p.doc.name, s.line, s.text, read(p.t, out.Name())) }
	for !prints.MatchString(read(p.t, out.Name())) {
		select {
		case err := <-ended:
			require.FailNow(p.t, "it ended by itself", "%v: %s", err, at())
		case <-time.After(5 * time.Millisecond):
		}
	}
	require.NoError(p.t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(p.t, <-ended, at())
}

// ours is a call of cronagent, under one of its names.
var ours = regexp.MustCompile(`\b(cronagent|platform|upsun|webpaas) [a-z]`)

// deploy deploys a configuration: it runs the build hook that installs cronagent, and
// each of the platform's crons that calls it.
func (p *page) deploy(b block) {
	p.t.Helper()
	app := p.apply([]byte(b.text))
	at := fmt.Sprintf("%s:%d", p.doc.name, b.line)
	if strings.Contains(app.Hooks.Build, "/install.sh") {
		p.container.env["PATH"] = "/usr/bin:/bin"
		stdout, stderr, status := run(p.t, p.container.command("", "-c", p.said.Replace(app.Hooks.Build)))
		require.Zero(p.t, status, "%s: the build hook\n%s%s", at, stdout, stderr)
		p.output.WriteString(stdout + stderr)
	}
	for name, c := range app.Crons {
		if command := c.Cmd + c.Commands.Start; ours.MatchString(command) {
			p.t.Logf("%s: the cron %s", at, name)
			p.shell("sh container", 0, []statement{{b.line, command}})
		}
	}
}

// declared is what is looked at of a block of configuration.
type declared struct {
	Hooks struct{ Build string }
	Crons map[string]struct {
		Cmd      string
		Commands struct{ Start string }
	}
}

// apply makes a configuration the app's, over what it has before a document says
// anything. Its crons take the place of those. It must be one that we read without
// complaint.
func (p *page) apply(text []byte) (d declared) {
	p.t.Helper()
	var given map[string]any
	require.NoError(p.t, yaml.Unmarshal(text, &given))
	if all, ok := given["applications"].(map[string]any); ok {
		for _, app := range all {
			given = app.(map[string]any)
		}
	}
	p.config = map[string]any{"name": "app"}
	if !p.bare {
		require.NoError(p.t, yaml.Unmarshal([]byte(defaultConfig), &p.config))
	}
	merge(p.config, given)
	p.config["name"] = "app"
	merged, err := yaml.Marshal(p.config)
	require.NoError(p.t, err)
	app := readApp(p.t, p.writeConfig(merged))
	assert.NoError(p.t, app.Problem, p.doc.name)
	for _, c := range app.Crons {
		assert.NoError(p.t, c.Problem, "%s: %s", p.doc.name, c.Name)
	}
	if settings := fmt.Sprint(p.config["variables"]); strings.Contains(settings, "ledger:") {
		p.variables["CRONAGENT_LEDGER"] = "file" // TestDatabaseScripts has databases
	}
	part, err := yaml.Marshal(given)
	require.NoError(p.t, err)
	require.NoError(p.t, yaml.Unmarshal(part, &d))
	return d
}

// writeConfig puts the configuration into the reader's repository and the container.
func (p *page) writeConfig(text []byte) (file string) {
	p.t.Helper()
	write(p.t, string(text), p.dir, ".platform.app.yaml")
	file = filepath.Join(p.container.app, ".platform.app.yaml")
	write(p.t, p.said.Replace(string(text)), file)
	require.NoError(p.t, os.MkdirAll(filepath.Join(p.container.app, ".cronagent"), 0o700))
	return file
}

// merge puts what is in from into the map into.
func merge(into, from map[string]any) {
	for key, value := range from {
		below, ok := value.(map[string]any)
		there, known := into[key].(map[string]any)
		if ok && known && key != "crons" {
			merge(there, below)
			continue
		}
		into[key] = value
	}
}
