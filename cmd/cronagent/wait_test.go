package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

func progress(state string, percent int) platform.Progress {
	return platform.Progress{Activity: platform.Activity{ID: "a1", Type: "environment.backup", State: state}, Percent: percent}
}

func TestBarFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		now     platform.Progress
		away    bool
		columns int
		want    string
	}{
		"wide: no longer than needed":  {progress("in_progress", 50), false, 300, "[" + strings.Repeat("=", 20) + strings.Repeat(" ", 20) + "]  50% in_progress 1m5s"},
		"usual":                        {progress("in_progress", 100), false, 80, "[" + strings.Repeat("=", 40) + "] 100% in_progress 1m5s"},
		"narrow: a shorter bar":        {progress("in_progress", 50), false, 40, "[=======        ]  50% in_progress 1m5s"},
		"narrower: none":               {progress("in_progress", 50), false, 30, " 50% in_progress 1m5s"},
		"hardly a terminal: cut":       {progress("in_progress", 50), false, 8, " 50% in"},
		"one column":                   {progress("in_progress", 50), false, 1, ""},
		"no column":                    {progress("in_progress", 50), false, 0, ""},
		"the API is away":              {progress("pending", 0), true, 60, "[              ]   0% pending 1m5s, the API does not answer"},
		"a state that is no plain one": {progress("\x1b[2Jé", 0), false, 30, `  0% \x1b[2Jé 1m5s`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, bar(test.now, 65*time.Second+400*time.Millisecond, test.away, test.columns))
		})
	}
}

// TestReadable: what a job printed for a terminal is read by people and by logs.
func TestReadable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                           "plain",
		"\x1b[1;32mgreen\x1b[0m and bold": "green and bold",
		"\x1b[2K\x1b[1Gup\x1b[?25h":       "up",
		" 10%\r 50%\r100%":                "100%",
		"ends so\r":                       "ends so",
		"\r\r":                            "",
		"\x1b]0;title\x07":                `\x1b]0;title\x07`,
		"\x1b":                            `\x1b`,
		"\x1b[":                           `\x1b[`,
		"turned \u202e round":             `turned \u202e round`,
		"Composer: 3 Pakete für Zürich, 東京": "Composer: 3 Pakete für Zürich, 東京",
	} {
		assert.Equal(t, want, readable(in), "%q", in)
	}
}

func TestViewDrawsOneLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // so that no second passes
		var out bytes.Buffer
		v := &view{w: &out, mask: strings.Clone, columns: func() int { return 40 }, began: time.Now().Add(-2 * time.Second)}
		next := func() string {
			defer out.Reset()
			return out.String()
		}
		v.tell(platform.Event{Now: progress("pending", 0)})
		assert.Equal(t, "\r[                     ]   0% pending 2s\x1b[K", next())
		v.tell(platform.Event{Now: progress("in_progress", 50)})
		assert.Equal(t, "\r[========         ]  50% in_progress 2s\x1b[K", next(), "in place, and without a line for the state")
		v.tell(platform.Event{Now: progress("in_progress", 50), Log: []string{"one", "\x1b[31mtwo"}})
		assert.Equal(t, "\r\x1b[Kone\ntwo\n\r[========         ]  50% in_progress 2s\x1b[K", next(), "the log is above it")
		v.tell(platform.Event{Now: progress("in_progress", 50), Away: &platform.Error{Op: "look", Detail: "503"}})
		assert.Equal(t, "\r\x1b[Kcronagent: the API does not answer at present: look: 503\n\r 50% in_progress 2s, the API does not a\x1b[K", next())
		v.tell(platform.Event{Now: progress("in_progress", 50)})
		assert.True(t, strings.HasPrefix(next(), "\r\x1b[Kcronagent: the API answers again\n\r["))
		v.tell(platform.Event{Now: progress("staged", 50)})
		assert.Equal(t, "\r\x1b[Kcronagent: activity a1 is staged: it waits for a deployment by hand\n", next(), "and then it is gone")
		v.clear()
		assert.Empty(t, next(), "nothing is left to clear")
	})
}

func TestViewWithoutATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := &view{w: &out, mask: func(text string) string { return strings.ReplaceAll(text, "secret", "********") }}
	for _, e := range []platform.Event{
		{Now: progress("pending", 0)},
		{Now: progress("in_progress", 1)},
		{Now: progress("in_progress", 2)},
		{Now: progress("in_progress", 2), Log: []string{"one secret", "", "\ttwo "}},
		{Now: progress("cancelled", 2)},
		{Now: progress("cancelled", 2)},
	} {
		v.tell(e)
	}
	v.clear()
	assert.Equal(t, `cronagent: activity a1 is pending
cronagent: activity a1 is in_progress
cronagent: log: one ********
cronagent: log:
cronagent: log:  two
cronagent: activity a1 is cancelled
`, out.String(), "a line for each state, none for percentages")
}

