package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is an agent of either kind that was started.
type process struct {
	cmd    *exec.Cmd
	log    string // where its output goes: to a file, as it would not to a terminal
	exited chan struct{}
}

// environ is what an agent is given, and its commands after it. The PATH is a
// container's, so that it does not count how many folders this machine's has.
func environ(state string, more ...string) []string {
	return append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + state, "CRONAGENT_STATE_DIR=" + state}, more...)
}

// start starts an agent; its output is added to the file log.
func start(log string, env []string, argv ...string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), log: log, exited: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, file, file
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.cmd.Wait(); close(p.exited) }() // its error is in ProcessState
	return p, nil
}

// patience is how long an agent that was told to stop is waited for.
const patience = 20 * time.Second

// stop ends it kindly, and else for good. The error says that it did not end well.
func (p *process) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("%s did not end within %s", p.cmd.Args[0], patience)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 && code != 143 {
		return p.failed()
	}
	return nil
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) over() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// failed is the error for an agent that ended by itself.
func (p *process) failed() error {
	text, _ := os.ReadFile(p.log)
	return fmt.Errorf("%s ended: %s: %s", strings.Join(p.cmd.Args, " "), p.cmd.ProcessState, text[max(0, len(text)-1000):])
}

// memory is its anonymous and its resident memory, in megabytes.
func (p *process) memory() (anonymous, resident float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		kilobytes, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "RssAnon:":
			anonymous = kilobytes / 1024
		case "VmRSS:":
			resident = kilobytes / 1024
		}
	}
	if anonymous == 0 {
		return 0, 0, errors.New("the kernel does not tell the memory of a process")
	}
	return anonymous, resident, nil
}

// cpu is the time that its threads have run, to the nanosecond; without its
// children.
func (p *process) cpu() (sum time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("process %d has gone, or the kernel has no schedstat", p.cmd.Process.Pid)
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended meanwhile
		}
		ran, _, _ := strings.Cut(string(text), " ")
		nanoseconds, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(nanoseconds)
	}
	return sum, nil
}

// descriptors is how many files it has open.
func (p *process) descriptors() (int, error) {
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	return len(all), err
}

// quiet is how long a process must not run to be taken for one that waits.
const quiet = 150 * time.Millisecond

// settle waits until the process does nothing any more, and says when after its
// start that began, and what CPU it had used: how often it is looked at, two
// milliseconds, is how exact that is.
func (p *process) settle(ctx context.Context, started time.Time) (armed, used time.Duration, err error) {
	for time.Since(started) < armed+quiet {
		if err := sleep(ctx, 2*time.Millisecond); err != nil {
			return 0, 0, err
		}
		if p.over() {
			return 0, 0, p.failed()
		}
		now, err := p.cpu()
		if err != nil {
			return 0, 0, err
		}
		if now > used {
			used, armed = now, time.Since(started)
		}
	}
	return armed, used, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	average, _, _ := strings.Cut(string(text), " ")
	return average
}

// yearly are crons that are not due while they are looked at, at as many different
// times as a day has minutes.
func yearly(i int) (spec, start string) {
	return fmt.Sprintf("%d %d 1 1 *", i%60, i/60%24), fmt.Sprintf("echo %d", i)
}

// application writes a configuration with n crons, in the form in which people
// write it, and returns its path. Line makes the two keys of cron i that say when
// and what.
func (b bench) application(name string, n int, lines func(i int) (spec, start string)) (string, error) {
	var text bytes.Buffer
	text.WriteString("name: app\ntype: 'php:8.3'\ntimezone: UTC\nvariables:\n  cronagent:\n    crons:\n")
	for i := range n {
		spec, start := lines(i)
		fmt.Fprintf(&text, "      job-%d:\n        spec: '%s'\n        environment_types: [any]\n        commands: { start: '%s' }\n", i, spec, start)
	}
	path := filepath.Join(b.dir, name+".app.yaml")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

// crontab is application for supercronic.
func (b bench) crontab(name string, n int, lines func(i int) (spec, start string)) (string, error) {
	var text bytes.Buffer
	for i := range n {
		spec, start := lines(i)
		fmt.Fprintf(&text, "%s %s\n", spec, start)
	}
	path := filepath.Join(b.dir, name+".crontab")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}
