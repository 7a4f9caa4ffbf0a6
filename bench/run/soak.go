package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/sandbox"
)

// The soak runs an agent with fire and command crons against the fake platform,
// which fails at random, and kills and restarts it at random. Then it lets one
// agent live in peace, long enough for everything that the dead ones left to be
// settled, watches its memory and its files, ends it, and compares what the ledger
// said all the time with the clock, with what the fake platform took and with what
// the commands wrote.

// soakCrons are the crons, with how many seconds lie between two occurrences. What
// a command wrote to began and done is compared with its runs.
var soakCrons = []struct {
	name  string
	every int64
	lines string
}{
	{"backup", 1, "fire: 'backup:create'"},
	{"update", 2, "fire: 'source-operation:run update'"},
	{"import", 1, "commands: { start: 'echo $CRONAGENT_RUN_ID >>began; sleep 0.05; echo $CRONAGENT_RUN_ID >>done' }\n        timeout: 5\n        shutdown_timeout: 1"},
	{"slow", 1, "commands: { start: 'sleep 2.5' }\n        timeout: 5\n        shutdown_timeout: 1"},
	{"loud", 2, "commands: { start: 'head -c 100000 /dev/zero | tr \"\\0\" x' }\n        timeout: 5\n        shutdown_timeout: 1"},
	{"flaky", 20, "commands: { start: 'exit 3' }\n        retries: 1\n        timeout: 5\n        shutdown_timeout: 1"},
	{"hanging", 5, "commands: { start: 'trap : TERM; sleep 20; sleep 20' }\n        timeout: 2\n        shutdown_timeout: 1"},
}

// settled is how long a claim of a dead agent may take to get an outcome: a fire's
// deadline, the minute after it, and another one until somebody looks.
const settled = 30*time.Second + 2*time.Minute + 10*time.Second

// soak is -soak.
func (b bench) soak(ctx context.Context, whole time.Duration) error {
	peace := max(whole/4, settled)
	noise := max(whole-peace, whole/2)
	server := sandbox.New(sandbox.Options{ActivityDuration: 3 * time.Second})
	url, err := server.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	state, app := filepath.Join(b.dir, "state"), filepath.Join(b.dir, "app")
	if err := os.Mkdir(app, 0o700); err != nil {
		return err
	}
	text := "name: app\ntype: 'php:8.3'\ntimezone: UTC\nvariables:\n  cronagent:\n    crons:\n"
	for _, cron := range soakCrons {
		text += fmt.Sprintf("      %s:\n        spec: '@every %ds'\n        %s\n", cron.name, cron.every, cron.lines)
	}
	file := filepath.Join(app, ".platform.app.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	env := environ(state, "PLATFORM_PROJECT="+sandbox.DefaultProject, "PLATFORM_BRANCH=main", "PLATFORM_ENVIRONMENT_TYPE=production",
		"PLATFORM_APPLICATION_NAME=app", "PLATFORM_APP_DIR="+app, "CRONAGENT_API_URL="+url, "CRONAGENT_AUTH_URL="+url,
		"PLATFORMSH_CLI_TOKEN="+sandbox.DefaultToken)
	log := filepath.Join(b.dir, "agents.log")
	agent := func() (*process, error) {
		// Enough at once, or a claim that waits for its turn is not settled for a day.
		return start(log, env, b.ours, "run", "--file", file, "--max-parallel", "100")
	}

	story := newStory()
	follower := newFollower(filepath.Join(state, "ledger.jsonl"), story)
	following, stopFollowing := context.WithCancel(ctx)
	followed := make(chan error, 1)
	go func() { followed <- follower.follow(following) }()
	defer func() { stopFollowing() }()

	fmt.Printf("soak: %s with kills and faults, then %s without\n", noise, peace)
	kills, err := b.unrest(ctx, noise, server, agent)
	if err != nil {
		return err
	}
	server.ClearFaults()
	p, err := agent()
	if err != nil {
		return err
	}
	watched, err := watch(ctx, p, peace)
	if err := errors.Join(err, p.stop()); err != nil {
		return err
	}
	left := processesOf(state)
	stopFollowing()
	if err := <-followed; err != nil {
		return fmt.Errorf("follow the ledger: %w", err)
	}
	problems := story.check(server, app)
	for _, pid := range left {
		problems = append(problems, fmt.Sprintf("process %s is left", pid))
	}
	problems = append(problems, watched.problems()...)
	said, err := logged(log)
	if err != nil {
		return err
	}
	fmt.Printf("%d kills; %d compactions of the ledger's file seen\n%s\n%s\nlogged: %s\n", kills, follower.files-1, story.summary(), watched, said)
	if len(problems) > 0 {
		return fmt.Errorf("%d problems:\n%s", len(problems), strings.Join(problems[:min(len(problems), 50)], "\n"))
	}
	fmt.Println("every occurrence is accounted for, once")
	return nil
}

