package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/examples"
	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// demoTick is how often the platform wakes the agent in the demonstration, as in
// the example.
const demoTick = 5 * time.Minute

func newDemo(p proc) *cobra.Command {
	var file, day string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "live through a day of crons in seconds, against a built-in fake platform",
		Long: `Live through a day of crons in seconds. It starts the built-in fake platform on
loopback, puts on the variables of a production container, reads the example
configuration (or --file), and acts on every occurrence of that day with the
code that acts in real life: claim, token, POST, record. Then it lives through
the same day on a preview environment, where nothing is fired.

It needs no account and no network. Commands of crons really run, in a temporary
folder, with a stand-in for php; --file runs the commands of that file.`,
		Example: "  cronagent demo\n  cronagent demo --file .platform.app.yaml --day 2027-03-28",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "cronagent-demo-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			d, err := newDemonstration(p, dir, file, day)
			if err != nil {
				return err
			}
			if !asJSON {
				return d.run(cmd.Context())
			}
			d.p.stdout = io.Discard
			if err := d.run(cmd.Context()); err != nil {
				return err
			}
			return writeJSON(p.stdout, d.lived)
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "read this `file` instead of the example")
	cmd.Flags().StringVar(&day, "day", "", "live through this `date` (default: Monday of this week)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON at the end: what ran, and what the fake platform received")
	return cmd
}

// demonstration is a day in a temporary folder that plays the container.
type demonstration struct {
	p    proc
	dir  string // what the container has: the app, the state, a stand-in for php
	file string // the configuration, as a person would name it
	path string // where it is read from
	from time.Time
	to   time.Time
	// lived is what came of it, one for each container.
	lived []livedDay
}

// livedDay is a day in one container, in `demo --json`.
type livedDay struct {
	Environment     string    `json:"environment"`
	EnvironmentType string    `json:"environment_type"`
	From            time.Time `json:"from"`
	To              time.Time `json:"to"`
	// Runs are those that the ledger holds in the end.
	Runs     []ledger.Run `json:"runs"`
	Requests []*request   `json:"requests"`
	// Accepted is how many operations the fake platform accepted.
	Accepted int `json:"accepted"`
}

func newDemonstration(p proc, dir, file, day string) (*demonstration, error) {
	d := &demonstration{p: p, dir: dir, file: file, path: file}
	if file == "" {
		d.file, d.path = "examples/.platform.app.yaml", filepath.Join(dir, "app", ".platform.app.yaml")
	}
	const php = "#!/bin/sh\necho \"a stand-in for php, called with: $*\"\n"
	for name, content := range map[string]string{"app/.platform.app.yaml": string(examples.AppYAML), "bin/php": php} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			return nil, err
		}
	}
	app, err := d.read()
	if err != nil {
		return nil, err
	}
	date := time.Now().In(app.Zone)
	if day != "" {
		if date, err = time.Parse(time.DateOnly, day); err != nil {
			return nil, usage("for example: --day 2027-03-28", "--day: cannot read %q as a date", day)
		}
	} else {
		date = date.AddDate(0, 0, -(int(date.Weekday())+6)%7)
	}
	midnight := time.Date(date.Year(), date.Month(), date.Day(), 0, 0, 0, 0, time.UTC)
	d.from, d.to = onClock(midnight, app.Zone), onClock(midnight.AddDate(0, 0, 1), app.Zone)
	return d, nil
}

// read reads the configuration for the project of the fake platform.
func (d *demonstration) read() (*appconfig.App, error) {
	source, err := appconfig.ReadFile(d.path)
	if err != nil {
		return nil, err
	}
	return source.App(appconfig.Options{Project: sandbox.DefaultProject})
}

// run is the whole demonstration.
func (d *demonstration) run(ctx context.Context) error {
	if err := d.p.screen().lines("The fake platform listens on loopback; nothing leaves this machine.", ""); err != nil {
		return err
	}
	if err := d.live(ctx, "1. A production container", map[string]string{
		"PLATFORM_BRANCH": "main", "PLATFORM_ENVIRONMENT": "main-bvxea6i", "PLATFORM_ENVIRONMENT_TYPE": "production",
	}, true); err != nil {
		return err
	}
	return d.live(ctx, "2. The same day on a preview environment", map[string]string{
		"PLATFORM_BRANCH": "feature/new-menu", "PLATFORM_ENVIRONMENT": "feature-new-menu-hgi456q", "PLATFORM_ENVIRONMENT_TYPE": "development",
	}, false)
}

