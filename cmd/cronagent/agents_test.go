package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/dbtest"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/ledger/database"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// crowd is how many agents live for how long in TestManyAgentsActOnEachOccurrenceOnce.
type crowd struct {
	agents int
	noise  time.Duration
	// peace is how long one agent lives after that, alone and undisturbed, so that it
	// settles what dead ones left. Zero: what they left may be open.
	peace time.Duration
	// stopped is how long one agent is stopped, and then goes on.
	stopped time.Duration
}

func crowdSize() crowd {
	if os.Getenv("CRONAGENT_LONG") == "yes" {
		return crowd{agents: 20, noise: 2 * time.Minute, peace: settlement + 70*time.Second, stopped: settlement + 10*time.Second}
	}
	return crowd{agents: 6, noise: 15 * time.Second, stopped: 4 * time.Second}
}

// settlement is when the claim of a fire is taken for one of a dead agent.
const settlement = fireDeadline + time.Minute

// crowdCrons come due every second, all of them.
const crowdCrons = `{
	"backup": {"spec": "@every 1s", "fire": "backup:create"},
	"update": {"spec": "@every 1s", "fire": "source-operation:run update"},
	"import": {"spec": "@every 1s", "overlap": "allow", "timeout": 5, "shutdown_timeout": 1, "commands": {"start": "echo $CRONAGENT_CRON $CRONAGENT_DUE $CRONAGENT_RUN_ID >> acts"}},
	"sweep": {"spec": "@every 1s", "timeout": 5, "shutdown_timeout": 1, "commands": {"start": "echo $CRONAGENT_CRON $CRONAGENT_DUE $CRONAGENT_RUN_ID >> acts"}}
}`

// TestManyAgentsActOnEachOccurrenceOnce: many processes of `run`, and a `tick` every
// second, share a ledger, while agents are killed and stopped, the database is
// restarted, crashes and runs out of connections, connections are cut, and the
// clocks of the agents are minutes apart. On each occurrence is acted once at most,
// and the ledger tells of every one what became of it.
func TestManyAgentsActOnEachOccurrenceOnce(t *testing.T) {
	t.Parallel()
	binary := buildWithClock(t)
	for _, scheme := range []string{"file", dbtest.Postgres, dbtest.MariaDB} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			newTrial(t, binary, scheme).run(crowdSize())
		})
	}
}

// clockVariable sets the clock of a binary that buildWithClock made: in seconds.
const clockVariable = "CRONAGENT_TEST_CLOCK"

// buildWithClock builds the real binary, but with a clock that can be wrong.
func buildWithClock(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	source := filepath.Join(strings.TrimSpace(string(root)), "src/time/time.go")
	text, err := os.ReadFile(source)
	require.NoError(t, err)
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	require.Equal(t, 1, bytes.Count(text, []byte(now)), "the standard library's clock has another form")
	text = bytes.Replace(text, []byte(now), []byte(now+"\tsec += shift()\n"), 1)
	text = append(text, `
// shift is how wrong the clock on the wall is, in seconds.
func shift() (seconds int64) {
	text, _ := syscall.Getenv("`+clockVariable+`")
	for _, c := range text {
		if c >= '0' && c <= '9' {
			seconds = seconds*10 + int64(c-'0')
		}
	}
	if len(text) > 0 && text[0] == '-' {
		return -seconds
	}
	return seconds
}
`...)
	text = bytes.Replace(text, []byte("import (\n"), []byte("import (\n\t\"syscall\"\n"), 1)
	wrong := filepath.Join(dir, "time.go")
	require.NoError(t, os.WriteFile(wrong, text, 0o600))
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: wrong}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	binary := filepath.Join(dir, "cronagent")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-ldflags", "-s -w", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// trial is one crowd on one ledger.
type trial struct {
	t      *testing.T
	binary string
	scheme string
	dir    string
	server *sandbox.Server
	env    []string
	db     *dbtest.Server // nil: the ledger is a file
	config database.Config
	began  time.Time

	mu     sync.Mutex
	killed int
	states int                   // state directories that were given out
	runs   map[string]ledger.Run // by ID, the newest record that was seen
	claims map[string]ledger.Claim
}

