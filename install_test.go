// Package install_test runs install.sh and dist.sh as their users do: in dash, busybox sh and bash, against web
// servers on loopback, with nothing in PATH but what the case is about. Most cases install a shell script instead
// of the binary, made by the real dist.sh around a stand-in for go; TestRelease builds and installs the real one.
package install_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/syntax"
)

const (
	version     = "1.2.3"
	placeholder = "https://downloads.cronagent.example" // in the source install.sh
	binaryName  = "cronagent-" + version + "-linux-" + runtime.GOARCH
)

// scratch holds what the cases share. TestMain makes and removes it.
var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "cronagent-install")
	if err != nil {
		panic(err)
	}
	scratch = dir
	status := 1
	// TestReadOnlyTarget runs a shell in there as somebody else.
	if err := os.Chmod(dir, 0o755); err == nil {
		status = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(status)
}

// debianPackage names the packages of those needed programs that are not in coreutils.
var debianPackage = map[string]string{
	"dash": "dash", "busybox": "busybox", "bash": "bash", "curl": "curl", "wget": "wget", "gzip": "gzip", "grep": "grep",
	"sed": "sed", "tar": "tar", "shasum": "perl", "openssl": "openssl", "shellcheck": "shellcheck",
}

// program returns the path of a program; a missing one fails the test with the name of its Debian package.
func program(t *testing.T, name string) string {
	t.Helper()
	pkg, ok := debianPackage[name]
	if !ok {
		pkg = "coreutils"
	}
	path, err := exec.LookPath(name)
	require.NoErrorf(t, err, "%s is missing; apt-get install -y %s", name, pkg)
	return path
}

// shells are those that the script is piped into. Each comes with a way to download of its own.
var shells = []struct {
	name, loader string
	argv         []string
}{
	{"dash", "curl", []string{"dash"}},
	{"busybox", "wget", []string{"busybox", "sh"}},
	{"bash", "wget", []string{"bash", "--posix"}},
}

const dash, busybox = 0, 1

func eachShell(t *testing.T, test func(t *testing.T, shell int)) {
	for i, s := range shells {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			test(t, i)
		})
	}
}

// fakeModule is a module with the real scripts, an example, and a stand-in for go in bin.
func fakeModule() (root string, err error) {
	if root, err = os.MkdirTemp(scratch, "module"); err != nil {
		return "", err
	}
	goCommand := "#!/bin/sh\nset -e\nif [ \"$1\" = run ]; then\nfor last; do :; done\nmkdir -p \"$last\"\necho page >\"$last/cronagent.1\"\nexit\nfi\nwhile [ \"$1\" != -o ]; do shift; done\n" +
		"printf '#!/bin/sh\\n# github.com/cronagent/cronagent\\necho %s \"$*\"\\n' \"${2##*/}\" >\"$2\"\nchmod 755 \"$2\"\n"
	for name, content := range map[string]string{
		"bin/go":                      goCommand,
		"examples/.platform.app.yaml": "# curl -fsS " + placeholder + "/install.sh | sh\n# " + placeholder + "\n",
		"examples/examples.go":        "package examples\n",
		"dist.sh":                     "", "install.sh": "",
	} {
		text := []byte(content)
		if content == "" {
			if text, err = os.ReadFile(name); err != nil {
				return "", err
			}
		}
		path := filepath.Join(root, name)
		// A child of another test that is forked meanwhile would hold the file open for
		// writing, and what is open for writing cannot be executed.
		syscall.ForkLock.RLock()
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o755))
		syscall.ForkLock.RUnlock()
		if err != nil {
			return "", err
		}
	}
	return root, nil
}

// runDist runs root/dist.sh and returns what it printed.
func runDist(root string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(root, "dist.sh"), args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(root, "bin")+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("dist.sh %q: %w: %s", args, err, out)
	}
	return string(out), err
}

// fakeRelease is the folder of a release made in a fakeModule: its "binaries" are shell scripts that print their
// name, and the address in its install.sh is that of a server which is gone.
var fakeRelease = sync.OnceValues(func() (string, error) {
	gone := httptest.NewServer(nil)
	gone.Close()
	root, err := fakeModule()
	if err != nil {
		return "", err
	}
	_, err = runDist(root, version, "--base-url", gone.URL)
	return filepath.Join(root, "dist"), err
})

func fakeDist(t *testing.T) string {
	t.Helper()
	dist, err := fakeRelease()
	require.NoError(t, err)
	return dist
}

func read(t *testing.T, elem ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(elem...))
	require.NoError(t, err)
	return string(content)
}

func write(t *testing.T, content string, elem ...string) {
	t.Helper()
	path := filepath.Join(elem...)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o755))
}

func sum(content string) string {
	s := sha256.Sum256([]byte(content))
	return hex.EncodeToString(s[:])
}

// site serves a release. wrap, if not nil, answers instead and may call the files.
func site(t *testing.T, dist string, wrap func(w http.ResponseWriter, r *http.Request, files http.Handler)) (url string, hits *atomic.Int32) {
	t.Helper()
	hits = new(atomic.Int32)
	files := http.FileServer(http.Dir(dist))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		if wrap == nil {
			files.ServeHTTP(w, r)
			return
		}
		wrap(w, r, files)
	}))
	t.Cleanup(server.Close)
	return server.URL, hits
}

// box is a build container in small: an application folder, which is HOME too, and a PATH of its own.
type box struct {
	t      *testing.T
	shell  int
	script string // what is piped into the shell
	app    string
	bin    string // the only folder in PATH
	env    map[string]string
}

// newBox is the build of an application that has a file. url is where it downloads from; empty is what the script
// says.
func newBox(t *testing.T, shell int, url string) *box {
	t.Helper()
	// Not t.TempDir: it is named after the case, with characters that the installer does not write to .environment.
	dir, err := os.MkdirTemp(scratch, "box")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	b := &box{t: t, shell: shell, script: read(t, fakeDist(t), "install.sh"), app: filepath.Join(dir, "app"), bin: filepath.Join(dir, "bin")}
	write(t, "hello\n", b.app, "index.html")
	require.NoError(t, os.Mkdir(b.bin, 0o755))
	b.env = map[string]string{"PATH": b.bin, "HOME": b.app, "CI": "true", "PLATFORM_PROJECT": "abcdefgh1234567",
		"PLATFORM_APP_DIR": b.app, "PLATFORM_APPLICATION_NAME": "app", "PLATFORM_VENDOR": "upsun"}
	if url != "" {
		b.env["CRONAGENT_BASE_URL"] = url
	}
	for _, name := range strings.Fields("cat chmod cp grep gzip ln mkdir mktemp mv readlink rm rmdir sed sha256sum tail tr uname") {
		b.tool(name)
	}
	b.tool(shells[shell].loader)
	b.stub("sleep", "") // between the attempts of a download
	return b
}