// live lives through the day in one container.
func (d *demonstration) live(ctx context.Context, title string, vars map[string]string, details bool) error {
	s := d.p.screen()
	day := &simulation{now: d.from}
	server := sandbox.New(sandbox.Options{Now: day.clock, OnRequest: day.received})
	defer server.Close()
	url, err := server.Start()
	if err != nil {
		return err
	}
	state := filepath.Join(d.dir, "state-"+vars["PLATFORM_ENVIRONMENT"])
	maps.Copy(vars, map[string]string{
		"PLATFORM_PROJECT":          sandbox.DefaultProject,
		"PLATFORM_APPLICATION_NAME": "app",
		"PLATFORM_APP_DIR":          filepath.Join(d.dir, "app"),
		"PLATFORM_VARIABLES":        base64.StdEncoding.EncodeToString([]byte("{}")),
		"PLATFORMSH_CLI_TOKEN":      sandbox.DefaultToken,
		"CRONAGENT_API_URL":         url,
		"CRONAGENT_AUTH_URL":        url,
		"CRONAGENT_STATE_DIR":       state,
		"PATH":                      filepath.Join(d.dir, "bin") + ":" + d.p.getenv("PATH"),
	})
	p := d.p.with(vars)
	env, err := p.detect("")
	if err != nil {
		return err
	}
	app, err := d.read()
	if err != nil {
		return err
	}
	for i := range app.Crons {
		app.Crons[i].Position.File = d.file
	}
	_ = s.lines(title, "")
	if details {
		if err := showEnv(p, env, false); err != nil {
			return err
		}
		_ = s.lines("", "The crons of "+safe(d.file)+", as they stand at the beginning of the day:", "")
		if err := p.list(app, env, d.from.Add(-time.Second), false); err != nil {
			return err
		}
		_ = s.lines("")
	}
	_ = s.lines(fmt.Sprintf("%s, %s, the agent woken every %.0f minutes:", d.from.Format("Monday 2 January 2006"), d.from.Location(), demoTick.Minutes()), "")

	l, err := openLedger(ctx, env)
	if err != nil {
		return err
	}
	runs, err := d.liveThrough(ctx, p, env, app, l, day)
	if err != nil {
		return err
	}
	accepted := server.Accepted()
	lived := livedDay{Environment: env.ID, EnvironmentType: env.Type, From: d.from, To: d.to, Requests: []*request{}, Accepted: len(accepted)}
	held, err := l.History(ctx, cronKey(env, app.Name, ""), math.MaxInt)
	if err != nil {
		return err
	}
	lived.Runs = append([]ledger.Run{}, held...)
	for _, r := range server.Requests() {
		lived.Requests = append(lived.Requests, requestOf(r))
	}
	d.lived = append(d.lived, lived)
	return s.lines("", fmt.Sprintf("The fake platform received %s and accepted %s. The ledger holds %s.",
		plural(len(server.Requests()), "request"), plural(len(accepted), "operation"), plural(runs, "run")), "")
}

// liveThrough wakes the agent again and again, as the platform does, and prints
// what it did beside the requests that the fake platform got. It returns how many
// runs there were.
func (d *demonstration) liveThrough(ctx context.Context, p proc, env envdetect.Environment, app *appconfig.App, l ledger.Ledger, day *simulation) (int, error) {
	s := p.screen()
	known := map[string]bool{} // one run may be told of twice: fired, and succeeded later
	commands := map[string]map[ledger.Outcome]int{}
	for at := d.from; at.Before(d.to); at = at.Add(demoTick) {
		// The last moment of the day belongs to it as well.
		now := min(at.Add(demoTick).Unix(), d.to.Unix()-1)
		day.set(time.Unix(now, 0).In(d.from.Location()))
		// A new agent each time: every tick is a process of its own.
		a := p.newAgent(env, app, l, nil)
		a.LookBack = 0 // the day before is not shown
		runs, err := a.Tick(ctx, d.from.Add(-time.Second), day.clock())
		if err != nil {
			return len(known), err
		}
		for _, run := range runs {
			known[run.ID] = true
			if run.Operation == "" && run.Outcome != ledger.Skipped {
				if commands[run.Cron] == nil {
					commands[run.Cron] = map[ledger.Outcome]int{}
				}
				commands[run.Cron][run.Outcome]++
				continue
			}
			_ = s.lines(safe(fmt.Sprintf("%s  %s, due %s: %s", day.clock().Format("15:04"), run.Cron, run.Due.In(d.from.Location()).Format("15:04"), told(run))))
		}
		for _, request := range day.take() {
			_ = s.lines("         -> " + safe(request))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(commands)) {
		for _, outcome := range slices.Sorted(maps.Keys(commands[name])) {
			_ = s.lines(safe(fmt.Sprintf("       %s: %s %s", name, plural(commands[name][outcome], "run"), outcome)))
		}
	}
	return len(known), nil
}

// told is what came of a run in a few words.
func told(run ledger.Run) string {
	text := string(run.Outcome)
	if run.Operation != "" {
		text += " " + run.Operation
	}
	for _, activity := range run.Activities {
		text += ", activity " + activity.ID
	}
	for _, more := range []string{run.Reason, run.Error} {
		if more != "" {
			text += ": " + more
		}
	}
	return text
}

// simulation is the time of the day that is lived through, and what the fake
// platform received since it was last asked.
type simulation struct {
	mu       sync.Mutex
	now      time.Time
	requests []string
}

func (s *simulation) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *simulation) set(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

func (s *simulation) received(r sandbox.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, requestLine(r))
}

func (s *simulation) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := s.requests
	s.requests = nil
	return requests
}

// with is the process as it would be in a container with these variables.
func (p proc) with(vars map[string]string) proc {
	p.lookup = func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
	environ := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		environ = append(environ, name+"="+vars[name])
	}
	p.environ = func() []string { return environ }
	p.calledAs = "cronagent"
	return p
}