func newTrial(t *testing.T, binary, scheme string) *trial {
	t.Helper()
	tr := &trial{t: t, binary: binary, scheme: scheme, dir: t.TempDir(), runs: map[string]ledger.Run{}, claims: map[string]ledger.Claim{}}
	tr.server = sandbox.New(sandbox.Options{Token: apiToken, ActivityDuration: time.Second})
	url, err := tr.server.Start()
	require.NoError(t, err)
	t.Cleanup(func() { tr.server.Close() })
	require.NoError(t, os.Mkdir(filepath.Join(tr.dir, "app"), 0o700))
	base64JSON := func(v any) string {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.StdEncoding.EncodeToString(text)
	}
	tr.env = []string{
		"PATH=" + os.Getenv("PATH"),
		"PLATFORM_PROJECT=" + sandbox.DefaultProject, "PLATFORM_BRANCH=main", "PLATFORM_ENVIRONMENT_TYPE=production",
		"PLATFORM_APPLICATION_NAME=app", "PLATFORM_APP_DIR=" + filepath.Join(tr.dir, "app"),
		"PLATFORM_APPLICATION=" + base64JSON(map[string]any{"name": "app", "timezone": nil}),
		"PLATFORM_VARIABLES=" + base64JSON(map[string]any{"cronagent:crons": json.RawMessage(crowdCrons)}),
		"PLATFORMSH_CLI_TOKEN=" + apiToken, "CRONAGENT_API_URL=" + url, "CRONAGENT_AUTH_URL=" + url,
	}
	if scheme == "file" {
		return tr
	}
	tr.db, err = dbtest.Start(scheme)
	require.NoError(t, err)
	t.Cleanup(tr.db.Close)
	name, err := tr.db.Database()
	require.NoError(t, err)
	tr.config = database.Config{Engine: database.Engine(scheme), Relationship: "database", Host: "127.0.0.1", Port: tr.db.Port, User: dbtest.User, Password: dbtest.Password, Name: name}
	endpoint := map[string]any{"scheme": scheme, "host": "127.0.0.1", "port": tr.db.Port, "username": dbtest.User, "password": dbtest.Password, "path": name, "query": map[string]bool{"is_master": true}}
	tr.env = append(tr.env, "CRONAGENT_LEDGER=database", "PLATFORM_RELATIONSHIPS="+base64JSON(map[string]any{"database": []any{endpoint}}))
	return tr
}

// start starts a process of the crowd, with a state directory of its own unless that
// is the ledger, and a clock that is wrong by so many seconds.
func (tr *trial) start(log string, clock int, args ...string) *exec.Cmd {
	tr.mu.Lock()
	state := filepath.Join(tr.dir, "state")
	if tr.db != nil {
		tr.states++
		state = filepath.Join(tr.dir, "states", strconv.Itoa(tr.states))
	}
	tr.mu.Unlock()
	cmd := exec.Command(tr.binary, args...)
	cmd.Env = append(slices.Clone(tr.env), "CRONAGENT_STATE_DIR="+state, clockVariable+"="+strconv.Itoa(clock))
	// It goes with the test, even if that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	file, err := os.OpenFile(filepath.Join(tr.dir, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if assert.NoError(tr.t, err) {
		defer file.Close()
		cmd.Stdout, cmd.Stderr = file, file
		assert.NoError(tr.t, cmd.Start())
	}
	return cmd
}

// run lets the crowd live, and then compares what happened with what it says.
func (tr *trial) run(size crowd) {
	tr.began = time.Now()
	ctx, cancel := context.WithCancel(tr.t.Context())
	defer cancel()
	watching, stopWatching := context.WithCancel(context.Background())
	var all, watcher sync.WaitGroup
	watcher.Go(func() { tr.watch(watching) })
	for n := range size.agents {
		clock := 0
		if tr.db != nil {
			clock = []int{0, 90, -90}[n%3]
		}
		stop := time.Duration(0)
		if n == 0 {
			stop = size.stopped
		}
		all.Go(func() { tr.life(ctx, clock, stop) })
	}
	all.Go(func() { tr.ticks(ctx) })
	// It ends when the time is over and all of it has happened.
	if tr.db != nil {
		tr.trouble(size.noise)
	}
	time.Sleep(time.Until(tr.began.Add(size.noise)))
	cancel()
	all.Wait()
	if size.peace > 0 {
		last := tr.start("peace.log", 0, "run", "--max-parallel", "50")
		time.Sleep(size.peace)
		assert.NoError(tr.t, last.Process.Signal(syscall.SIGTERM))
		assert.NoError(tr.t, last.Wait())
	}
	stopWatching()
	watcher.Wait()
	tr.check(size.peace > 0)
}

