package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/ledger"
)

// followEvery is how often logs --follow looks.
const followEvery = time.Second

// mostLogs bounds -n.
const mostLogs = 10_000

type logsOptions struct {
	config              configFlags
	n                   int
	follow, raw, asJSON bool
}

func newLogs(p proc) *cobra.Command {
	var opts logsOptions
	cmd := &cobra.Command{
		Use:   "logs [CRON|OPERATION...]",
		Short: "show what ran and what it printed",
		Long: `Show the newest runs, the oldest of them first: for each a line that says when,
what, how it ended, how long it took and its id, then what it printed, up to 64
KiB. Of older runs, only the end of it is there, up to 4 KiB.

With --follow it goes on with what is recorded from then on, and with what
commands of agent crons print while they run, until it is interrupted.

Characters that could move the cursor or hide text are shown as codes; with --raw
everything is passed through as it was printed. With --json each run is a JSON
object on a line of its own, its output complete in "output".`,
		Example: `  cronagent logs
  cronagent logs import -n 3
  cronagent logs import --follow
  cronagent logs --json | jq -r 'select(.outcome == "failed").error'`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.showLogs(cmd.Context(), args, opts) },
	}
	opts.config.add(cmd.Flags())
	fs := cmd.Flags()
	fs.IntVarP(&opts.n, "lines", "n", 20, "show the newest `N` runs")
	fs.BoolVarP(&opts.follow, "follow", "f", false, "go on with what comes")
	fs.BoolVar(&opts.raw, "raw", false, "pass output through unchanged")
	fs.BoolVar(&opts.asJSON, "json", false, "print JSON, an object on each line")
	return cmd
}

// logs prints runs.
type logs struct {
	*look
	out     screen
	outputs ledger.Outputs
	opts    logsOptions
	// names are the crons and operations that are asked for; none: all.
	names []string
	// told are the runs that were printed, as they were, by their IDs.
	told map[string]ledger.Run
	// live is how much was printed of what an attempt prints, and talking the run
	// that was printed last.
	live    map[attempt]int
	talking string
}

// attempt is one of a run: what it prints begins anew each time.
type attempt struct {
	id string
	n  int
}

func (p proc) showLogs(ctx context.Context, names []string, opts logsOptions) error {
	if opts.n < 0 || opts.n > mostLogs {
		return usage("for example: -n 50", "-n is from 0 to %d", mostLogs)
	}
	v, err := p.lookAround(opts.config)
	if err != nil {
		return err
	}
	l := &logs{
		look: v, out: p.screen(), outputs: ledger.Outputs{Dir: v.env.StateDir}, opts: opts,
		told: map[string]ledger.Run{}, live: map[attempt]int{},
	}
	defer func() { l.book.Close() }()
	if err := l.name(names); err != nil {
		return err
	}
	runs, err := l.runs()
	if err != nil {
		return err
	}
	for i, run := range runs {
		l.tell(run)
		if i < len(runs)-opts.n {
			continue
		}
		if err := l.show(run); err != nil {
			return err
		}
	}
	if len(runs) == 0 && !opts.asJSON {
		p.warn("nothing is recorded yet")
	}
	if !opts.follow {
		return nil
	}
	return l.follow(ctx)
}

// name finds out what is asked for.
func (l *logs) name(names []string) error {
	if len(names) == 0 {
		return nil
	}
	all, err := l.jobs(historyOf)
	if err == nil {
		all, err = l.choose(all, names)
	}
	for _, j := range all {
		l.names = append(l.names, j.name)
	}
	return err
}

// runs are the runs that are asked for, oldest first.
func (l *logs) runs() ([]ledger.Run, error) {
	all, err := l.book.History(l.scope(), max(l.opts.n, historyOf))
	if err != nil || len(l.names) == 0 {
		return all, err
	}
	return slices.DeleteFunc(all, func(run ledger.Run) bool {
		return !slices.ContainsFunc(l.names, func(name string) bool {
			return name == cmp.Or(run.Cron, run.Operation) || run.Cron == "" && strings.HasPrefix(run.Operation, name+" ")
		})
	}), nil
}

