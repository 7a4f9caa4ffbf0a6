package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// stubborn is a command that is not impressed by SIGTERM.
const stubborn = `"stubborn": {"spec": "@every 1s", "commands": {"start": "trap '' TERM; echo $$ > begun; while :; do sleep 0.1; done"}, "shutdown_timeout": 60}`

// dedicated is where the platform kills two seconds after it said SIGTERM.
var dedicated = map[string]string{"PLATFORM_MODE": "enterprise"}

// TestStoppedWithinTheTimeThereIs: a command that would go on for ever, or for the
// minute that it is given, is gone before the platform kills us, and so are we.
func TestStoppedWithinTheTimeThereIs(t *testing.T) {
	t.Parallel()
	type limits struct {
		vars        map[string]string
		least, most time.Duration
	}
	together(t, map[string]limits{
		"a worker":        {map[string]string{"PLATFORM_APPLICATION_NAME": "app--worker"}, 12 * time.Second, 14 * time.Second},
		"Dedicated Gen 2": {dedicated, time.Second, 1900 * time.Millisecond},
	}, func(t *testing.T, c limits) {
		s := newStage(t, application(stubborn), c.vars)
		l := s.live("run")
		s.until("the command", func() bool { return len(s.words("app/begun")) == 1 })
		began := l.signal(syscall.SIGTERM)
		s.until("a word on what is under way", func() bool { return len(s.outcomes("stubborn")) > 0 })
		assert.Less(t, time.Since(began), time.Second, "it is written too late")
		assert.Equal(t, exitDone, l.wait(), "%s", l.out.String())
		took := time.Since(began)
		assert.Greater(t, took, c.least, "the command did not get its time")
		assert.Less(t, took, c.most)
		assert.Equal(t, []ledger.Outcome{ledger.Cancelled, ledger.Cancelled}, s.outcomes("stubborn")[:2])
		assert.False(t, alive(s.words("app/begun")[0]), "the command goes on")
		assert.Contains(t, l.out.String(), "msg=stopped")
	})
}

// TestStoppedKindly: what runs gets the time that it needs, and nothing new is
// begun meanwhile.
func TestStoppedKindly(t *testing.T) {
	t.Parallel()
	together(t, map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT}, func(t *testing.T, sig syscall.Signal) {
		s := newStage(t, application(`
				"backup": {"spec": "@every 1s", "fire": "backup:create"},
				"tidy": {"spec": "@every 1s", "overlap": "allow", "commands": {"start": "trap 'sleep 2.2; echo $CRONAGENT_RUN_ID >> tidied; exit 0' TERM; echo $CRONAGENT_RUN_ID >> begun; while :; do sleep 0.1; done"}}`), nil)
		l := s.live("run")
		s.until("the command", func() bool { return len(s.words("app/begun")) > 0 })
		// Not close to what is due next.
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(1300 * time.Millisecond)))
		began := l.signal(sig)
		assert.Equal(t, exitDone, l.wait(), "%s", l.out.String())
		assert.Greater(t, time.Since(began), 2*time.Second)
		for _, claim := range s.entries("claim") {
			assert.False(t, claim.Due.After(began), "%s was claimed after the signal", claim.Cron)
		}
		assert.ElementsMatch(t, s.words("app/begun"), s.words("app/tidied"))
		runs := s.newest()
		for _, id := range s.words("app/begun") {
			assert.Equal(t, ledger.Cancelled, runs[id].Outcome)
			assert.Zero(t, *runs[id].ExitCode)
		}
		assert.Len(t, runs, len(s.entries("claim")), "each claim has an outcome")
	})
}