// life is that of one place in the crowd: an agent runs there, is killed, and another
// one takes its place. One that is to be stopped first is for so long, and goes on.
func (tr *trial) life(ctx context.Context, clock int, stopped time.Duration) {
	for ctx.Err() == nil {
		born := time.Now()
		p := tr.start("agents.log", clock, "run", "--max-parallel", "50")
		lifetime := 2*time.Second + rand.N(8*time.Second)
		if stopped > 0 {
			wait(ctx, 3*time.Second)
			assert.NoError(tr.t, p.Process.Signal(syscall.SIGSTOP))
			wait(ctx, stopped)
			assert.NoError(tr.t, p.Process.Signal(syscall.SIGCONT))
			stopped = 0
		}
		if wait(ctx, lifetime) {
			assert.NoError(tr.t, p.Process.Kill())
			p.Wait()
			tr.mu.Lock()
			tr.killed++
			tr.mu.Unlock()
			continue
		}
		assert.NoError(tr.t, p.Process.Signal(syscall.SIGTERM))
		// One that was born a moment ago may not listen to signals yet.
		if err := p.Wait(); time.Since(born) > 5*time.Second {
			assert.NoError(tr.t, err, "it was told to stop")
		}
	}
}

// wait tells whether the time has passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (tr *trial) ticks(ctx context.Context) {
	for wait(ctx, time.Second) {
		p := tr.start("ticks.log", 0, "tick")
		p.Wait() // it may be 5 while the database is down, or that of what it settled
		assert.Contains(tr.t, []int{exitDone, exitFailed, exitUnavailable, exitUncertain}, p.ProcessState.ExitCode())
	}
}

// trouble is what the database goes through, for about so long, and each kind of it
// at least once.
func (tr *trial) trouble(noise time.Duration) {
	events := []func(){
		tr.cut, tr.cut, tr.cut,
		func() { tr.db.Down(); time.Sleep(500 * time.Millisecond); assert.NoError(tr.t, tr.db.Up()) },
		tr.fill,
		func() { tr.db.Kill(); assert.NoError(tr.t, tr.db.Up()) },
	}
	n := 0
	for ; n < len(events) || time.Since(tr.began) < noise; n++ {
		time.Sleep(noise/time.Duration(3*len(events)) + rand.N(noise/20))
		events[n%len(events)]()
	}
	tr.t.Logf("the database was in trouble %d times", n)
}

// cut ends the connections that there are.
func (tr *trial) cut() {
	if tr.scheme == dbtest.Postgres {
		assert.NoError(tr.t, tr.db.Exec("", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cronagent'"))
		return
	}
	all, err := tr.db.Query("", "SELECT id FROM information_schema.processlist WHERE user = '"+dbtest.User+"'")
	assert.NoError(tr.t, err)
	for _, row := range all {
		tr.db.Exec("", "KILL "+row[0]) // it may have gone
	}
}

// fill takes all the connections that the server has, for a moment: each has its
// place as soon as it is open.
func (tr *trial) fill() {
	var conns []net.Conn
	for range 110 {
		if conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(tr.db.Port))); err == nil {
			conns = append(conns, conn)
		}
	}
	time.Sleep(2 * time.Second)
	for _, conn := range conns {
		conn.Close()
	}
}

// watch reads the ledger again and again, since it keeps the last runs only.
func (tr *trial) watch(ctx context.Context) {
	for {
		ended := ctx.Err() != nil
		if err := tr.read(); err != nil && ended {
			assert.NoError(tr.t, err)
		}
		if ended {
			return
		}
		wait(ctx, 2*time.Second)
	}
}

func (tr *trial) read() error {
	var book readBook
	var err error
	if tr.db != nil {
		book, err = database.Read(context.Background(), tr.config)
	} else {
		book, err = ledger.ReadFile(filepath.Join(tr.dir, "state"))
	}
	if err != nil {
		return err
	}
	defer book.Close()
	runs, err := book.History(ledger.Key{}, 10_000)
	if err != nil {
		return err
	}
	for _, run := range runs {
		tr.runs[run.ID] = run
	}
	clear(tr.claims)
	for _, key := range book.Keys(ledger.Key{}) {
		for _, claim := range book.Load([]ledger.Key{key})[0].Open {
			tr.claims[claim.ID] = claim
		}
	}
	return nil
}