// tool puts a program into PATH, in busybox its own, where it has it.
func (b *box) tool(name string) {
	b.t.Helper()
	path := ""
	if b.shell == busybox && name != "curl" && name != "openssl" && name != "shasum" {
		path = program(b.t, "busybox")
	} else {
		path = program(b.t, name)
	}
	require.NoError(b.t, os.Symlink(path, filepath.Join(b.bin, name)))
}

// stub puts a shell script into PATH, in place of the tool.
func (b *box) stub(name, script string) {
	b.t.Helper()
	b.remove(name)
	write(b.t, "#!/bin/sh\n"+script+"\n", b.bin, name)
}

// remove takes tools out of PATH.
func (b *box) remove(names ...string) {
	b.t.Helper()
	for _, name := range names {
		require.NoError(b.t, os.RemoveAll(filepath.Join(b.bin, name)))
	}
}

// command is the shell, in the application's folder, with its standard input and arguments.
func (b *box) command(stdin string, args ...string) *exec.Cmd {
	b.t.Helper()
	argv := shells[b.shell].argv
	cmd := exec.Command(program(b.t, argv[0]), append(argv[1:len(argv):len(argv)], args...)...)
	cmd.Dir = b.app
	cmd.Stdin = strings.NewReader(stdin)
	for k, v := range b.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

// run runs a command and returns both of its outputs and its status.
func run(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		require.ErrorAs(t, err, new(*exec.ExitError), errs.String())
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// install pipes the script into the shell.
func (b *box) install(args ...string) (stderr string, status int) {
	b.t.Helper()
	stdout, stderr, status := run(b.t, b.command(b.script, append([]string{"-s", "--"}, args...)...))
	assert.Empty(b.t, stdout, "the installer talks on stderr")
	return stderr, status
}

// mustInstall is install for cases in which it succeeds.
func (b *box) mustInstall(args ...string) (stderr string) {
	b.t.Helper()
	stderr, status := b.install(args...)
	require.Zero(b.t, status, stderr)
	return stderr
}

// tree lists what is below a folder: each path with its mode and content, and for files the time of change.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			content += " " + info.ModTime().String() + "\n" + read(t, path)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			content += " -> " + target
		}
		found[path] = content
		return nil
	}))
	return found
}

// contents is tree without the times.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	found := tree(t, root)
	for path, content := range found {
		mode, rest, ok := strings.Cut(content, "\n")
		if mode, _, _ = strings.Cut(mode, " "); ok {
			found[path] = mode + "\n" + rest
		}
	}
	return found
}

// sourced is what a dash sees that has sourced .environment as the platform does, here twice and with -eu.
func (b *box) sourced(variable string) string {
	b.t.Helper()
	cmd := exec.Command(program(b.t, "dash"), "-euc", `. ./.environment; . ./.environment; printf '[%s]' "${`+variable+`-}"`)
	cmd.Dir, cmd.Env = b.app, []string{"PATH=/usr/bin"}
	stdout, stderr, status := run(b.t, cmd)
	require.Zero(b.t, status, stderr)
	assert.Empty(b.t, stderr, ".environment must not print")
	return strings.TrimSuffix(strings.TrimPrefix(stdout, "["), "]")
}

func (b *box) path(elem ...string) string {
	return filepath.Join(append([]string{b.app, ".platformsh", "bin"}, elem...)...)
}

func TestBuildHook(t *testing.T) {
	t.Parallel()
	none := "\x00"
	for name, environment := range map[string]string{
		"no .environment":                     none,
		".environment is empty":               "",
		".environment ends with a line end":   "export A=1\n",
		".environment ends without one":       "export A=1",
		".environment ends with an empty row": "export A=1\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell int) {
				url, hits := site(t, fakeDist(t), nil)
				b := newBox(t, shell, url)
				if environment != none {
					write(t, environment, b.app, ".environment")
				}
				before := contents(t, b.app)

				stderr := b.mustInstall()
				assert.Equal(t, 2, strings.Count(stderr, "\n"), stderr)
				assert.Contains(t, stderr, "installed cronagent 1.2.3")
				assert.Contains(t, stderr, ".platformsh/bin/cronagent version")
				assert.Equal(t, read(t, fakeDist(t), binaryName), read(t, b.path("cronagent")))
				for _, link := range []string{"platform", "upsun", "webpaas"} {
					target, err := os.Readlink(b.path(link))
					require.NoError(t, err)
					assert.Equal(t, "cronagent", target)
				}
				entries, err := os.ReadDir(b.path())
				require.NoError(t, err)
				assert.Len(t, entries, 4, "no temporary file is left")
				assert.Equal(t, "/usr/bin:"+b.path(), b.sourced("PATH"), "our folder is last, and there once")
				assert.Equal(t, "upsun", b.sourced("CRONAGENT_VENDOR"))
				if strings.Contains(environment, "A=1") {
					assert.Equal(t, "1", b.sourced("A"))
				}

				stdout, stderr, status := run(t, b.command("", "-c", ".platformsh/bin/cronagent version"))
				require.Zero(t, status, stderr)
				assert.Equal(t, binaryName+" version\n", stdout)

				after, requests := tree(t, b.app), hits.Load()
				stderr = b.mustInstall()
				assert.Contains(t, stderr, "already there: cronagent 1.2.3")
				assert.Equal(t, after, tree(t, b.app), "running it again changes nothing")
				assert.Equal(t, requests, hits.Load(), "and downloads nothing")

				assert.Contains(t, b.mustInstall("--uninstall"), "removed")
				assert.Equal(t, before, contents(t, b.app))
				assert.Contains(t, b.mustInstall("--uninstall"), "nothing to remove")
			})
		})
	}
}

