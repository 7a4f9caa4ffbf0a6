package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// interactive is an interactive shell on a pseudo-terminal of its own.
type interactive struct {
	t       *testing.T
	control *os.File

	mu   sync.Mutex
	seen bytes.Buffer
}

// interact starts a shell there. It is killed when the test ends.
func interact(t *testing.T, dir string, env []string, argv ...string) *interactive {
	t.Helper()
	control, line := openTerminal(t, 120)
	defer line.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(env, "TERM=xterm", "PS1=ready> ", "HOME="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = line, line, line
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	term := &interactive{t: t, control: control}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		part := make([]byte, 4096)
		for {
			n, err := control.Read(part)
			if n == 0 || err != nil { // EIO once nobody has the other end
				return
			}
			term.mu.Lock()
			term.seen.Write(part[:n])
			term.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		<-ended
	})
	return term
}

var controlSequence = regexp.MustCompile(`\x1b(\[[0-9;?=>]*[a-zA-Z]|[=>]|\].*?(\x07|\x1b\\)|\([A-Z])|[\r\x00]`)

// typed sends keys, and waits until the terminal has shown all that is wanted since.
func (term *interactive) typed(keys string, wanted ...string) string {
	term.t.Helper()
	term.mu.Lock()
	term.seen.Reset()
	term.mu.Unlock()
	_, err := term.control.WriteString(keys)
	require.NoError(term.t, err)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		term.mu.Lock()
		seen := controlSequence.ReplaceAllString(term.seen.String(), "")
		term.mu.Unlock()
		missing := ""
		for _, want := range wanted {
			if !strings.Contains(seen, want) {
				missing = want
			}
		}
		if missing == "" {
			return seen
		}
		if time.Now().After(deadline) {
			require.Failf(term.t, "the terminal does not show what it should", "%q is missing after %q; it shows:\n%s", missing, keys, seen)
		}
	}
}

const completedApp = `name: app
source:
    operations:
        update: {command: 'true'}
crons:
    nightly: {spec: '0 3 * * *', commands: {start: 'true'}}
variables:
    cronagent:
        crons:
            backup: {spec: '0 5 * * *', fire: 'backup:create'}
            import: {spec: '0 6 * * *', commands: {start: 'true'}}
            'two words': {spec: '0 7 * * *', commands: {start: 'true'}}
`

// completedDir is a folder with an app and with the program in bin, and the variables
// of a shell there.
func completedDir(t *testing.T) (dir string, env []string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".platform.app.yaml"), []byte(completedApp), 0o600))
	bin := filepath.Join(dir, "bin")
	require.NoError(t, os.Mkdir(bin, 0o700))
	program, err := exec.LookPath("cronagent")
	require.NoError(t, err)
	for _, link := range []string{"cronagent", "platform"} {
		require.NoError(t, os.Symlink(program, filepath.Join(bin, link)))
	}
	// Without them, which are where by its version, fish leaves a process behind that reads
	// all manual pages.
	for _, data := range []string{dir, filepath.Join(dir, ".cache")} {
		require.NoError(t, os.MkdirAll(filepath.Join(data, "fish", "generated_completions"), 0o700))
	}
	// What the links must not be taken for.
	require.NoError(t, os.WriteFile(filepath.Join(bin, "upsun"), []byte("#!/bin/sh\n>called-upsun\n"), 0o700))
	return dir, []string{endsSoon, "PATH=" + bin + ":" + os.Getenv("PATH"), "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir}
}