func TestWhyWaitingStopped(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	now := progress("pending", 0)
	away := &platform.Error{Op: "follow activity a1", Status: 503, Host: "api.example.com", Detail: "away"}
	const stopped = "stopped waiting for activity a1, which is pending and goes on without us: "
	assert.Equal(t, stopped+"it has not ended within 2m0s", stoppedText(over, now, away, 2*time.Minute))
	assert.Equal(t, stopped+"interrupted", stoppedText(interrupted, now, away, 0))
	assert.Equal(t, stopped+"503 Service Unavailable from api.example.com: away", stoppedText(t.Context(), now, away, 0))
	assert.Equal(t, "the platform has not said which activity to wait for", stoppedText(t.Context(), platform.Progress{}, away, 0))
}

func TestHowAnActivityFailed(t *testing.T) {
	t.Parallel()
	failed := func(state, result, reason string, codes ...int) platform.Progress {
		now := progress(state, 100)
		now.Result, now.FailureReason = result, reason
		for i, code := range codes {
			now.Commands = append(now.Commands, platform.Command{App: fmt.Sprintf("app%d", i), Type: "hook", ExitCode: code})
		}
		return now
	}
	for want, now := range map[string]platform.Progress{
		"activity a1 (environment.backup) ended with the result failure (shell): the hook of app1 exited with 2": failed("complete", "failure", "shell", 0, 2),
		"activity a1 (environment.backup) ended with the result failure (error)":                                 failed("complete", "failure", "error"),
		"activity a1 (environment.backup) ended with the result unknown":                                         failed("complete", "", ""),
		"activity a1 (environment.backup) was cancelled":                                                         failed("cancelled", "failure", ""),
	} {
		assert.Equal(t, want, failedText(now))
	}
	assert.Equal(t, 5, strings.Count(failedText(failed("complete", "failure", "shell", 1, 2, 3, 4, 5, 6, 7)), "exited with"))
}

// TestWaitOnATerminal runs the program on a pseudo-terminal of 50 columns.
func TestWaitOnATerminal(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	const activity = `{"id": "a1", "type": "environment.backup", `
	for term, want := range map[string][]string{
		"xterm": {
			`^\r\[ {31}\]   0% pending 0s\x1b\[K`,
			`\r\x1b\[Kone\r\n\r\[={10} {17}\]  40% in_progress [1-9]s\x1b\[K`,
			`\r\x1b\[Kcronagent: activity a1 is complete \(success\)\r\n$`, // nothing is left of the line
		},
		"dumb": {`^cronagent: activity a1 is pending\r\ncronagent: activity a1 is in_progress\r\ncronagent: log: one\r\ncronagent: activity a1 is complete \(success\)\r\n$`},
	} {
		t.Run(term, func(t *testing.T) {
			t.Parallel()
			server := sandbox.New(sandbox.Options{})
			url, err := server.Start()
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, server.Close()) })
			require.NoError(t, server.Fault(
				sandbox.Fault{On: "post", Act: true, Body: `{"_embedded": {"activities": [` + activity + `"state": "pending"}]}}`},
				sandbox.Fault{On: "/projects/*/activities/a1/log", Status: 200, Body: `{"_id": "1", "data": {"message": "one\n"}}` + "\n" + `{"seal": true}` + "\n"},
				sandbox.Fault{On: "/projects/*/activities/a1", Times: 1, Status: 200, Body: activity + `"state": "in_progress", "completion_percent": 40}`},
				sandbox.Fault{On: "/projects/*/activities/a1", Status: 200, Body: activity + `"state": "complete", "result": "success"}`}))
			ours, terminal := openTerminal(t, 50)
			cmd := exec.Command(self, "fire", "backup:create", "--wait")
			cmd.Args[0] = "cronagent" // TestMain makes it so
			cmd.Stderr = terminal
			cmd.Env = []string{endsSoon,
				"PLATFORM_PROJECT=" + sandbox.DefaultProject, "PLATFORM_BRANCH=main", "PLATFORM_ENVIRONMENT_TYPE=production",
				"PLATFORM_APPLICATION_NAME=app", "PLATFORM_APP_DIR=" + t.TempDir(), "PLATFORMSH_CLI_TOKEN=" + sandbox.DefaultToken,
				"CRONAGENT_API_URL=" + url, "CRONAGENT_AUTH_URL=" + url, "CRONAGENT_STATE_DIR=" + filepath.Join(t.TempDir(), "state"),
				"SSH_CONNECTION=192.0.2.1 22 192.0.2.2 22", "TERM=" + term,
			}
			require.NoError(t, cmd.Start())
			require.NoError(t, terminal.Close())
			// When nobody has the terminal open any more, reading fails so.
			out, err := io.ReadAll(ours)
			require.True(t, err == nil || errors.Is(err, syscall.EIO), "%v", err)
			require.NoError(t, cmd.Wait(), "%q", out)
			for _, part := range want {
				assert.Regexp(t, part, string(out))
			}
		})
	}
}

// openTerminal opens a pseudo-terminal: what is written to the second file can be
// read from the first.
func openTerminal(t *testing.T, columns uint16) (*os.File, *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ours.Close() })
	fd := int(ours.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}))
	return ours, terminal
}
