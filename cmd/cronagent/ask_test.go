package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/sandbox"
)

// TestAsksAtATerminal: before something is destroyed a person is asked, and no is
// the answer of whoever says nothing.
func TestAsksAtATerminal(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	for name, test := range map[string]struct {
		args      []string
		answer    string
		interrupt bool
		code      int
		asks      string
		deleted   int
	}{
		"yes":         {[]string{"variable:delete", "a"}, "y\n", false, 0, "variable:delete a, environment main: are you sure? [y/N] ", 1},
		"in words":    {[]string{"variable:delete", "a", "-l", "e"}, "YES\n", false, 0, "variable:delete a, environment main: are you sure? [y/N] ", 1},
		"no":          {[]string{"variable:delete", "a"}, "n\n", false, exitFailed, "are you sure? [y/N] ", 0},
		"just return": {[]string{"variable:delete", "a"}, "\n", false, exitFailed, "are you sure? [y/N] ", 0},
		"the end":     {[]string{"variable:delete", "a"}, "\x04", false, exitFailed, "are you sure? [y/N] ", 0},
		"interrupted": {[]string{"variable:delete", "a"}, "", true, exitFailed, "variable:delete a: not done", 0},
		"a project's": {[]string{"variable:delete", "a", "-l", "project"}, "n\n", false, exitFailed, "variable:delete a, project abcdefgh1234567: are you sure? [y/N] ", 0},
		"told":        {[]string{"variable:delete", "a", "--yes"}, "", false, 0, "", 1},
		"told not to": {[]string{"variable:delete", "a", "--no-interaction"}, "", false, exitUsage, "add --yes if you mean it", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := sandbox.New(sandbox.Options{})
			url, err := server.Start()
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, server.Close()) })
			vars := []string{endsSoon,
				"PLATFORM_PROJECT=" + sandbox.DefaultProject, "PLATFORM_BRANCH=main", "PLATFORM_ENVIRONMENT_TYPE=production",
				"PLATFORM_APPLICATION_NAME=app", "PLATFORM_APP_DIR=" + t.TempDir(), "PLATFORMSH_CLI_TOKEN=" + sandbox.DefaultToken,
				"CRONAGENT_API_URL=" + url, "CRONAGENT_AUTH_URL=" + url, "CRONAGENT_STATE_DIR=" + filepath.Join(t.TempDir(), "state"),
			}
			create := exec.Command(self, "variable:create", "a", "-l", "e", "--value", "1")
			create.Args[0], create.Env = "cronagent", vars
			out, err := create.CombinedOutput()
			require.NoError(t, err, string(out))

			ours, terminal := openTerminal(t, 80)
			cmd := exec.Command(self, test.args...)
			cmd.Args[0], cmd.Env = "platform", vars // TestMain makes it so
			cmd.Stdin, cmd.Stderr = terminal, terminal
			require.NoError(t, cmd.Start())
			require.NoError(t, terminal.Close())
			said := make(chan string, 1)
			go func() {
				// When nobody has the terminal open any more, reading fails so.
				var all []byte
				buffer := make([]byte, 4096)
				interrupt := test.interrupt
				for {
					n, err := ours.Read(buffer)
					all = append(all, buffer[:n]...)
					if err != nil {
						assert.True(t, errors.Is(err, syscall.EIO) || errors.Is(err, io.EOF), "%v", err)
						said <- string(all)
						return
					}
					if n > 0 && interrupt {
						interrupt = false // a second one would end it at once
						_ = cmd.Process.Signal(os.Interrupt)
					}
				}
			}()
			_, err = ours.WriteString(test.answer)
			require.NoError(t, err)
			_ = cmd.Wait()
			assert.Contains(t, <-said, test.asks)
			assert.Equal(t, test.code, cmd.ProcessState.ExitCode())
			deleted := 0
			for _, a := range server.Accepted() {
				if a.Operation == "variable-delete" {
					deleted++
				}
			}
			assert.Equal(t, test.deleted, deleted)
		})
	}
}