// TestStoppedDuringAPOST: that it is uncertain is on the disk first, and corrected
// if the answer comes in time.
func TestStoppedDuringAPOST(t *testing.T) {
	t.Parallel()
	type post struct {
		vars   map[string]string
		signal syscall.Signal
		fault  sandbox.Fault
		want   []ledger.Outcome
		taken  int
	}
	together(t, map[string]post{
		"answered in time":                    {nil, syscall.SIGTERM, sandbox.Fault{DelayAfter: time.Second}, []ledger.Outcome{ledger.Uncertain, ledger.Fired}, 1},
		"answered in time, SIGINT":            {nil, syscall.SIGINT, sandbox.Fault{DelayAfter: time.Second}, []ledger.Outcome{ledger.Uncertain, ledger.Fired}, 1},
		"answered in time on Dedicated Gen 2": {dedicated, syscall.SIGTERM, sandbox.Fault{DelayAfter: time.Second}, []ledger.Outcome{ledger.Uncertain, ledger.Fired}, 1},
		"taken and not answered":              {nil, syscall.SIGTERM, sandbox.Fault{DelayAfter: time.Hour}, []ledger.Outcome{ledger.Uncertain, ledger.Uncertain}, 1},
		"not answered":                        {nil, syscall.SIGTERM, sandbox.Fault{DelayBefore: time.Hour}, []ledger.Outcome{ledger.Uncertain, ledger.Uncertain}, 0},
		"not answered on Dedicated Gen 2":     {dedicated, syscall.SIGTERM, sandbox.Fault{DelayBefore: time.Hour}, []ledger.Outcome{ledger.Uncertain, ledger.Uncertain}, 0},
		"turned away in time":                 {nil, syscall.SIGTERM, sandbox.Fault{DelayBefore: 500 * time.Millisecond, Status: 429}, []ledger.Outcome{ledger.Uncertain, ledger.Deferred}, 0},
	}, func(t *testing.T, c post) {
		cron, _ := once(time.Now())
		if c.vars != nil { // elsewhere the command would take its time
			cron += ", " + stubborn
		}
		s := newStage(t, application(cron), c.vars)
		c.fault.On = "post"
		require.NoError(t, s.server.Fault(c.fault))
		l := s.live("run")
		s.until("the POST", func() bool {
			return slices.ContainsFunc(s.server.Requests(), func(r sandbox.Request) bool { return strings.HasSuffix(r.Path, "/backup") })
		})
		if c.vars != nil {
			s.until("the command", func() bool { return len(s.words("app/begun")) == 1 })
		}
		began := l.signal(c.signal)
		s.until("a word on what is under way", func() bool { return len(s.outcomes("backup")) > 0 })
		assert.Equal(t, exitDone, l.wait(), "%s", l.out.String())
		assert.Less(t, time.Since(began), 1900*time.Millisecond)
		assert.Equal(t, c.want, s.outcomes("backup"))
		assert.Len(t, s.server.Accepted(), c.taken)
		for _, run := range s.newest() {
			if run.Outcome != ledger.Fired { // its activity may go on
				assert.Equal(t, run.Outcome == ledger.Uncertain, run.Pending, "%s", run.Outcome)
			}
		}
		if c.vars != nil {
			assert.Equal(t, ledger.Cancelled, s.outcomes("stubborn")[1])
		}
	})
}

// TestASecondSignalEndsIt at once, whatever runs.
func TestASecondSignalEndsIt(t *testing.T) {
	t.Parallel()
	together(t, map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT}, func(t *testing.T, sig syscall.Signal) {
		s := newStage(t, application(stubborn), nil)
		l := s.live("run")
		s.until("the command", func() bool { return len(s.words("app/begun")) == 1 })
		l.signal(sig)
		s.until("a word on what is under way", func() bool { return len(s.outcomes("stubborn")) > 0 })
		began := time.Now()
		for !l.over() && time.Since(began) < 2*time.Second {
			_ = l.cmd.Process.Signal(sig) // it may just have ended
			time.Sleep(50 * time.Millisecond)
		}
		assert.Equal(t, -1, l.wait())
		assert.Less(t, time.Since(began), time.Second)
		status := l.cmd.ProcessState.Sys().(syscall.WaitStatus)
		assert.Equal(t, sig, status.Signal())
		assert.Equal(t, []ledger.Outcome{ledger.Cancelled}, s.outcomes("stubborn"))
	})
}

// together runs all cases at once: they wait most of the time, and so few of what is
// parallel runs at once that it would take minutes.
func together[C any](t *testing.T, cases map[string]C, run func(t *testing.T, c C)) {
	var running sync.WaitGroup
	for name, c := range cases {
		running.Go(func() { t.Run(name, func(t *testing.T) { run(t, c) }) })
	}
	running.Wait()
}

// alive tells whether there is a process that is no zombie.
func alive(pid string) bool {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !bytes.Contains(text, []byte(") Z "))
}

// application is an app's configuration with these agent crons.
func application(crons string) string {
	return `{"name": "app", "timezone": null, "variables": {"cronagent": {"crons": {` + crons + `}}}}`
}

// newStage makes a production container of an app, beside a fake platform.
func newStage(t *testing.T, config string, vars map[string]string) *stage {
	all := map[string]string{"PLATFORM_APPLICATION": config, debugVariable: ""}
	maps.Copy(all, vars)
	return (&suite{}).stage(t, act{vars: all})
}

