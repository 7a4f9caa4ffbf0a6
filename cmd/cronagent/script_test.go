package main

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cronagent/cronagent/internal/sandbox"
)

// endsSoon is for the environment of every program that tests start: under the race
// detector it would sleep for a second before it ends, in case a race is just happening.
const endsSoon = "GORACE=atexit_sleep_ms=10"

// TestMain makes this test binary the program itself, under each of its names.
func TestMain(m *testing.M) {
	name, value, _ := strings.Cut(endsSoon, "=")
	_ = os.Setenv(name, value)
	testscript.Main(m, map[string]func(){
		"cronagent": program, "platform": program, "upsun": program, "webpaas": program,
	})
}

// TestScripts types every command as a user does, each script against a fake
// platform of its own. The environment is that of a production container;
// scripts change what they need to. All of it happens at debug level, and at its
// end a script's output, debug lines and files are searched for secrets.
//
// Beside testscript's commands there are:
//
//	fault JSON|none         scripts a fault of the fake platform, or ends all of them
//	environment JSON        replaces an environment of the fake platform
//	happen JSON             makes somebody else do something on it
//	accepted N [OPERATION]  the fake platform has accepted N operations
//	requests N              and received N requests
//	sent FILE               these are the requests that change something, one a line,
//	                        that it has received since the last time
//	received N              waits until it has received N requests
//	waitfor FILE            waits until there is such a file
//	base64 NAME FILE        sets a variable to a file's content in base64
//	came mail|web N         so many messages have come; they are the files mail1, web1, ...
//	mailserver stop|start   the mail server is not there for a while
//	mailserver hang|resume  it does not answer for a while
//	webfails N              the web server answers so many requests by 500
//	webhook FILE            the file is what docs/webhook.schema.json says of webhooks
//	database STATE          the database is up, down or hangs (see TestDatabaseScripts)
//	nosecret FILE...        neither token is in the files, nor in stdout and stderr
func TestScripts(t *testing.T) {
	testscript.RunT(searched{T: t, dir: "script"}, scripts("script", container))
}

// scripts are those of a folder below testdata.
func scripts(dir string, setup func(*testscript.Env) error) testscript.Params {
	return testscript.Params{
		Dir:                 filepath.Join("testdata", dir),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup:               setup,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"fault":       fault,
			"environment": environment,
			"happen":      happen,
			"accepted":    accepted,
			"requests":    requests,
			"sent":        sent,
			"received":    received,
			"waitfor":     waitFor,
			"base64":      setBase64,
			"nosecret":    noSecret,
			"came":        came,
			"mailserver":  mailserver,
			"webfails":    webfails,
			"webhook":     webhook,
			"database":    setDatabase,
		},
	}
}

// apiToken is one that is found if it leaks: it is no word of anything else.
const apiToken = "tok-4Zq9sX7vB2"

type serverKey struct{}

// container is a production container beside a fake platform.
func container(env *testscript.Env) error {
	server := sandbox.New(sandbox.Options{Token: apiToken, ActivityDuration: -1})
	url, err := server.Start()
	if err != nil {
		return err
	}
	env.Defer(func() { server.Close() })
	env.Values[serverKey{}] = server
	env.Values[sentKey{}] = new(int)
	app := filepath.Join(env.WorkDir, "app")
	env.Vars = append(env.Vars, endsSoon,
		"PLATFORM_PROJECT="+sandbox.DefaultProject,
		"PLATFORM_BRANCH=main",
		"PLATFORM_ENVIRONMENT=main-bvxea6i",
		"PLATFORM_ENVIRONMENT_TYPE=production",
		"PLATFORM_APPLICATION_NAME=app",
		"PLATFORM_APP_DIR="+app,
		"PLATFORMSH_CLI_TOKEN="+apiToken,
		"CRONAGENT_API_URL="+url,
		"CRONAGENT_AUTH_URL="+url,
		"CRONAGENT_STATE_DIR="+filepath.Join(env.WorkDir, "state"),
	)
	watch(env)
	return deliver(env)
}

func server(ts *testscript.TestScript) *sandbox.Server {
	return ts.Value(serverKey{}).(*sandbox.Server)
}

func fault(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fault JSON|none")
	}
	if args[0] == "none" {
		server(ts).ClearFaults()
		return
	}
	faults, err := sandbox.ParseFaults([]byte(args[0]))
	ts.Check(err)
	ts.Check(server(ts).Fault(faults...))
}

