package install_test

import (
	"bytes"
	"crypto/sha256"
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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