// A pipe has the status of sh, and sh is content with nothing.
func TestHookFailsWithoutDownload(t *testing.T) {
	t.Parallel()
	alive, _ := site(t, fakeDist(t), nil)
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, c := range []struct {
		name, url, before, reached string
		status                     int
	}{
		{"no install.sh", gone.URL, "", "after the pipe", 127},
		{"no install.sh, with set -e", gone.URL, "set -e", "after the pipe", 127},
		{"no binary", alive, "", "after the pipe", 127}, // the server that its install.sh names is gone
		{"no binary, with set -e", alive, "set -e", "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, dash, "")
			require.NoError(t, os.Symlink(program(t, "dash"), filepath.Join(b.bin, "sh")))
			before := tree(t, b.app)
			hook := c.before + "\ncurl -fsS " + c.url + "/install.sh | sh\nprintf 'after the pipe'\n.platformsh/bin/cronagent version"
			stdout, stderr, status := run(t, b.command("", "-c", hook))
			assert.Equal(t, c.status, status, stderr)
			assert.Equal(t, c.reached, stdout)
			assert.Contains(t, stderr, "curl: (7)")
			assert.Equal(t, before, tree(t, b.app))
		})
	}
}

// refusal is a case in which nothing is installed, and nothing at all is changed in the application's folder.
type refusal struct {
	name   string
	serve  func(w http.ResponseWriter, r *http.Request, files http.Handler)
	setup  func(b *box)
	args   []string
	status int
	says   []string
}

func edit(old, replacement string) func(*box) {
	return func(b *box) {
		require.Contains(b.t, b.script, old)
		b.script = strings.Replace(b.script, old, replacement, 1)
	}
}

func env(pairs ...string) func(*box) {
	return func(b *box) {
		for i := 0; i < len(pairs); i += 2 {
			b.env[pairs[i]] = pairs[i+1]
		}
	}
}

func without(names ...string) func(*box) {
	return func(b *box) { b.remove(names...) }
}

func uname(system, machine string) func(*box) {
	return func(b *box) {
		b.stub("uname", `case $1 in -s) echo `+system+`;; -m) echo `+machine+`;; esac`)
	}
}

func gzipped(text string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write([]byte(text)) // a bytes.Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

func answer(content []byte) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = w.Write(content) }
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	otherSum := strings.Repeat("ab", 32)
	other := env("CRONAGENT_VERSION", "9.9.9", "CRONAGENT_SHA256", otherSum)
	sumLine := func(kind string) string {
		line, _, _ := strings.Cut(read(t, fakeDist(t), "install.sh")[strings.Index(read(t, fakeDist(t), "install.sh"), kind+"_sum_"+runtime.GOARCH+"='"):], "\n")
		return line
	}
	cases := []refusal{
		{name: "wrong checksum", serve: answer(gzipped("evil")), status: 1, says: []string{"has sha256 " + sum(string(gzipped("evil"))), "nothing was installed"}},
		{name: "wrong binary in an unknown download", serve: answer(gzipped("evil")), setup: other, status: 1, says: []string{"holds a binary with sha256 " + sum("evil") + ", not " + otherSum}},
		{name: "a page instead of a download", serve: answer([]byte("<html>")), setup: other, status: 1, says: []string{"is not a gzip file"}},
		{name: "missing checksum of the binary", setup: edit(sumLine("binary"), "binary_sum_"+runtime.GOARCH+"=''"), status: 1, says: []string{"has no checksum for linux/" + runtime.GOARCH}},
		{name: "damaged checksum of the binary", setup: edit(sumLine("binary"), "binary_sum_"+runtime.GOARCH+"='abc'"), status: 1, says: []string{"has no checksum for linux/" + runtime.GOARCH}},
		{name: "no tool to verify with", setup: without("sha256sum"), status: 1, says: []string{"no sha256sum, no shasum, no openssl"}},
		{name: "a tool to verify with that fails", setup: func(b *box) { b.stub("sha256sum", "exit 1") }, status: 1, says: nil},
		{name: "unknown machine", setup: uname("Linux", "riscv64"), status: 1, says: []string{`"Linux riscv64"`, "x86_64"}},
		{name: "32 bits", setup: uname("Linux", "i686"), status: 1, says: []string{`"Linux i686"`}},
		{name: "unknown system", setup: uname("Darwin", "arm64"), status: 1, says: []string{`"Darwin arm64"`}},
		{name: "interrupted download", status: 1, says: []string{"cannot download", "nothing was installed"}, serve: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(make([]byte, 50000))
			panic(http.ErrAbortHandler)
		}},
		{name: "no such file", serve: func(w http.ResponseWriter, r *http.Request, _ http.Handler) { http.NotFound(w, r) }, status: 1, says: []string{"cannot download", "/" + binaryName + ".gz", "CRONAGENT_BASE_URL"}},
		{name: "dead server", setup: func(b *box) { delete(b.env, "CRONAGENT_BASE_URL") }, status: 1, says: []string{"cannot download http://127.0.0.1:"}},
		{name: "no curl and no wget", setup: without("curl", "wget"), status: 1, says: []string{"no curl, no wget"}},
		{name: "a missing tool", setup: without("gzip"), status: 1, says: []string{`"gzip" is missing`}},
		{name: "another version without its sum", setup: env("CRONAGENT_VERSION", "9.9.9"), status: 2, says: []string{"checksums of 1.2.3, not those of 9.9.9", "hint: set CRONAGENT_SHA256"}},
		{name: "a version that is a path", setup: env("CRONAGENT_VERSION", "../9", "CRONAGENT_SHA256", otherSum), status: 2, says: []string{"CRONAGENT_VERSION is not a version"}},
		{name: "pinned to another sum", setup: env("CRONAGENT_SHA256", otherSum), status: 1, says: []string{"CRONAGENT_SHA256 is " + otherSum}},
		{name: "pinned to no sum", setup: env("CRONAGENT_SHA256", "abc"), status: 2, says: []string{"64 hexadecimal digits"}},
		{name: "plain http to another machine", setup: env("CRONAGENT_BASE_URL", "http://192.0.2.1/x"), status: 2, says: []string{"is not https"}},
		{name: "another machine that begins like this one", setup: env("CRONAGENT_BASE_URL", "http://127.0.0.1.evil.test"), status: 2, says: []string{"is not https"}},
		{name: "another machine behind an at sign", setup: env("CRONAGENT_BASE_URL", "http://127.0.0.1:80@evil.test"), status: 2, says: []string{"characters that it must not have"}},
		{name: "a file instead of a server", setup: env("CRONAGENT_BASE_URL", "file:///etc"), status: 2, says: []string{"is not https"}},
		{name: "never published", setup: env("CRONAGENT_BASE_URL", placeholder), status: 1, says: []string{"is a placeholder", "--base-url"}},
		{name: "not made by dist.sh", setup: func(b *box) { b.script = read(t, "install.sh") }, status: 1, says: []string{"is a source file", "hint: make one that does: ./dist.sh VERSION"}},
		{name: "unknown argument", args: []string{"--force"}, status: 2, says: []string{`unknown argument "--force"`, "--help"}},
		{name: "links neither yes nor no", setup: env("CRONAGENT_LINKS", "maybe"), status: 2, says: []string{`CRONAGENT_LINKS is "maybe"`}},
		{name: "no application folder", setup: env("PLATFORM_APP_DIR", "/nonexistent"), status: 1, says: []string{`"/nonexistent", and there is no such folder`}},
		{name: "relative application folder", setup: env("PLATFORM_APP_DIR", "."), status: 1, says: []string{"not the absolute path"}},
		{name: "the root as target", setup: env("CRONAGENT_INSTALL_DIR", "/"), status: 2, says: []string{"is not a folder to install into"}},
		{name: "a target with dots", setup: env("CRONAGENT_INSTALL_DIR", "../bin"), status: 2, says: []string{"is not a folder to install into"}},
		{name: "neither a build nor a HOME", setup: func(b *box) { delete(b.env, "HOME"); delete(b.env, "PLATFORM_APP_DIR") }, status: 1, says: []string{"HOME is not set", "CRONAGENT_INSTALL_DIR"}},
		{name: "a file where the folder should be", setup: func(b *box) { write(b.t, "", b.app, ".platformsh") }, status: 1, says: []string{"cannot make the folder", "CRONAGENT_INSTALL_DIR"}},
		{name: "a folder where the binary should be", setup: func(b *box) { write(b.t, "", b.path("cronagent", "x")) }, status: 1, says: []string{"is a folder"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell int) {
				url, _ := site(t, fakeDist(t), c.serve)
				b := newBox(t, shell, url)
				if c.setup != nil {
					c.setup(b)
				}
				before := tree(t, b.app)
				stderr, status := b.install(c.args...)
				assert.Equal(t, c.status, status, stderr)
				assert.Contains(t, stderr, "cronagent: error: ")
				for _, text := range c.says {
					assert.Contains(t, stderr, text)
				}
				assert.Equal(t, before, tree(t, b.app), "nothing is left behind")
			})
		})
	}
}