// check: each occurrence belongs to one run or open claim, and none has vanished;
// each command ran once for the run that it is of; each operation that the platform
// took is of one run.
func (tr *trial) check(settled bool) {
	t := tr.t
	owners := map[string]map[int64]string{}
	own := func(cron string, due time.Time, id string) {
		if owners[cron] == nil {
			owners[cron] = map[int64]string{}
		}
		if other := owners[cron][due.Unix()]; other != "" && other != id {
			t.Errorf("%s of %s belongs to %s and to %s", cron, due.UTC(), other, id)
		}
		owners[cron][due.Unix()] = id
	}
	outcomes := map[string]int{}
	for id, run := range tr.runs {
		last := *run.Due
		if run.Until != nil {
			last = *run.Until
		}
		for due := *run.Due; !due.After(last); due = due.Add(time.Second) {
			own(run.Cron, due, id)
		}
		outcomes[run.Cron+" "+string(run.Outcome)] += run.Count
	}
	for id, claim := range tr.claims {
		if tr.runs[id].ID == "" {
			own(claim.Cron, claim.Due, id)
			outcomes[claim.Cron+" open"]++
			assert.False(t, settled, "%s of %s was never settled", claim.Cron, claim.Due)
		}
	}
	for _, cron := range []string{"backup", "update", "import", "sweep"} {
		dues := slices.Sorted(maps.Keys(owners[cron]))
		if !assert.NotEmpty(t, dues, cron) {
			continue
		}
		for at := tr.began.Unix() + 5; at <= dues[len(dues)-1]; at++ {
			assert.NotEmpty(t, owners[cron][at], "%s of %s has vanished", cron, time.Unix(at, 0).UTC())
		}
	}
	tr.checkCommands()
	taken := tr.checkOperations()
	var told []string
	for _, name := range slices.Sorted(maps.Keys(outcomes)) {
		told = append(told, fmt.Sprintf("%s %d", name, outcomes[name]))
	}
	t.Logf("%d agents were killed; %s; the platform took %d operations", tr.killed, strings.Join(told, ", "), taken)
}

func (tr *trial) checkCommands() {
	t := tr.t
	file, err := os.Open(filepath.Join(tr.dir, "app", "acts"))
	require.NoError(t, err)
	defer file.Close()
	ran, dues := map[string]bool{}, map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		require.Len(t, words, 3)
		due, id := words[0]+" "+words[1], words[2]
		assert.False(t, ran[id], "the run %s ran twice", id)
		assert.False(t, dues[due], "%s ran twice", due)
		ran[id], dues[due] = true, true
		_, open := tr.claims[id]
		assert.True(t, open || tr.runs[id].ID != "", "%s ran as %s, which the ledger does not know", due, id)
	}
	for id, run := range tr.runs {
		if run.Operation == "" && run.Outcome == ledger.Succeeded {
			assert.True(t, ran[id], "%s succeeded as %s, and did not run", run.Cron, id)
		}
		if run.Outcome == ledger.Missed || run.Outcome == ledger.Skipped {
			assert.False(t, ran[id], "%s ran as %s, which was %s", run.Cron, id, run.Outcome)
		}
	}
}

// checkOperations counts what the platform took of each kind: not more than there
// are occurrences that were acted on, or may have been; and none of them twice.
func (tr *trial) checkOperations() int {
	t := tr.t
	of := map[string]string{}
	acted := map[string]int{}
	for id, run := range tr.runs {
		if run.Operation == "" {
			continue
		}
		switch run.Outcome {
		case ledger.Fired, ledger.Succeeded:
			assert.Len(t, run.Activities, 1, "run %s of %s", id, run.Cron)
			acted[run.Cron]++
		case ledger.Uncertain, ledger.Deferred, ledger.Failed:
			acted[run.Cron]++
		}
		for _, activity := range run.Activities {
			if other := of[activity.ID]; other != "" && run.Reason == "" && tr.runs[other].Reason == "" {
				t.Errorf("activity %s is of the runs %s and %s", activity.ID, other, id)
			}
			of[activity.ID] = id
		}
	}
	for _, claim := range tr.claims {
		if claim.Operation != "" && tr.runs[claim.ID].ID == "" {
			acted[claim.Cron]++
		}
	}
	taken := map[string]int{}
	for _, a := range tr.server.Accepted() {
		taken[map[bool]string{true: "backup", false: "update"}[a.Operation == "backup"]]++
	}
	for cron, n := range taken {
		assert.LessOrEqual(t, n, acted[cron], "the platform took more of %s than there are occurrences", cron)
	}
	return len(tr.server.Accepted())
}
