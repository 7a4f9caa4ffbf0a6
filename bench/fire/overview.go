package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// What the overview is of: an app of some size, and as much as the ledger keeps of it.
const (
	overviewCrons = 20
	overviewRuns  = 100 // of each
)

// overview measures `cronagent` without arguments in a container, where there is no
// network to ask.
func overview(binary, dir string) error {
	app := filepath.Join(dir, "app")
	if err := os.MkdirAll(filepath.Join(app, ".cronagent"), 0o700); err != nil {
		return err
	}
	state := filepath.Join(app, ".cronagent")
	l, err := ledger.OpenFile(context.Background(), state)
	if err != nil {
		return err
	}
	defer l.Close()
	crons := map[string]any{}
	var runs []ledger.Run
	begin := time.Now().Add(-overviewRuns * time.Hour)
	for i := range overviewCrons {
		name := fmt.Sprintf("import-%d", i)
		crons[name] = map[string]any{
			"spec":     fmt.Sprintf("%d * * * *", i*3),
			"commands": map[string]string{"start": fmt.Sprintf("php bin/console app:import --part=%d && php bin/console cache:clear", i)},
		}
		for n := range overviewRuns {
			at := begin.Add(time.Duration(n)*time.Hour + time.Duration(i)*time.Second).Truncate(time.Second)
			code := n % 10 / 9
			run := ledger.Run{
				ID: fmt.Sprintf("%08d%07d", i, n), Key: ledger.Key{Project: "abcdefgh1234567", Environment: "main", App: "app", Cron: name},
				Outcome: []ledger.Outcome{ledger.Succeeded, ledger.Failed}[code], ExitCode: &code,
				Due: &at, Started: &at, Ended: &at, Attempts: 1, Count: 1, Output: "imported 1234 articles\n",
			}
			runs = append(runs, run)
		}
	}
	if err := l.Record(context.Background(), runs...); err != nil {
		return err
	}
	application, err := json.Marshal(map[string]any{
		"name": "app", "timezone": "Europe/Paris",
		"crons": map[string]any{
			"agent":  map[string]any{"spec": "*/5 * * * *", "commands": map[string]string{"start": "/app/.platformsh/bin/cronagent tick"}},
			"search": map[string]any{"spec": "H * * * *", "commands": map[string]string{"start": "php bin/console search:index"}},
		},
		"variables": map[string]any{"cronagent": map[string]any{"crons": crons}},
	})
	if err != nil {
		return err
	}
	one := func() (sample, error) {
		cmd := exec.Command(binary)
		cmd.Dir = app
		cmd.Env = []string{
			"PATH=/usr/bin:/bin", "PLATFORM_PROJECT=abcdefgh1234567", "PLATFORM_BRANCH=main", "PLATFORM_ENVIRONMENT_TYPE=production",
			"PLATFORM_APPLICATION_NAME=app", "PLATFORM_APP_DIR=" + app, "PLATFORMSH_CLI_TOKEN=no-token", "CRONAGENT_STATE_DIR=" + state,
			"PLATFORM_APPLICATION=" + base64.StdEncoding.EncodeToString(application),
		}
		return measure(cmd)
	}
	m, err := medians(40, one)
	if err != nil {
		return err
	}
	fmt.Printf("overview of %d crons and %d runs: wall %.1f ms, CPU %.1f ms, peak %.1f MB (40 runs)\n",
		overviewCrons+2, len(runs), m.wall, m.cpu, m.peak)
	return nil
}