func TestReadOnlyTarget(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell int) {
		url, _ := site(t, fakeDist(t), nil)
		b := newBox(t, shell, url)
		b.env["PLATFORM_BRANCH"] = "main"
		require.NoError(t, os.Chmod(b.app, 0o555))
		t.Cleanup(func() { _ = os.Chmod(b.app, 0o755) })
		cmd := b.command(b.script)
		if os.Geteuid() == 0 {
			// Root writes anywhere; nobody does not.
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		before := tree(t, b.app)
		_, stderr, status := run(t, cmd)
		assert.Equal(t, 1, status)
		assert.Contains(t, stderr, "cronagent: error: cannot make the folder "+b.path())
		assert.Contains(t, stderr, "hint: the application is read-only at run time: install in the build hook")
		assert.Equal(t, before, tree(t, b.app))
	})
}

func TestSignalInTheMiddle(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell int) {
		begun, dropped, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var once sync.Once
		url, _ := site(t, fakeDist(t), func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(make([]byte, 50000))
			w.(http.Flusher).Flush()
			once.Do(func() { close(begun) })
			select {
			case <-r.Context().Done():
				close(dropped)
			case <-over: // or the server waits for a client that waits for it
			}
		})
		t.Cleanup(func() { close(over) })
		b := newBox(t, shell, url)
		before := tree(t, b.app)
		cmd := b.command(b.script)
		require.NoError(t, cmd.Start())
		<-begun
		// To the shell alone, as a supervisor does that knows no process groups.
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		assert.Equal(t, 143, cmd.ProcessState.ExitCode(), cmd.ProcessState)
		select {
		case <-dropped:
		case <-time.After(20 * time.Second):
			assert.Fail(t, "the download goes on without the installer")
		}
		assert.Equal(t, before, tree(t, b.app))
	})
}

func TestWaysToVerifyAndToDownload(t *testing.T) {
	t.Parallel()
	for _, hasher := range []string{"sha256sum", "shasum", "openssl"} {
		for _, loader := range []string{"curl", "wget"} {
			t.Run(hasher+" and "+loader, func(t *testing.T) {
				t.Parallel()
				url, _ := site(t, fakeDist(t), nil)
				b := newBox(t, dash, url)
				b.remove("curl", "wget", "sha256sum")
				b.tool(hasher)
				b.tool(loader)
				b.mustInstall()
				assert.FileExists(t, b.path("cronagent"))
			})
		}
	}
	t.Run("curl before wget, and only https from elsewhere", func(t *testing.T) {
		t.Parallel()
		b := newBox(t, dash, "https://192.0.2.1/folder/")
		b.stub("curl", `echo "args: $*" >&2; exit 22`)
		b.stub("wget", `echo wget >&2; exit 1`)
		stderr, status := b.install()
		assert.Equal(t, 1, status)
		assert.Contains(t, stderr, "--proto =https --tlsv1.2 -fsSL --retry 3")
		assert.Contains(t, stderr, " https://192.0.2.1/folder/"+binaryName+".gz")
		assert.NotContains(t, stderr, "wget")
	})
	t.Run("a second attempt after a drop", func(t *testing.T) {
		t.Parallel()
		eachShell(t, func(t *testing.T, shell int) {
			var dropped atomic.Bool
			url, _ := site(t, fakeDist(t), func(w http.ResponseWriter, r *http.Request, files http.Handler) {
				if dropped.CompareAndSwap(false, true) {
					panic(http.ErrAbortHandler)
				}
				files.ServeHTTP(w, r)
			})
			b := newBox(t, shell, url)
			b.mustInstall()
			assert.FileExists(t, b.path("cronagent"))
		})
	})
	for machine, arch := range map[string]string{"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"} {
		t.Run(machine+" is "+arch, func(t *testing.T) {
			t.Parallel()
			url, _ := site(t, fakeDist(t), nil)
			b := newBox(t, dash, url)
			uname("Linux", machine)(b)
			b.mustInstall()
			assert.Contains(t, read(t, b.path("cronagent")), "linux-"+arch)
		})
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	t.Run("the sum of this version, in capitals", func(t *testing.T) {
		t.Parallel()
		url, _ := site(t, fakeDist(t), nil)
		b := newBox(t, dash, url)
		env("CRONAGENT_VERSION", version, "CRONAGENT_SHA256", strings.ToUpper(sum(read(t, fakeDist(t), binaryName))))(b)
		b.mustInstall()
		assert.FileExists(t, b.path("cronagent"))
	})
	t.Run("another version with its sum", func(t *testing.T) {
		t.Parallel()
		eachShell(t, func(t *testing.T, shell int) {
			url, _ := site(t, fakeDist(t), func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
				assert.Equal(t, "/cronagent-0.9.0-rc.1-linux-"+runtime.GOARCH+".gz", r.URL.Path)
				_, _ = w.Write(gzipped("older"))
			})
			b := newBox(t, shell, url)
			env("CRONAGENT_VERSION", "0.9.0-rc.1", "CRONAGENT_SHA256", sum("older"))(b)
			assert.Contains(t, b.mustInstall(), "installed cronagent 0.9.0-rc.1")
			assert.Equal(t, "older", read(t, b.path("cronagent")))
		})
	})
	t.Run("a newer version replaces the binary", func(t *testing.T) {
		t.Parallel()
		url, _ := site(t, fakeDist(t), nil)
		b := newBox(t, dash, url)
		write(t, "older github.com/cronagent/cronagent", b.path("cronagent"))
		b.mustInstall()
		assert.Equal(t, read(t, fakeDist(t), binaryName), read(t, b.path("cronagent")))
	})
}

