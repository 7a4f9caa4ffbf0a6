package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
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

	"github.com/cronagent/cronagent/internal/sandbox"
)

// trap is in PLATFORMSH_CLI_API_TOKEN, which holds an access token. We have no use
// for it, but must not show it either.
const trap = sandbox.AccessTokenPrefix + "OFTHETRAP"

// act is one run of the program, in a container of its own, beside a fake platform
// of its own, at debug level.
type act struct {
	args   []string          // the first is the name that it is called by
	token  string            // as it stands in the variable; empty means apiToken
	vars   map[string]string // beside those of a production container
	files  map[string]string // beneath the container's folder
	opts   sandbox.Options
	faults []sandbox.Fault
	server http.Handler // instead of the fake platform
	before []string     // one that is run before, and then the next second is waited for
	during func(*stage) // is called while it runs
	code   int          // what it must end with; anyCode
	says   string       // what must be in its output
	mute   bool         // it does nothing of which there are debug lines
	argued bool         // its arguments hold the token; somebody typed it there
}

const anyCode = -1

// stage is where an act is played.
type stage struct {
	t      *testing.T
	dir    string
	env    []string
	server *sandbox.Server
	out    locked
	err    locked
	cmd    *exec.Cmd
}

// locked is a buffer that is read while it is written.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// until waits for something that is sure to come.
func (s *stage) until(what string, come func() bool) {
	for deadline := time.Now().Add(time.Minute); !come(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Errorf("it did not come: %s\n%s%s", what, s.out.String(), s.err.String())
			return
		}
	}
}

func (s *stage) signal(sig syscall.Signal) { assert.NoError(s.t, s.cmd.Process.Signal(sig)) }

// suite is what all acts have in common.
type suite struct {
	table     processes
	bystander string // a server that must get no request: proxy, redirect, other host
	proxied   locked // what a proxy got
	mu        sync.Mutex
	strayed   []string // credentials that came to the wrong host
	acts      int
	bytes     int
	files     int
	argv      map[string]bool
}

func TestNoSecretIsLetOut(t *testing.T) {
	t.Parallel()
	var got []string
	var mu sync.Mutex
	bystander := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Method+" "+r.URL.String())
	}))
	s := &suite{bystander: bystander.URL, argv: map[string]bool{}}
	watching, stop := context.WithCancel(context.Background())
	var watcher sync.WaitGroup
	watcher.Go(func() { s.table.watch(watching) })
	all := map[string]act{}
	for group, acts := range map[string]map[string]act{
		"ordinary": s.ordinary(), "failing": s.failing(), "repeated": s.repeated(), "configured": configured(), "stopped": stopped(), "sent": s.sent(), "unheard": unheard(),
	} {
		for name, a := range acts {
			all[group+"/"+name] = a
		}
	}
	// Most of them wait most of the time.
	turn := make(chan struct{}, 8)
	var playing sync.WaitGroup
	for name, a := range all {
		playing.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			t.Run(name, func(t *testing.T) { s.play(t, a) })
		})
	}
	playing.Wait()
	stop()
	watcher.Wait()
	bystander.Close()
	assert.Empty(t, got, "requests went to another server")
	assert.Empty(t, s.strayed)
	assert.Contains(t, s.proxied.String(), "CONNECT auth.example.com:443")
	assert.Empty(t, searchFor(oddToken).in(s.proxied.String()), "a proxy got credentials")
	t.Logf("%d acts, %d bytes of output and files, %d files, %d command lines searched", s.acts, s.bytes, s.files, len(s.argv))
	// The search looked at something: at our own command lines, and at those of crons.
	for _, want := range []string{"cronagent tick", "platform backup:create", "sh -c echo begun"} {
		seen := slices.ContainsFunc(slices.Collect(maps.Keys(s.argv)), func(line string) bool { return strings.Contains(line, want) })
		assert.True(t, seen, "no process was seen with the command line %q", want)
	}
}

// play plays one act and searches everything that it left.
func (s *suite) play(t *testing.T, a act) {
	st := s.stage(t, a)
	written := files(st.dir)
	if a.before != nil {
		st.run(&s.table, a.before, nil)
		time.Sleep(1100 * time.Millisecond) // what is due every second is due
	}
	code := st.run(&s.table, a.args, a.during)
	look := searchFor(apiToken, oddToken)
	stdout, stderr, left := st.out.String(), st.err.String(), files(st.dir)
	found := append(look.in(stdout), look.in(stderr)...)
	found = append(found, look.inFiles(left, written)...)
	argv := s.table.argv(st.cmd.Process.Pid)
	for _, line := range argv {
		if !a.argued {
			found = append(found, look.in(line)...)
		}
	}
	for _, leak := range found {
		t.Errorf("a secret is let out: %s", leak)
	}
	if a.code != anyCode {
		assert.Equal(t, a.code, code, "%s%s", stdout, stderr)
	}
	assert.Regexp(t, a.says, stdout+stderr)
	assert.Equal(t, !a.mute, strings.Contains(stderr, "level=DEBUG"), "%s", stderr)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acts++
	s.bytes += len(stdout) + len(stderr)
	for _, content := range left {
		s.files, s.bytes = s.files+1, s.bytes+len(content)
	}
	for _, line := range argv {
		s.argv[line] = true
	}
}