// unrest kills and restarts agents for so long, while the platform fails now and
// then. Most live for seconds, some for less than it takes to start; most are
// missed for a moment, some so long that what came due is missed.
func (b bench) unrest(ctx context.Context, long time.Duration, server *sandbox.Server, agent func() (*process, error)) (kills int, err error) {
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	failing := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if err := server.Fault(fault()); err != nil {
				failing <- err
				return
			}
			sleep(ctx, time.Second+rand.N(3*time.Second)) // its error ends the loop
		}
		failing <- nil
	}()
	for ctx.Err() == nil {
		p, err := agent()
		if err != nil {
			return kills, err
		}
		life := rand.N(20 * time.Second)
		if rand.N(4) == 0 {
			life = rand.N(300 * time.Millisecond)
		}
		sleep(ctx, life)
		if p.over() {
			return kills, p.failed()
		}
		p.kill()
		kills++
		gap := rand.N(2 * time.Second)
		if long > 5*time.Minute && rand.N(20) == 0 {
			gap = time.Minute + rand.N(10*time.Second)
		}
		sleep(ctx, gap)
	}
	if err := <-failing; err != nil {
		return kills, err
	}
	if ctx.Err() == context.Canceled {
		return kills, ctx.Err()
	}
	return kills, nil
}

// fault is something that goes wrong once.
func fault() sandbox.Fault {
	act := rand.N(2) == 0
	faults := []sandbox.Fault{
		{On: "post", Drop: true, Act: act},
		{On: "post", Status: 502, Content: sandbox.ContentHTML, Act: act},
		{On: "post", Status: 500, Act: act},
		{On: "post", Status: 503},
		{On: "post", Status: 429, Header: map[string]string{"Retry-After": "1"}},
		{On: "post", DelayBefore: 2 * time.Second},
		{On: "post", DelayAfter: 2 * time.Second},
		{On: "post", DelayAfter: time.Minute},
		{On: "post", Status: 201, Content: sandbox.ContentCut, Act: true},
		{On: "post", Outcome: sandbox.Failure},
		{On: "post", Status: 403},
		{On: "token", Status: 500},
		{On: "token", Drop: true},
		{On: "get", Status: 502, Content: sandbox.ContentHTML},
		{On: "get", DelayAfter: 5 * time.Second},
	}
	f := faults[rand.N(len(faults))]
	f.Times = 1 + rand.N(2)
	return f
}

// watched is what an agent took while it lived in peace, one sample a second.
type watched struct {
	memory []float64
	files  []int
}

func watch(ctx context.Context, p *process, long time.Duration) (w watched, err error) {
	for end := time.Now().Add(long); time.Now().Before(end); {
		if err := sleep(ctx, time.Second); err != nil {
			return w, err
		}
		if p.over() {
			return w, p.failed()
		}
		anonymous, _, err := p.memory()
		if err != nil {
			return w, err
		}
		files, err := p.descriptors()
		if err != nil {
			return w, err
		}
		w.memory, w.files = append(w.memory, anonymous), append(w.files, files)
	}
	return w, nil
}

// What an agent may have more at the end than in the second quarter of its life,
// by the medians: the heap's breath, and nothing.
const (
	moreMemory = 3.0 // megabytes
	moreFiles  = 2.0
)

func (w watched) quarter(n int) (memory, files float64) {
	from, to := len(w.memory)*n/4, len(w.memory)*(n+1)/4
	var open []float64
	for _, n := range w.files[from:to] {
		open = append(open, float64(n))
	}
	return median(w.memory[from:to]), median(open)
}

func (w watched) problems() (all []string) {
	before, filesBefore := w.quarter(1)
	after, filesAfter := w.quarter(3)
	if after-before > moreMemory {
		all = append(all, fmt.Sprintf("its memory grew from %.1f to %.1f MB", before, after))
	}
	if filesAfter-filesBefore > moreFiles {
		all = append(all, fmt.Sprintf("it had %.0f files open, and then %.0f", filesBefore, filesAfter))
	}
	return all
}

func (w watched) String() string {
	before, filesBefore := w.quarter(1)
	after, filesAfter := w.quarter(3)
	return fmt.Sprintf("anonymous memory, second and last quarter: %.1f and %.1f MB, at most %.1f MB; open files %.0f and %.0f, at most %d",
		before, after, slices.Max(w.memory), filesBefore, filesAfter, slices.Max(w.files))
}

// processesOf are the processes that have this state directory in their
// environment: agents and commands that go on.
func processesOf(state string) (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		if text, err := os.ReadFile(path); err == nil && strings.Contains("\x00"+string(text), "\x00CRONAGENT_STATE_DIR="+state+"\x00") {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

// logged counts the warnings and errors in a log, and shows one of each.
func logged(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(text)) {
		if _, rest, ok := strings.Cut(line, " level="); ok && !strings.HasPrefix(rest, "INFO") {
			kind, _, _ := strings.Cut(strings.TrimSpace(rest), " cron=")
			seen[kind]++
		} else if !ok {
			seen["no log line: "+strings.TrimSpace(line)]++
		}
	}
	var all []string
	for kind, n := range seen {
		all = append(all, fmt.Sprintf("\n  %d times %.200s", n, kind))
	}
	slices.Sort(all)
	return fmt.Sprintf("%d kinds of warnings and errors", len(all)) + strings.Join(all[:min(len(all), 30)], ""), nil
}