func environment(ts *testscript.TestScript, neg bool, args []string) {
	var e sandbox.Environment
	if neg || len(args) != 1 {
		ts.Fatalf("usage: environment JSON")
	}
	ts.Check(json.Unmarshal([]byte(args[0]), &e))
	server(ts).SetEnvironment(e)
}

func happen(ts *testscript.TestScript, neg bool, args []string) {
	var e sandbox.Event
	if neg || len(args) != 1 {
		ts.Fatalf("usage: happen JSON")
	}
	ts.Check(json.Unmarshal([]byte(args[0]), &e))
	ts.Check(server(ts).Happen(e))
}

func accepted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: accepted N [OPERATION]")
	}
	n := 0
	for _, a := range server(ts).Accepted() {
		if len(args) < 2 || a.Operation == args[1] {
			n++
		}
	}
	if strconv.Itoa(n) != args[0] {
		ts.Fatalf("the fake platform accepted %d operations, want %s", n, args[0])
	}
}

func requests(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: requests N")
	}
	all := server(ts).Requests()
	if strconv.Itoa(len(all)) != args[0] {
		ts.Fatalf("the fake platform received %d requests, want %s: %v", len(all), args[0], all)
	}
}

type sentKey struct{}

var generatedID = regexp.MustCompile(`/(backups|activities)/[a-z0-9]{13,26}`)

// sent leaves out the exchange of tokens, where the project is, and ids that the
// fake platform draws.
func sent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sent FILE")
	}
	seen := ts.Value(sentKey{}).(*int)
	all := server(ts).Requests()
	var lines strings.Builder
	for _, r := range all[*seen:] {
		path := strings.TrimPrefix(r.Path, "/projects/"+sandbox.DefaultProject)
		if r.Method != "GET" && path != "/oauth2/token" {
			lines.WriteString(strings.TrimSpace(r.Method+" "+generatedID.ReplaceAllString(path, "/$1/ID")+" "+r.Body) + "\n")
		}
	}
	*seen = len(all)
	if want := ts.ReadFile(args[0]); lines.String() != want {
		ts.Fatalf("the fake platform received\n%swant\n%s", lines.String(), want)
	}
}

// received is for what has to happen while a request is under way.
func received(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: received N")
	}
	for deadline := time.Now().Add(time.Minute); strconv.Itoa(len(server(ts).Requests())) != args[0]; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("the fake platform received %d requests, not %s", len(server(ts).Requests()), args[0])
		}
	}
}

func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfor FILE")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s did not come", args[0])
		}
	}
}

func setBase64(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: base64 NAME FILE")
	}
	ts.Setenv(args[0], base64.StdEncoding.EncodeToString([]byte(ts.ReadFile(args[1]))))
}

var bearerText = regexp.MustCompile(`(?i)bearer\s+[^\s\[*]`)

func noSecret(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("nosecret cannot be negated")
	}
	for _, name := range append([]string{"stdout", "stderr"}, args...) {
		text := ts.ReadFile(name)
		if strings.Contains(text, apiToken) || bearerText.MatchString(text) {
			ts.Fatalf("%s holds a secret", name)
		}
	}
}

// TestWorst: uncertain is worse than anything, since only a person can settle it.
func TestWorst(t *testing.T) {
	for _, c := range []struct {
		codes []int
		want  int
	}{
		{nil, 0}, {[]int{0, 0}, 0}, {[]int{5, 1}, 1}, {[]int{1, 4}, 4}, {[]int{4, 3}, 3}, {[]int{3, 6, 0}, 6},
	} {
		if got := worst(c.codes); got != c.want {
			t.Errorf("worst(%v) = %d, want %d", c.codes, got, c.want)
		}
	}
}

// TestSafe: text from outside cannot move the cursor, hide or turn anything.
func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain":              "plain",
		"Zürich – 東京":        "Zürich – 東京",
		"a\nb\tc":            `a\nb c`,
		"\x1b[31mred":        `\x1b[31mred`,
		"a\u202eb":           `a\u202eb`,
		"bad \xff byte":      `bad \xff byte`,
		"replaced \uFFFD ok": "replaced \\ufffd ok",
		"\u0085next":         `\u0085next`,
	} {
		if got := safe(in); got != want {
			t.Errorf("safe(%q) = %q, want %q", in, got, want)
		}
	}
}