func TestCache(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell int) {
		url, hits := site(t, fakeDist(t), nil)
		cache := t.TempDir()
		cached := filepath.Join(cache, "cronagent", binaryName+".gz")
		published := read(t, fakeDist(t), binaryName+".gz")
		build := func() (stderr string, requests int32) {
			t.Helper()
			before := hits.Load()
			b := newBox(t, shell, url)
			b.env["PLATFORM_CACHE_DIR"] = cache
			stderr = b.mustInstall()
			assert.Equal(t, read(t, fakeDist(t), binaryName), read(t, b.path("cronagent")))
			return stderr, hits.Load() - before
		}
		downloads := func(want int32, why string) {
			t.Helper()
			_, requests := build()
			assert.Equal(t, want, requests, why)
			assert.Equal(t, published, read(t, cached), why)
		}
		downloads(1, "the first build downloads and keeps it")
		downloads(0, "the next one takes what was kept")
		write(t, published[:len(published)-1], cached)
		downloads(1, "damaged: downloaded again and repaired")
		write(t, string(gzipped("planted by another branch")), cached)
		downloads(1, "not the right one: downloaded again and repaired")
		require.NoError(t, os.Remove(cached))
		require.NoError(t, os.Symlink("/dev/zero", cached))
		downloads(1, "no file: replaced")
		entries, err := os.ReadDir(filepath.Dir(cached))
		require.NoError(t, err)
		assert.Len(t, entries, 1, "no temporary file is left")

		b := newBox(t, shell, url)
		b.env["PLATFORM_CACHE_DIR"] = cache
		b.mustInstall()
		b.mustInstall("--uninstall")
		assert.NoDirExists(t, filepath.Dir(cached))

		write(t, "", cache, "cronagent")
		stderr, requests := build()
		assert.EqualValues(t, 1, requests)
		assert.Contains(t, stderr, "warning: could not keep the download")
	})
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		setup func(b *box)
		links map[string]string // name → target; "" for none of ours
		warns string
	}{
		"a file of somebody else stays": {
			func(b *box) { write(b.t, "the real CLI", b.path("platform")) },
			map[string]string{"upsun": "cronagent", "webpaas": "cronagent"}, "platform alone"},
		"a link to somewhere else stays, whole or dangling": {
			func(b *box) {
				require.NoError(b.t, os.MkdirAll(b.path(), 0o755))
				require.NoError(b.t, os.Symlink("/nonexistent/upsun", b.path("upsun")))
			},
			map[string]string{"platform": "cronagent", "upsun": "/nonexistent/upsun", "webpaas": "cronagent"}, "upsun alone"},
		"none with CRONAGENT_LINKS=no": {env("CRONAGENT_LINKS", "no"), nil, ""},
		"off the platform none for a command that is there": {
			func(b *box) {
				delete(b.env, "PLATFORM_PROJECT")
				b.env["CRONAGENT_INSTALL_DIR"] = b.path()
				b.stub("upsun", "")
			},
			map[string]string{"platform": "cronagent", "webpaas": "cronagent"}, "made no link"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell int) {
				url, _ := site(t, fakeDist(t), nil)
				b := newBox(t, shell, url)
				c.setup(b)
				before := contents(t, b.app)
				stderr := b.mustInstall()
				assert.Contains(t, stderr, c.warns)
				links := map[string]string{}
				for _, name := range []string{"platform", "upsun", "webpaas"} {
					if target, err := os.Readlink(b.path(name)); err == nil {
						links[name] = target
					}
				}
				if c.links == nil {
					c.links = map[string]string{}
				}
				assert.Equal(t, c.links, links)
				b.mustInstall("--uninstall")
				assert.Equal(t, before, contents(t, b.app))
			})
		})
	}
	t.Run("CRONAGENT_LINKS=no takes back those made before", func(t *testing.T) {
		t.Parallel()
		url, _ := site(t, fakeDist(t), nil)
		b := newBox(t, dash, url)
		b.mustInstall()
		b.env["CRONAGENT_LINKS"] = "no"
		b.mustInstall()
		assert.NoFileExists(t, b.path("platform"))
		assert.FileExists(t, b.path("cronagent"))
	})
}

