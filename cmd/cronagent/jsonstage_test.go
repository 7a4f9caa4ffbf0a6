package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// types runs the program.
func (s *stage) types(args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	var out, err bytes.Buffer
	cmd := exec.Command("cronagent", args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.env, filepath.Join(s.dir, "app"), &out, &err
	if problem := cmd.Run(); cmd.ProcessState == nil {
		require.NoError(s.t, problem)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// with is the stage with other variables.
func (s *stage) with(vars map[string]string) *stage {
	other := &stage{t: s.t, dir: s.dir, server: s.server}
	for _, v := range s.env {
		name, _, _ := strings.Cut(v, "=")
		if _, replaced := vars[name]; !replaced {
			other.env = append(other.env, v)
		}
	}
	for name, value := range vars {
		if value != "" {
			other.env = append(other.env, name+"="+value)
		}
	}
	return other
}

// laptop are the variables of a laptop.
var laptop = map[string]string{"PLATFORM_PROJECT": "", "PLATFORM_BRANCH": "", "PLATFORM_ENVIRONMENT": "", "PLATFORM_ENVIRONMENT_TYPE": "",
	"PLATFORM_APPLICATION_NAME": "", "PLATFORM_APPLICATION": "", "PLATFORM_APP_DIR": "", "PLATFORMSH_CLI_TOKEN": "", "PLATFORMSH_CLI_API_TOKEN": ""}

// shownCrons are an app's, of every kind.
const shownCrons = `{"name": "app", "timezone": "Europe/Paris",
	"crons": {
		"agent": {"spec": "*/5 * * * *", "commands": {"start": "cronagent tick"}},
		"redeploy": {"spec": "H 3 * * *", "commands": {"start": "if [ \"$PLATFORM_ENVIRONMENT_TYPE\" = production ]; then cronagent fire redeploy; fi"}},
		"partly": {"spec": "0 1 * * *", "commands": {"start": "[ -f x ] && php c"}},
		"odd": {"spec": "0 0 L * *", "commands": {"start": "true"}}},
	"variables": {"cronagent": {"notify": {"webhook": "$NO_SUCH_URL"}, "crons": {
		"backup": {"spec": "H 5 * * *", "fire": "backup:create"},
		"import": {"spec": "*/30 8-18 * * *", "commands": {"start": "echo imported"}, "timeout": 600},
		"switch": {"spec": "30 2 * * *", "commands": {"start": "true"}},
		"quarters": {"spec": "*/15 2 * * *", "commands": {"start": "true"}},
		"minutes": {"spec": "* * * * *", "commands": {"start": "true"}},
		"staging": {"spec": "0 5 * * *", "commands": {"start": "true"}, "environment_types": ["staging"]},
		"off": {"spec": "0 5 * * *", "commands": {"start": "true"}, "enabled": false}}}}}`

// laptopCrons are those of a file.
const laptopCrons = `name: app
crons:
    nightly:
        spec: 'H 2 * * *'
        cmd: 'if [ "$PLATFORM_BRANCH" = master ]; then platform snapshot:create --yes; fi'
    never:
        spec: '0 0 30 2 *'
        commands: { start: 'php x' }
variables:
    cronagent:
        crons:
            hashed: { spec: 'H 5 * * *', fire: 'backup:create' }
            again: { spec: '0 4 * * *', fire: 'backup:create' }
`

// record fills the ledger of a container with runs of every outcome in the last hours.
func (s *stage) record() {
	ctx := s.t.Context()
	l, err := ledger.OpenFile(ctx, filepath.Join(s.dir, "state"))
	require.NoError(s.t, err)
	defer l.Close()
	now := time.Now()
	key := func(cron string) ledger.Key {
		return ledger.Key{Project: sandbox.DefaultProject, Environment: "main", App: "app", Cron: cron}
	}
	minutes := 5 * 60
	run := func(cron, operation string, outcome ledger.Outcome, change func(*ledger.Run)) ledger.Run {
		minutes -= 10
		due := now.Add(-time.Duration(minutes) * time.Minute)
		r := ledger.Run{ID: agent.NewID(), Key: key(cron), Operation: operation, Outcome: outcome, Count: 1, Attempts: 1,
			Due: new(due), Started: new(due.Add(100 * time.Millisecond)), Ended: new(due.Add(2 * time.Second))}
		if cron == "" {
			r.Due = nil
		}
		if change != nil {
			change(&r)
		}
		require.NoError(s.t, l.Record(ctx, r))
		return r
	}
	run("import", "", ledger.Succeeded, func(r *ledger.Run) { r.ExitCode, r.Output = new(0), "imported\n" })
	run("import", "", ledger.Failed, func(r *ledger.Run) { r.ExitCode, r.Error, r.Output = new(7), "exit code 7", "no disk\n" })
	run("import", "", ledger.TimedOut, func(r *ledger.Run) { r.Error = "stopped at its time limit" })
	run("import", "", ledger.Cancelled, nil)
	run("import", "", ledger.Skipped, func(r *ledger.Run) { r.Reason, r.Ended = "the run before it has not ended yet", nil })
	run("import", "", ledger.Missed, func(r *ledger.Run) { r.Until, r.Count, r.Started = new(r.Due.Add(time.Minute)), 3, nil })
	run("import", "", ledger.Deferred, func(r *ledger.Run) { r.NextTry = new(now.Add(time.Hour)) })
	activity := []ledger.Activity{{ID: "act1", Type: "environment.backup", State: "complete", Result: "success"}}
	run("backup", "backup:create", ledger.Fired, func(r *ledger.Run) {
		r.ExitCode, r.Activities, r.Pending = new(0), activity, true
	})
	run("backup", "backup:create", ledger.Uncertain, func(r *ledger.Run) { r.ExitCode, r.Error = new(6), "the connection broke" })
	run("", "backup:create", ledger.Succeeded, func(r *ledger.Run) { r.Activities = activity })
	run("gone", "", ledger.Succeeded, nil)
	_, err = l.Claim(ctx, []ledger.Claim{
		{Key: key("import"), ID: agent.NewID(), Due: now, Settle: time.Hour},
		{Key: key("switch"), ID: agent.NewID(), Due: now},
	})
	require.NoError(s.t, err)
	for _, event := range []agent.Event{"", agent.Failure, agent.Uncertain, agent.Missed, agent.Recovered, agent.SkippedAgain, agent.Success} {
		r := run("told-"+string(event), "", ledger.Failed, nil)
		told := ledger.Told{Event: string(event), Run: r.ID, Of: *r.Due, At: now, Tries: 1}
		if event == agent.Failure {
			told.Left, told.Error = []string{"mail"}, "no such host"
		}
		won, err := l.Tell(ctx, r.Key, told)
		require.True(s.t, won)
		require.NoError(s.t, err)
	}
}

// recordOutside adds what run has recorded of a platform's cron on a laptop.
func (s *stage) recordOutside() {
	l, err := ledger.OpenFile(s.t.Context(), filepath.Join(s.dir, "state"))
	require.NoError(s.t, err)
	defer l.Close()
	require.NoError(s.t, l.Record(s.t.Context(), ledger.Run{ID: agent.NewID(), Key: ledger.Key{App: "app", Cron: "crons.nightly"},
		Outcome: ledger.Succeeded, Due: new(time.Now()), Started: new(time.Now()), Ended: new(time.Now()), Count: 1}))
}