// life is one process of the agent. It leads a session of its own, all of which is
// ended when the test ends.
type life struct {
	s     *stage
	cmd   *exec.Cmd
	out   locked // both streams
	ended chan struct{}
}

// live starts the program.
func (s *stage) live(args ...string) *life {
	path, err := exec.LookPath("cronagent")
	require.NoError(s.t, err)
	l := &life{s: s, ended: make(chan struct{})}
	l.cmd = &exec.Cmd{Path: path, Args: append([]string{"cronagent"}, args...), Env: s.env, Dir: filepath.Join(s.dir, "app"),
		Stdout: &l.out, Stderr: &l.out, SysProcAttr: &syscall.SysProcAttr{Setsid: true}, WaitDelay: 10 * time.Second}
	require.NoError(s.t, l.cmd.Start())
	go func() {
		defer close(l.ended)
		_ = l.cmd.Wait() // its state is what counts
	}()
	s.t.Cleanup(func() {
		(&processes{}).end(l.cmd.Process.Pid)
		<-l.ended
	})
	return l
}

func (l *life) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// kill kills the agent, and not what it started.
func (l *life) kill() {
	_ = l.cmd.Process.Kill() // it may have ended
	<-l.ended
}

func (l *life) signal(sig syscall.Signal) time.Time {
	assert.NoError(l.s.t, l.cmd.Process.Signal(sig))
	return time.Now()
}

// wait waits for the end and returns the exit code, -1 if a signal ended it.
func (l *life) wait() int {
	select {
	case <-l.ended:
	case <-time.After(2 * time.Minute):
		l.s.t.Errorf("it does not end:\n%s", l.out.String())
		l.kill()
	}
	return l.cmd.ProcessState.ExitCode()
}

// tick is one that nobody disturbs. Its exit code is that of what it did.
func (s *stage) tick() {
	l := s.live("tick")
	require.NotEqual(s.t, -1, l.wait(), "%s", l.out.String())
}

// atRest waits until the fake platform is busy with no request any more.
func (s *stage) atRest() {
	s.until("an end of all requests", func() bool {
		return !slices.ContainsFunc(s.server.Requests(), func(r sandbox.Request) bool { return r.Status == 0 && !r.Dropped })
	})
}

// words are those of a file, none if there is no file.
func (s *stage) words(name string) []string {
	text, _ := os.ReadFile(filepath.Join(s.dir, name))
	return strings.Fields(string(text))
}

// entry is a line of the ledger.
type entry struct {
	Event string
	ledger.Run
	At     time.Time
	Settle time.Duration
	fields map[string]any
}

// age sets a time of the line back.
func (e *entry) age(field string, by time.Duration) {
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(e.fields[field]))
	if err == nil {
		e.fields[field] = at.Add(-by)
	}
}

func (s *stage) ledger() string { return filepath.Join(s.dir, "state", "ledger.jsonl") }

// entries are the lines of the ledger of one event.
func (s *stage) entries(event string) []entry {
	text, err := os.ReadFile(s.ledger())
	if err != nil {
		return nil // there is none yet
	}
	var all []entry
	for line := range bytes.Lines(text) {
		var e entry
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		// A kill in the middle of a write leaves half a line.
		if json.Unmarshal(line, &e) == nil && e.Event == event {
			all = append(all, e)
		}
	}
	return all
}

// newest is the newest record of each run.
func (s *stage) newest() map[string]*ledger.Run {
	all := map[string]*ledger.Run{}
	for _, e := range s.entries("run") {
		all[e.ID] = &e.Run
	}
	return all
}

// outcomes are those of all records of a cron, in their order.
func (s *stage) outcomes(cron string) []ledger.Outcome {
	var all []ledger.Outcome
	for _, e := range s.entries("run") {
		if e.Cron == cron {
			all = append(all, e.Outcome)
		}
	}
	return all
}

// rewrite changes the lines of the ledger. No agent may run.
func (s *stage) rewrite(change func(*entry)) {
	old, err := os.ReadFile(s.ledger())
	require.NoError(s.t, err)
	var text bytes.Buffer
	for line := range bytes.Lines(old) {
		var e entry
		if json.Unmarshal(line, &e) != nil {
			continue // half a line, as above
		}
		require.NoError(s.t, json.Unmarshal(line, &e.fields))
		change(&e)
		line, err = json.Marshal(e.fields)
		require.NoError(s.t, err)
		text.Write(append(line, '\n'))
	}
	require.NoError(s.t, os.WriteFile(s.ledger(), text.Bytes(), 0o600))
}