func TestVendor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ platform, own, want string }{
		{"platformsh", "", "platformsh"}, {"platform", "", "platformsh"}, {"platform.sh", "", "platformsh"},
		{"upsun", "", "upsun"}, {"webpaas", "", "webpaas"}, {"ovh", "", "webpaas"}, {"ovhcloud", "", "webpaas"},
		{"", "", ""}, {"acme", "", ""}, {`";touch x;"`, "", ""},
		{"upsun", "webpaas", "webpaas"}, {"upsun", "acme", ""}, {"", `$(touch x)`, ""},
	} {
		t.Run(fmt.Sprintf("PLATFORM_VENDOR=%s and CRONAGENT_VENDOR=%s", c.platform, c.own), func(t *testing.T) {
			t.Parallel()
			url, _ := site(t, fakeDist(t), nil)
			b := newBox(t, dash, url)
			env("PLATFORM_VENDOR", c.platform, "CRONAGENT_VENDOR", c.own)(b)
			stderr := b.mustInstall()
			assert.Equal(t, c.want, b.sourced("CRONAGENT_VENDOR"))
			assert.Equal(t, c.want != "", strings.Contains(read(t, b.app, ".environment"), "CRONAGENT_VENDOR"))
			assert.Equal(t, c.own == "acme" || strings.Contains(c.own, "touch"), strings.Contains(stderr, "warning: ignored CRONAGENT_VENDOR"))
		})
	}
}

func TestEnvironmentLeftAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		setup func(b *box)
		says  string
	}{
		"a git work tree":          {func(b *box) { require.NoError(b.t, os.Mkdir(filepath.Join(b.app, ".git"), 0o755)) }, "is a git work tree"},
		"a linked git work tree":   {func(b *box) { write(b.t, "gitdir: x", b.app, ".git") }, "is a git work tree"},
		"DDEV":                     {env("IS_DDEV_PROJECT", "true"), "this is DDEV"},
		"run time":                 {env("PLATFORM_BRANCH", "main"), "PLATFORM_BRANCH is set"},
		"a target outside the app": {func(b *box) { b.env["CRONAGENT_INSTALL_DIR"] = b.t.TempDir() }, "will not be there at run time"},
		"a folder with a name that a shell would read": {func(b *box) {
			moved := filepath.Join(filepath.Dir(b.app), `a"$(touch x)`)
			require.NoError(b.t, os.Rename(b.app, moved))
			b.app, b.env["PLATFORM_APP_DIR"], b.env["HOME"] = moved, moved, moved
		}, "has characters other than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell int) {
				url, _ := site(t, fakeDist(t), nil)
				b := newBox(t, shell, url)
				c.setup(b)
				write(t, "export A=1", b.app, ".environment")
				before := tree(t, b.app)
				stderr := b.mustInstall()
				assert.Contains(t, stderr, "installed cronagent")
				assert.Contains(t, stderr, "warning: left .environment alone: ")
				assert.Contains(t, stderr, c.says)
				assert.Equal(t, 2, strings.Count(stderr, "\n"), stderr)
				if b.env["CRONAGENT_INSTALL_DIR"] == "" {
					assert.FileExists(t, b.path("cronagent"))
				}
				assert.Equal(t, "export A=1", read(t, b.app, ".environment"))
				b.mustInstall("--uninstall")
				assert.Equal(t, before, tree(t, b.app))
			})
		})
	}
}

func TestEnvironmentBlock(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell int) {
		url, _ := site(t, fakeDist(t), nil)
		begin, end := "# BEGIN cronagent", "# END cronagent"

		b := newBox(t, shell, url)
		b.mustInstall()
		b.env["PLATFORM_VENDOR"] = "ovh"
		b.mustInstall()
		assert.Equal(t, 1, strings.Count(read(t, b.app, ".environment"), begin), "another vendor: the block is replaced")
		assert.Equal(t, "webpaas", b.sourced("CRONAGENT_VENDOR"))
		write(t, read(t, b.app, ".environment")+"export B=2", b.app, ".environment")
		b.mustInstall("--uninstall")
		assert.Equal(t, "export B=2", read(t, b.app, ".environment"), "what others appended stays")

		b = newBox(t, shell, url)
		write(t, "export A=1", b.app, ".environment")
		b.mustInstall()
		write(t, read(t, b.app, ".environment")+"export B=2\n", b.app, ".environment")
		b.mustInstall("--uninstall")
		assert.Equal(t, "export A=1\nexport B=2\n", read(t, b.app, ".environment"), "no lines are glued together")

		b = newBox(t, shell, url)
		write(t, "export A=1\n", b.app, "config", "environment")
		require.NoError(t, os.Chmod(filepath.Join(b.app, "config", "environment"), 0o640))
		require.NoError(t, os.Symlink("config/environment", filepath.Join(b.app, ".environment")))
		before := contents(t, b.app)
		b.mustInstall()
		assert.Equal(t, "1", b.sourced("A"))
		assert.Contains(t, b.sourced("PATH"), b.path())
		b.mustInstall("--uninstall")
		assert.Equal(t, before, contents(t, b.app), "a link stays a link, a mode a mode")

		for _, broken := range []string{begin + "\nexport A=1\n", "export A=1\n" + end + "\n", end + "\nexport A=1\n" + begin + "\n"} {
			b = newBox(t, shell, url)
			write(t, broken, b.app, ".environment")
			stderr, status := b.install()
			assert.Equal(t, 1, status)
			assert.Contains(t, stderr, "do not come in pairs")
			assert.Equal(t, broken, read(t, b.app, ".environment"), "half a block: nothing is guessed")
		}

		b = newBox(t, shell, url)
		write(t, begin+"-like\n", b.app, ".environment")
		b.mustInstall()
		b.mustInstall("--uninstall")
		assert.Equal(t, begin+"-like\n", read(t, b.app, ".environment"), "only our own marks count")
	})
}

