package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCheckColours: on a terminal that is not told otherwise, and nowhere else.
func TestCheckColours(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), ".platform.app.yaml")
	require.NoError(t, os.WriteFile(file, []byte("name: app\nnonsense: 1\n"), 0o600))
	for variable, coloured := range map[string]bool{"A": true, "NO_COLOR": false, "TERM": false} {
		ours, terminal := openTerminal(t, 200)
		vars := map[string]string{"TERM": "xterm"}
		vars[variable] = "dumb"
		code := run(context.Background(), proc{
			calledAs: "cronagent", args: []string{"check", file}, stdout: terminal, stderr: &bytes.Buffer{}, logs: &bytes.Buffer{},
			lookup:  func(name string) (string, bool) { value, ok := vars[name]; return value, ok },
			environ: func() []string { return nil },
		})
		assert.Equal(t, exitUsage, code)
		require.NoError(t, terminal.Close())
		got := make([]byte, 4096)
		n, err := ours.Read(got)
		require.NoError(t, err)
		if coloured {
			assert.Contains(t, string(got[:n]), ": \x1b[31merror\x1b[0m: unknown key")
		} else {
			assert.NotContains(t, string(got[:n]), "\x1b", variable)
			assert.Contains(t, string(got[:n]), ": error: unknown key")
		}
	}
}
