package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOverviewAsksNobody: neither the platform nor a database that the ledger is in gets
// as much as a connection.
func TestOverviewAsksNobody(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var asked atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			_ = conn.Close()
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port
	relationships := fmt.Sprintf(`{"database": [{"scheme": "pgsql", "host": "127.0.0.1", "port": %d, "path": "main", "username": "main", "password": "a-long-password"}]}`, port)
	application := `{"name": "app", "timezone": "UTC", "variables": {"cronagent": {"crons": {"backup": {"spec": "0 5 * * *", "fire": "backup:create"}}}}}`
	vars := map[string]string{
		"PLATFORM_PROJECT": "abcdefgh1234567", "PLATFORM_BRANCH": "main", "PLATFORM_ENVIRONMENT_TYPE": "production", "PLATFORM_APPLICATION_NAME": "app",
		"PLATFORM_APP_DIR": t.TempDir(), "PLATFORMSH_CLI_TOKEN": apiToken, "CRONAGENT_STATE_DIR": filepath.Join(t.TempDir(), "state"),
		"CRONAGENT_API_URL": fmt.Sprintf("http://127.0.0.1:%d", port), "CRONAGENT_AUTH_URL": fmt.Sprintf("http://127.0.0.1:%d", port),
		"PLATFORM_RELATIONSHIPS": base64.StdEncoding.EncodeToString([]byte(relationships)), "CRONAGENT_LEDGER": "database",
		"PLATFORM_APPLICATION": base64.StdEncoding.EncodeToString([]byte(application)), "PATH": os.Getenv("PATH"),
	}
	call := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := run(context.Background(), proc{
			calledAs: "cronagent", args: append([]string{}, args...), stdout: &out, stderr: &out, logs: &out, environ: func() []string { return nil },
			lookup: func(name string) (string, bool) { value, ok := vars[name]; return value, ok },
		})
		return code, out.String()
	}
	code, out := call()
	assert.Equal(t, 0, code)
	assert.Contains(t, out, fmt.Sprintf("the database at pgsql://127.0.0.1:%d/main is not asked here; cronagent status asks it", port))
	assert.NotContains(t, out, "nobody acts on", "that is known to the ledger")
	assert.Contains(t, out, "fire backup:create")
	assert.NotContains(t, out, "LAST", "nothing is known of that")
	code, out = call("--json")
	assert.Equal(t, 0, code)
	assert.Contains(t, out, `"ledger_read": false`)
	assert.Zero(t, asked.Load())

	code, _ = call("status") // it would have been noticed
	assert.Equal(t, exitUnavailable, code)
	assert.NotZero(t, asked.Load())
	require.NoError(t, listener.Close())
	<-done
	_, err = os.Stat(vars["CRONAGENT_STATE_DIR"])
	assert.ErrorIs(t, err, os.ErrNotExist, "it writes nothing")
}