func TestOffThePlatform(t *testing.T) {
	t.Parallel()
	for name, setup := range map[string]func(b *box){
		"nothing set":                   func(b *box) { delete(b.env, "PLATFORM_PROJECT"); delete(b.env, "PLATFORM_APP_DIR") },
		"CI with only PLATFORM_PROJECT": func(b *box) { delete(b.env, "PLATFORM_APP_DIR") },
		"a .local that was there": func(b *box) {
			delete(b.env, "PLATFORM_PROJECT")
			require.NoError(b.t, os.MkdirAll(filepath.Join(b.app, ".local"), 0o755))
		},
		"an empty .local/bin that was there": func(b *box) {
			delete(b.env, "PLATFORM_PROJECT")
			require.NoError(b.t, os.MkdirAll(filepath.Join(b.app, ".local", "bin"), 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell int) {
				url, _ := site(t, fakeDist(t), nil)
				b := newBox(t, shell, url)
				setup(b)
				before := contents(t, b.app)
				stderr := b.mustInstall()
				assert.Contains(t, stderr, "in "+filepath.Join(b.app, ".local", "bin"))
				assert.Contains(t, stderr, "this is not a build of Platform.sh, Upsun or Web PaaS")
				assert.FileExists(t, filepath.Join(b.app, ".local", "bin", "cronagent"))
				assert.NoFileExists(t, filepath.Join(b.app, ".environment"))
				b.mustInstall("--uninstall")
				assert.Equal(t, before, contents(t, b.app))
			})
		})
	}
	t.Run("another program of that name", func(t *testing.T) {
		t.Parallel()
		eachShell(t, func(t *testing.T, shell int) {
			url, _ := site(t, fakeDist(t), nil)
			b := newBox(t, shell, url)
			delete(b.env, "PLATFORM_PROJECT")
			write(t, "#!/bin/sh\necho mine\n", b.app, ".local", "bin", "cronagent")
			before := contents(t, b.app)
			stderr, status := b.install()
			assert.Equal(t, 1, status)
			assert.Contains(t, stderr, "is another program of that name")
			assert.Equal(t, before, contents(t, b.app))
			assert.Contains(t, b.mustInstall("--uninstall"), "left "+filepath.Join(b.app, ".local", "bin", "cronagent")+" alone")
			assert.Equal(t, before, contents(t, b.app))
		})
	})
	t.Run("a folder of one's own", func(t *testing.T) {
		t.Parallel()
		url, _ := site(t, fakeDist(t), nil)
		b := newBox(t, dash, url)
		b.env["CRONAGENT_INSTALL_DIR"] = "tools/bin/"
		assert.Contains(t, b.mustInstall(), "the hook must be: tools/bin/cronagent version")
		assert.Equal(t, "/usr/bin:"+filepath.Join(b.app, "tools", "bin"), b.sourced("PATH"))
	})
}

// TestPrefixes runs what arrives of a download that breaks off, at any byte. A flat script would run half of its
// commands; one of definitions only would run "env" when cut off inside the name env_something.
func TestPrefixes(t *testing.T) {
	t.Parallel()
	script := read(t, fakeDist(t), "install.sh")
	require.True(t, strings.HasSuffix(script, "\nmain \"$@\"\n"))
	bin, app, log := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "log")
	for _, name := range strings.Fields("cat chmod cp curl env find grep gzip install ln locate ls make mkdir mktemp mv openssl perl " +
		"readlink rm rmdir sed sh sha256sum shasum sleep sum tail test touch tr uname w wget which who") {
		write(t, "#!/bin/sh\necho \"$PREFIX bytes ran $0 $*\" >>'"+log+"'\n", bin, name)
	}
	shell := func(shell, length int, stdin string, args ...string) {
		cmd := (&box{t: t, shell: shell, app: app, env: map[string]string{"PATH": bin, "HOME": app, "CI": "true",
			"PLATFORM_PROJECT": "p", "PLATFORM_APP_DIR": app, "PREFIX": fmt.Sprint(length)}}).command(stdin, args...)
		stdout, _, _ := run(t, cmd) // most end as a syntax error
		assert.Empty(t, stdout, "%s printed, given %d bytes", shells[shell].name, length)
	}

	// The longest that counts lacks two bytes: without the last line end alone the script is complete.
	longest := len(script) - 2
	t.Run("every one, read by dash", func(t *testing.T) {
		t.Parallel()
		// A process for each would take a minute. eval, too, runs each command before it reads the next.
		const each = `p=$1 n=$2; while [ "$n" -gt 0 ]; do PREFIX=${#p}; export PREFIX; (set --; eval "$p"); p=${p%?} n=$((n - 1)); done`
		const chunk = 2000
		for end := longest; end > 0; end -= chunk {
			t.Run(fmt.Sprint("up to ", end), func(t *testing.T) {
				t.Parallel()
				shell(dash, end, "", "-c", each, "dash", script[:end], fmt.Sprint(min(chunk, end)))
			})
		}
	})
	t.Run("a sample, piped into each shell", func(t *testing.T) {
		t.Parallel()
		eachShell(t, func(_ *testing.T, s int) {
			for length := 0; length <= longest; length++ {
				if length%67 == 0 || longest-length < 40 {
					shell(s, length, script[:length])
				}
			}
		})
	})
	t.Cleanup(func() {
		entries, err := os.ReadDir(app)
		require.NoError(t, err)
		assert.Empty(t, entries)
		assert.NoFileExists(t, log, "no command was run")
		shell(dash, len(script), script)
		assert.FileExists(t, log, "the whole script does run commands here")
	})
}

func TestScriptsAreCleanShell(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"install.sh", "dist.sh"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.Command(program(t, "shellcheck"), "-s", "sh", name).CombinedOutput()
			assert.NoError(t, err, string(out))
			source := read(t, name)
			file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX), syntax.KeepComments(true)).Parse(strings.NewReader(source), name)
			require.NoError(t, err)
			var formatted bytes.Buffer
			require.NoError(t, syntax.NewPrinter().Print(&formatted, file))
			assert.Equal(t, formatted.String(), source, "shfmt -ln=posix -w "+name)
			for _, s := range shells {
				out, err := exec.Command(program(t, s.argv[0]), append(s.argv[1:len(s.argv):len(s.argv)], "-n", name)...).CombinedOutput()
				assert.NoError(t, err, string(out))
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell int) {
		b := newBox(t, shell, "")
		stdout, stderr, status := run(t, b.command(b.script, "-s", "--", "--help"))
		assert.Zero(t, status)
		assert.Empty(t, stderr)
		for _, text := range []string{"1.2.3", "--uninstall", "CRONAGENT_VERSION", "CRONAGENT_BASE_URL", "CRONAGENT_INSTALL_DIR", "CRONAGENT_SHA256", "CRONAGENT_LINKS", "CRONAGENT_VENDOR"} {
			assert.Contains(t, stdout, text)
		}
	})
}