// follow prints what is recorded and what runs print, until ctx ends or nobody
// reads any more. The ledger is read anew when it has changed: another file may
// have taken its place.
func (l *logs) follow(ctx context.Context) error {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		err := l.turn()
		if errors.Is(err, syscall.EPIPE) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// turn is one look.
func (l *logs) turn() error {
	changed, err := l.reread()
	if err != nil {
		return err
	}
	if err := l.showRunning(); err != nil {
		return err
	}
	if !changed {
		return nil
	}
	runs, err := l.runs()
	if err != nil {
		return err
	}
	before := l.told
	l.told = make(map[string]ledger.Run, len(runs))
	for _, run := range runs {
		l.tell(run)
		if old, known := before[run.ID]; known && same(old, run) {
			continue
		}
		if err := l.show(run); err != nil {
			return err
		}
	}
	return nil
}

// tell notes a run as told, without its output, which may be long.
func (l *logs) tell(run ledger.Run) {
	run.Output = ""
	l.told[run.ID] = run
}

// same tells whether two records of a run say the same to a reader.
func same(a, b ledger.Run) bool {
	return a.Outcome == b.Outcome && a.Attempts == b.Attempts && a.Pending == b.Pending && a.Reason == b.Reason && a.Error == b.Error
}

// reread reads the ledger again if it has changed.
func (l *logs) reread() (changed bool, err error) {
	if changed, err := l.book.Changed(); !changed || err != nil {
		return false, err
	}
	book, err := readLedger(l.env)
	if err != nil {
		return false, err
	}
	l.book.Close()
	l.book, l.now = book, time.Now()
	return true, nil
}

// showRunning prints what running commands have printed since the last look:
// those of which there is a claim, and no record.
func (l *logs) showRunning() error {
	if l.opts.asJSON {
		return nil
	}
	for _, key := range l.book.Keys(l.scope()) {
		if key.Cron == "" || len(l.names) > 0 && !slices.Contains(l.names, key.Cron) {
			continue
		}
		for _, claim := range l.book.Load([]ledger.Key{key})[0].Open {
			text, ok := l.output(claim.ID)
			if !ok || claim.Overdue(l.now) {
				continue
			}
			// A line that is not whole yet may be whole the next time.
			whole := bytes.LastIndexByte(text, '\n') + 1
			if err := l.talk(attempt{claim.ID, claim.Attempts + 1}, key.Cron, text[:whole]); err != nil {
				return err
			}
		}
	}
	return nil
}

// talk prints what is new of what an attempt prints.
func (l *logs) talk(a attempt, cron string, text []byte) error {
	printed := l.live[a]
	if len(text) <= printed {
		return nil
	}
	if l.talking != a.id {
		l.talking = a.id
		if _, err := fmt.Fprintf(l.out, "%s is running, run %s\n", safe(cron), safe(a.id)); err != nil {
			return err
		}
	}
	l.live[a] = len(text)
	return l.print(text[printed:])
}

// output is what a run printed as its own file has it; false if there is none.
func (l *logs) output(id string) ([]byte, bool) {
	file, err := l.outputs.Open(id)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	return text, err == nil
}

// show prints one run: its heading and what of its output was not printed yet.
func (l *logs) show(run ledger.Run) error {
	text, whole := l.output(run.ID)
	if !whole {
		text = []byte(run.Output)
	}
	if l.opts.asJSON {
		run.Output = strings.ToValidUTF8(string(text), "\uFFFD")
		return writeJSONLine(l.out, run)
	}
	a := attempt{run.ID, run.Attempts}
	printed := l.live[a]
	if printed > 0 && whole {
		if err := l.talk(a, run.Cron, text); err != nil {
			return err
		}
	}
	l.talking = ""
	lines := []string{heading(l.out, run, l.zoneOf(run))}
	if why := run.Reason; why != "" {
		lines = append(lines, "    reason: "+safe(why))
	}
	if why := run.Error; why != "" {
		lines = append(lines, "    error: "+safe(why))
	}
	if err := l.out.lines(lines...); err != nil {
		return err
	}
	if printed > 0 {
		return nil
	}
	l.live[a] = len(text) // a later record of it has nothing new to print
	return l.print(text)
}

// zoneOf is the zone of a run's cron.
func (l *logs) zoneOf(run ledger.Run) *time.Location {
	if l.app != nil {
		for i := range l.app.Crons {
			if c := &l.app.Crons[i]; run.Key == l.key(c.Name) && c.Zone != nil {
				return c.Zone
			}
		}
	}
	return l.zone
}

// print prints output: line by line and made safe, or as it is.
func (l *logs) print(text []byte) error {
	if l.opts.raw {
		_, err := l.out.Write(text)
		return err
	}
	for line := range bytes.Lines(text) {
		if _, err := fmt.Fprintf(l.out, "    %s\n", safe(strings.TrimRight(string(line), "\r\n"))); err != nil {
			return err
		}
	}
	return nil
}
