package runner_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/runner"
)

// place is a folder with programs of all kinds in it.
func place(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, file := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"tool":        {"#!/bin/sh\necho tool \"$@\"\n", 0o755},
		"bare":        {"echo bare \"$@\"\n", 0o755},
		"data":        {"no program\n", 0o644},
		"lost":        {"#!/no/such/interpreter\n", 0o755},
		"folder/tool": {"#!/bin/sh\necho the other\n", 0o755},
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(file.text), file.mode))
	}
	return dir
}

func TestWords(t *testing.T) {
	t.Parallel()
	dir := place(t)
	system := os.Getenv("PATH")
	cases := map[string]struct {
		args   []string
		env    []string
		dir    string
		code   int
		output string
		err    string
	}{
		"are not for a shell":                       {args: []string{"printf", "%s|", "a b", "$HOME", "*", "", ";"}, output: "a b|$HOME|*||;|"},
		"exit code":                                 {args: []string{"sh", "-c", "exit 7"}, code: 7},
		"found in the PATH of their own":            {args: []string{"tool", "x"}, env: []string{"PATH=" + dir}, output: "tool x\n"},
		"the last PATH counts":                      {args: []string{"tool"}, env: []string{"PATH=/nowhere", "PATH=" + dir}, output: "tool\n"},
		"the first folder that has it":              {args: []string{"tool"}, env: []string{"PATH=/nowhere:" + dir + "/folder:" + dir}, output: "the other\n"},
		"one that cannot be executed is passed by":  {args: []string{"data"}, env: []string{"PATH=" + dir + ":" + dir + "/folder"}, code: 126, err: "data: not executable"},
		"an empty entry is the working directory":   {args: []string{"tool"}, env: []string{"PATH=:/usr/bin"}, dir: dir, output: "tool\n"},
		"no PATH at all":                            {args: []string{"sh", "-c", "echo found"}, env: []string{"A=1"}, output: "found\n"},
		"a path is seen from the working directory": {args: []string{"./tool"}, dir: dir, output: "tool\n"},
		"so is a deeper one":                        {args: []string{"folder/tool"}, dir: dir, output: "the other\n"},
		"a script without a first line":             {args: []string{dir + "/bare", "x", "y z"}, output: "bare x y z\n"},
		"not found":                                 {args: []string{"no-such-command"}, code: 127, err: "no-such-command: not found in PATH"},
		"no such file":                              {args: []string{"./none"}, dir: dir, code: 127, err: "./none: not found"},
		"below a file":                              {args: []string{dir + "/data/x"}, code: 127, err: "/data/x: not found"},
		"nothing":                                   {args: []string{""}, code: 127, err: `"": not found`},
		"a missing interpreter":                     {args: []string{"./lost"}, dir: dir, code: 127, err: "./lost: not found, or the interpreter that its first line names"},
		"not executable":                            {args: []string{"./data"}, dir: dir, code: 126, err: "./data: not executable"},
		"a folder":                                  {args: []string{"./folder"}, dir: dir, code: 126, err: "./folder: is a folder"},
		"no such working directory":                 {args: []string{"./tool"}, dir: dir + "/none", code: 126, err: dir + "/none: no such file"},
		"nor for what is in PATH":                   {args: []string{"true"}, dir: dir + "/none", code: 126, err: dir + "/none: no such file"},
		"a NUL":                                     {args: []string{"printf", "a\x00b"}, code: 126, err: "invalid argument"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.env == nil {
				c.env = []string{"PATH=" + system}
			}
			r := run(t, runner.Command{Args: c.args, Env: c.env, Dir: c.dir})
			assert.Equal(t, c.code, r.ExitCode)
			assert.Equal(t, c.output, r.Output)
			if c.err == "" {
				assert.NoError(t, r.Err)
				return
			}
			assert.ErrorContains(t, r.Err, c.err)
			if c.code == 127 {
				assert.ErrorIs(t, r.Err, os.ErrNotExist)
			}
		})
	}
}

func TestTheShellIsFoundWhateverThePATH(t *testing.T) {
	t.Parallel()
	r := run(t, runner.Command{Line: "echo here", Env: []string{"PATH=/nowhere"}})
	require.NoError(t, r.Err)
	assert.Equal(t, "here\n", r.Output)
}

func TestSignalsAreToldFromExitCodes(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		line   string
		code   int
		signal syscall.Signal
		name   string
	}{
		"none":                       {"exit 0", 0, 0, ""},
		"an exit code like one":      {"exit 137", 137, 0, ""},
		"the command's own":          {"kill -SEGV $$", 139, syscall.SIGSEGV, "SIGSEGV"},
		"one that cannot be caught":  {"kill -KILL $$", 137, syscall.SIGKILL, "SIGKILL"},
		"one without a name":         {"kill -40 $$", 168, syscall.Signal(40), "signal 40"},
		"a child's, told by a shell": {"sh -c 'kill -KILL $$' 2>/dev/null; exit $?", 137, 0, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, runner.Command{Line: c.line})
			assert.Equal(t, c.code, r.ExitCode)
			assert.Equal(t, c.signal, r.Signal)
			assert.Equal(t, c.name, r.SignalName())
		})
	}
	t.Run("a program's that is run without a shell", func(t *testing.T) {
		t.Parallel()
		r := run(t, runner.Command{Args: []string{"sh", "-c", "kill -TERM $$"}})
		assert.Equal(t, 143, r.ExitCode)
		assert.Equal(t, syscall.SIGTERM, r.Signal)
	})
}