func TestDist(t *testing.T) {
	t.Parallel()
	module := func(t *testing.T) string {
		t.Helper()
		root, err := fakeModule()
		require.NoError(t, err)
		return root
	}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no version":            {nil, "no version given"},
		"two numbers":           {[]string{"1.2"}, `"1.2" is not a version`},
		"leading zero":          {[]string{"1.02.3"}, "is not a version"},
		"a path":                {[]string{"../1.2.3"}, "is not a version"},
		"two lines":             {[]string{"1.2.3\n1.2.3"}, "is not a version"},
		"two versions":          {[]string{"1.2.3", "1.2.4"}, "more than one version"},
		"plain http":            {[]string{"1.2.3", "--base-url", "http://downloads.test"}, "is not an address"},
		"a quote in the URL":    {[]string{"1.2.3", "--base-url", "https://downloads.test/'x"}, "is not an address"},
		"an option and no more": {[]string{"1.2.3", "--out"}, "--out needs a value"},
		"unknown option":        {[]string{"1.2.3", "--sign"}, `unknown option "--sign"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := module(t)
			out, err := runDist(root, c.args...)
			require.Error(t, err)
			assert.Contains(t, out, "cronagent: error: dist.sh: ")
			assert.Contains(t, out, c.says)
			assert.NoDirExists(t, filepath.Join(root, "dist"))
		})
	}
	t.Run("without an address it says so, and install.sh too", func(t *testing.T) {
		t.Parallel()
		root := module(t)
		out, err := runDist(root, "v2.0.0-rc.1")
		require.NoError(t, err)
		assert.Contains(t, out, "NOT READY TO PUBLISH")
		assert.Contains(t, out, placeholder)
		b := newBox(t, dash, "")
		b.script = read(t, root, "dist", "install.sh")
		stderr, status := b.install()
		assert.Equal(t, 1, status)
		assert.Contains(t, stderr, placeholder+" is a placeholder")
	})
	t.Run("the address is in install.sh and in the examples", func(t *testing.T) {
		t.Parallel()
		root := module(t)
		_, err := runDist(root, "1.2.3", "--base-url", "https://downloads.test/cron-agent/", "--out", "public")
		require.NoError(t, err)
		for _, file := range []string{"install.sh", "examples/.platform.app.yaml"} {
			text := read(t, root, "public", file)
			assert.Contains(t, text, "https://downloads.test/cron-agent")
			assert.NotContains(t, text, placeholder)
			assert.NotContains(t, text, "cron-agent//")
		}
		assert.NoFileExists(t, filepath.Join(root, "public", "examples", "examples.go"))
		assert.NoDirExists(t, filepath.Join(root, "dist"))
	})
	t.Run("an earlier dist is replaced, a folder with anything else is not", func(t *testing.T) {
		t.Parallel()
		root := module(t)
		_, err := runDist(root, "1.2.3")
		require.NoError(t, err)
		_, err = runDist(root, "1.2.4")
		require.NoError(t, err)
		assert.NoFileExists(t, filepath.Join(root, "dist", binaryName))
		for _, alien := range []string{"photo.jpg", "man/photo.1", "man/man1/other.1"} {
			path := filepath.Join(root, "dist", alien)
			write(t, "", path)
			out, err := runDist(root, "1.2.5")
			require.Error(t, err)
			assert.Contains(t, out, `holds "`+alien+`"`)
			assert.FileExists(t, path)
			require.NoError(t, os.Remove(path))
		}
	})
}

// copyModule copies the sources, without what git or dist.sh made.
func copyModule(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == "dist"):
			return fs.SkipDir
		case d.Type().IsRegular():
			write(t, read(t, path), to, name)
		}
		return nil
	}))
}

// TestRelease builds this module twice, in two folders, and installs the result.
func TestRelease(t *testing.T) {
	t.Parallel()
	var dist string
	url, _ := site(t, "", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.FileServer(http.Dir(dist)).ServeHTTP(w, r)
	})
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "a", "second")
	copyModule(t, ".", first)
	copyModule(t, first, second)
	_, err := runDist(first, version, "--base-url", url)
	require.NoError(t, err)
	_, err = runDist(second, version, "--base-url", url, "--out", "public")
	require.NoError(t, err)
	dist = filepath.Join(first, "dist")
	assert.Equal(t, read(t, dist, "SHA256SUMS"), read(t, second, "public", "SHA256SUMS"), "the same sources give the same bytes")

	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		path := filepath.Join(dist, "cronagent-"+version+"-linux-"+arch)
		binary, err := elf.Open(path)
		require.NoError(t, err)
		defer binary.Close()
		assert.Equal(t, machine, binary.Machine)
		assert.Nil(t, binary.Section(".symtab"), "stripped")
		assert.Nil(t, binary.Section(".debug_info"), "stripped")
		for _, p := range binary.Progs {
			assert.NotEqual(t, elf.PT_INTERP, p.Type, "static")
		}
		for file, limit := range map[string]int64{path: 14_000_000, path + ".gz": 5_500_000} {
			info, err := os.Stat(file)
			require.NoError(t, err)
			assert.LessOrEqual(t, info.Size(), limit, filepath.Base(file))
			t.Logf("%s: %d bytes", filepath.Base(file), info.Size())
		}
	}
	pages, err := filepath.Glob(filepath.Join(dist, "man", "man1", "*.1"))
	require.NoError(t, err)
	assert.Greater(t, len(pages), 20, "a manual page for each command")
	assert.Contains(t, read(t, dist, "man", "man1", "cronagent-fire.1"), `"cronagent 1.2.3"`)
	list, err := exec.Command(program(t, "tar"), "-tzf", filepath.Join(dist, "cronagent-"+version+"-man.tar.gz")).Output()
	require.NoError(t, err)
	assert.Contains(t, string(list), "man/man1/cronagent-fire.1\n")
	for _, page := range pages {
		assert.Equal(t, read(t, page), read(t, second, "public", "man", "man1", filepath.Base(page)))
	}
	check := exec.Command(program(t, "sha256sum"), "--strict", "-c", "SHA256SUMS")
	check.Dir = dist
	out, err := check.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, name := range []string{binaryName, binaryName + ".gz", "cronagent-" + version + "-man.tar.gz", "install.sh"} {
		assert.Contains(t, string(out), name+": OK")
	}

	b := newBox(t, dash, "")
	require.NoError(t, os.Symlink(program(t, "dash"), filepath.Join(b.bin, "sh")))
	hook := "set -e\ncurl -fsS " + url + "/install.sh | sh\n.platformsh/bin/cronagent version"
	stdout, stderr, status := run(t, b.command("", "-c", hook))
	require.Zero(t, status, stderr)
	assert.Contains(t, stdout, version)
	assert.Contains(t, stderr, "installed cronagent "+version)
	assert.Equal(t, sum(read(t, dist, binaryName)), sum(read(t, b.path("cronagent"))))
}