// TestCompletionInstalled: the script works as a file too that the shell finds by
// itself, and in the file .environment of an app, which sh reads as well.
func TestCompletionInstalled(t *testing.T) {
	t.Parallel()
	for name, shell := range map[string]struct {
		argv       []string
		file, load string
	}{
		"bash": {[]string{"bash", "--norc", "--noprofile", "-i"}, "bash-completion/completions/cronagent", `. /usr/share/bash-completion/bash_completion`},
		"zsh":  {[]string{"zsh", "-f", "-i"}, "functions/_cronagent", `fpath=($XDG_DATA_HOME/functions $fpath); autoload -Uz compinit; compinit -i -D`},
		"fish": {[]string{"fish", "-i"}, "fish/vendor_completions.d/cronagent.fish", `true`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, env := completedDir(t)
			script, err := exec.Command("cronagent", "completion", name).Output()
			require.NoError(t, err)
			path := filepath.Join(dir, filepath.FromSlash(shell.file))
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			require.NoError(t, os.WriteFile(path, script, 0o600))
			term := interact(t, dir, env, shell.argv...)
			term.typed(shell.load+"; echo load''ed\n", "loaded")
			term.typed("\x15cronagent trigger ba\t", "backup ")
		})
	}
	help, err := exec.Command("cronagent", "help", "completion").Output()
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^ *(\[ -z .*)$`).FindStringSubmatch(string(help))
	require.NotNil(t, line)
	dir, env := completedDir(t)
	written := strings.ReplaceAll(line[1], "/app/.platformsh/bin", filepath.Join(dir, "bin"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".environment"), []byte(written+"\n"), 0o600))
	for shell, want := range map[string]string{"dash": "", "bash": "complete -o default -F __cronagent_complete cronagent\n"} {
		show := map[bool]string{true: "; complete -p cronagent"}[shell == "bash"]
		cmd := exec.Command(shell, "-ec", ". ./.environment"+show)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		assert.Equal(t, want, string(out), shell)
	}
}

// TestCompletionInShells presses tab in real shells, bash with and without the package
// bash-completion: what is typed, and what the line must then be, or must be offered.
func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	const clear = "\x15" // deletes the line
	for name, shell := range map[string]struct {
		argv []string
		load string
		// tab twice, where the first completes and the second lists
		list string
	}{
		"bash": {[]string{"bash", "--norc", "--noprofile", "-i"}, `eval "$(cronagent completion bash)"`, "\t\t"},
		"bash with the package": {[]string{"bash", "--norc", "--noprofile", "-i"},
			`. /usr/share/bash-completion/bash_completion; eval "$(cronagent completion bash)"`, "\t\t"},
		"zsh":  {[]string{"zsh", "-f", "-i"}, `eval "$(cronagent completion zsh)"`, "\t"},
		"fish": {[]string{"fish", "--no-config", "-i"}, `cronagent completion fish | source`, "\t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, env := completedDir(t)
			term := interact(t, dir, env, shell.argv...)
			term.typed(shell.load+"; echo load''ed\n", "loaded")

			term.typed(clear+"cronagent fi\t", "cronagent fire ")
			term.typed(clear+"cronagent backup:c\t", "backup:create ")
			term.typed(clear+"cronagent fire environment:"+shell.list, "redeploy", "synchronize", "resume")
			term.typed(clear+"cronagent fire source-operation:run u\t", "update ")
			term.typed(clear+"cronagent next "+shell.list, "backup", "nightly", "import")
			term.typed(clear+"cronagent trigger tw\t", `two\ words `)
			term.typed(clear+"cronagent check --format=js\t", "--format=json")
			term.typed(clear+"cronagent exec --environment-types production,st\t", "production,staging")
			term.typed(clear+"cronagent list --file .plat\t", ".platform.app.yaml")
			term.typed(clear+"./bin/cronagent fi\t", "./bin/cronagent fire ")
			term.typed(clear+"platform variable:c\t", "variable:create ")
			// Not the program of another vendor, and nothing that stands in a line.
			run := map[bool]string{true: "(touch evaluated)", false: `"$(touch evaluated)"`}[name == "fish"]
			term.typed(clear+"cronagent backup:delete "+run+" --ye\t", "--yes ")
			term.typed(clear+"upsun variable:c\t", "upsun variable:c")
			term.typed(clear+"echo all''done\n", "alldone")
			assert.NoFileExists(t, filepath.Join(dir, "evaluated"), "pressing tab ran what was typed")
			assert.NoFileExists(t, filepath.Join(dir, "called-upsun"))
		})
	}
}