// stage makes the container of an act.
func (s *suite) stage(t *testing.T, a act) *stage {
	st := &stage{t: t, dir: t.TempDir()}
	token := a.token
	if token == "" {
		token = apiToken
	}
	base := ""
	if a.server != nil {
		server := httptest.NewServer(a.server)
		t.Cleanup(server.Close)
		base = server.URL
	} else {
		a.opts.Token, a.opts.RegionalURL = strings.TrimSpace(token), s.bystander
		if a.opts.ActivityDuration == 0 {
			a.opts.ActivityDuration = -1
		}
		st.server = sandbox.New(a.opts)
		url, err := st.server.Start()
		require.NoError(t, err)
		t.Cleanup(func() { _ = st.server.Close() })
		require.NoError(t, st.server.Fault(a.faults...))
		base = url
	}
	vars := map[string]string{
		"PATH": os.Getenv("PATH"), "GOTRACEBACK": "all", "GORACE": os.Getenv("GORACE"), "GOCOVERDIR": os.Getenv("GOCOVERDIR"),
		"HOME": filepath.Join(st.dir, "home"), "TMPDIR": filepath.Join(st.dir, "tmp"),
		"CRONAGENT_STATE_DIR": filepath.Join(st.dir, "state"), "PLATFORM_APP_DIR": filepath.Join(st.dir, "app"),
		"PLATFORM_PROJECT": sandbox.DefaultProject, "PLATFORM_BRANCH": "main", "PLATFORM_ENVIRONMENT": "main-bvxea6i",
		"PLATFORM_ENVIRONMENT_TYPE": "production", "PLATFORM_APPLICATION_NAME": "app",
		"PLATFORMSH_CLI_TOKEN": token, "PLATFORMSH_CLI_API_TOKEN": trap,
		"CRONAGENT_API_URL": base, "CRONAGENT_AUTH_URL": base, debugVariable: "1",
		"HTTP_PROXY": s.bystander, "HTTPS_PROXY": s.bystander, "ALL_PROXY": s.bystander,
	}
	for name, value := range a.vars {
		value = strings.NewReplacer("$DIR", st.dir, "$TOKEN", token, "$SERVER", base).Replace(value)
		if name == "PLATFORM_APPLICATION" || name == "PLATFORM_VARIABLES" || name == "PLATFORM_RELATIONSHIPS" {
			value = base64.StdEncoding.EncodeToString([]byte(value))
		}
		vars[name] = value
	}
	for name, value := range vars {
		if value != "" {
			st.env = append(st.env, name+"="+value)
		}
	}
	for _, folder := range []string{"home", "tmp", "app"} {
		require.NoError(t, os.Mkdir(filepath.Join(st.dir, folder), 0o700))
	}
	for name, content := range a.files {
		path := filepath.Join(st.dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(content, "$TOKEN", token)), 0o700))
	}
	return st
}

// run runs one program to its end and returns its exit code, -1 if a signal ended
// it. It leads a session of its own, by which its descendants are known.
func (s *stage) run(table *processes, args []string, during func(*stage)) int {
	path, err := exec.LookPath(args[0])
	require.NoError(s.t, err)
	s.cmd = &exec.Cmd{Path: path, Args: args, Env: s.env, Dir: filepath.Join(s.dir, "app"), Stdout: &s.out, Stderr: &s.err,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true}, WaitDelay: 10 * time.Second}
	require.NoError(s.t, s.cmd.Start())
	defer table.end(s.cmd.Process.Pid)
	limit := time.AfterFunc(2*time.Minute, func() { _ = s.cmd.Process.Kill() })
	defer limit.Stop()
	if during != nil {
		during(s)
	}
	_ = s.cmd.Wait() // its code is what counts
	return s.cmd.ProcessState.ExitCode()
}

// processes remembers the command lines of processes, as ps shows them, by session.
type processes struct {
	mu    sync.Mutex
	lines map[int][]string
}

// watch looks at all processes until ctx ends.
func (p *processes) watch(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		p.each(func(pid, session int) {
			data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
			line := strings.TrimRight(strings.ReplaceAll(string(data), "\x00", " "), " ")
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.lines == nil {
				p.lines = map[int][]string{}
			}
			if line != "" && !slices.Contains(p.lines[session], line) {
				p.lines[session] = append(p.lines[session], line)
			}
		})
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// each calls f for every process that there is.
func (p *processes) each(f func(pid, session int)) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// pid (name) state parent group session: the name may hold anything.
		data, _ := os.ReadFile("/proc/" + entry.Name() + "/stat")
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) > 3 {
			session, _ := strconv.Atoi(fields[3])
			f(pid, session)
		}
	}
}

func (p *processes) argv(session int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines[session])
}

// end ends what is left of a session.
func (p *processes) end(session int) {
	p.each(func(pid, of int) {
		if of == session && session > 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
}

// typed makes an act of a command line.
func typed(line string) act { return act{args: strings.Fields(line)} }

func with(a act, change func(*act)) act {
	change(&a)
	return a
}

const crons = `{"name": "app", "timezone": null, "variables": {"env": {"PLATFORMSH_CLI_TOKEN": "$TOKEN"}, "cronagent": {"crons": {
  "backup": {"spec": "@every 1s", "fire": "backup:create"},
  "show": {"spec": "@every 1s", "commands": {"start": "echo begun; env; sleep 0.2; exit 7"}, "env": {"LINK": "https://x:$TOKEN@example.com/"}}}}}}`
