package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// entry is a line of the ledger's file.
type entry struct {
	Event string `json:"event"`
	ledger.Run
	At time.Time `json:"at"`
}

// story is what a ledger has ever said. Compaction drops what is long over, so it
// is told as it is written.
type story struct {
	began   time.Time              // before that nobody was there, and nothing is owed
	claims  map[string][]time.Time // by run, when it was claimed: more than once if it was handed back
	of      map[string]entry       // by run, its newest claim
	runs    map[string]ledger.Run  // by run, its newest record
	made    map[string][]string    // by activity, the runs that named it
	damaged []string
}

func newStory() *story {
	return &story{began: time.Now(), claims: map[string][]time.Time{}, of: map[string]entry{}, runs: map[string]ledger.Run{}, made: map[string][]string{}}
}

// tell takes one line. A line may come again, from a file that was compacted.
func (s *story) tell(line []byte) {
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		s.damaged = append(s.damaged, fmt.Sprintf("%v: %.80q", err, line))
		return
	}
	switch e.Event {
	case "claim":
		if !slices.ContainsFunc(s.claims[e.ID], e.At.Equal) {
			s.claims[e.ID] = append(s.claims[e.ID], e.At)
		}
		s.of[e.ID] = e
	case "run":
		s.runs[e.ID] = e.Run
		for _, activity := range e.Activities {
			if !slices.Contains(s.made[activity.ID], e.ID) {
				s.made[activity.ID] = append(s.made[activity.ID], e.ID)
			}
		}
	}
}

// follower reads a ledger's file as it grows. It holds on to a file until it has
// read all of it, since another one takes its place when it is compacted.
type follower struct {
	path  string
	story *story
	file  *os.File
	rest  []byte
	files int
}

func newFollower(path string, s *story) *follower { return &follower{path: path, story: s} }

// follow reads until ctx ends, and then what is still there.
func (f *follower) follow(ctx context.Context) error {
	defer func() { f.file.Close() }() // nil is fine
	for {
		ended := ctx.Err() != nil
		if err := f.read(); err != nil || ended {
			return err
		}
		sleep(ctx, 20*time.Millisecond) // its error ends the loop
	}
}

func (f *follower) read() error {
	for {
		if f.file == nil {
			file, err := os.Open(f.path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			f.file, f.rest = file, nil
			f.files++
		}
		// Asked before it is read: what is written to a file that was replaced already
		// nobody adds to.
		replaced, err := f.replaced()
		if err != nil {
			return err
		}
		added, err := io.ReadAll(f.file)
		if err != nil {
			return err
		}
		f.rest = append(f.rest, added...)
		for {
			line, rest, whole := bytes.Cut(f.rest, []byte("\n"))
			if !whole {
				break
			}
			f.rest = rest
			if len(line) > 0 {
				f.story.tell(line)
			}
		}
		if !replaced {
			return nil
		}
		f.file.Close()
		f.file = nil
	}
}

func (f *follower) replaced() (bool, error) {
	here, err := f.file.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(f.path)
	if err != nil {
		return false, err
	}
	return !os.SameFile(here, there), nil
}

// startup is how many seconds after the beginning the first agent must have begun
// at the latest.
const startup = 3

// check compares the story with the clock, with what the platform took and with
// what the commands wrote. What it returns is wrong.
func (s *story) check(server *sandbox.Server, app string) (problems []string) {
	problems = append(problems, s.damaged...)
	problems = append(problems, s.occurrences()...)
	var taken []taking
	for _, a := range server.Accepted() {
		cron := "backup"
		if a.Operation != "backup" {
			cron = "update"
		}
		for _, id := range a.Activities {
			taken = append(taken, taking{cron, id, a.Time})
		}
	}
	problems = append(problems, s.operations(taken)...)
	return append(problems, s.commands(words(filepath.Join(app, "began")), words(filepath.Join(app, "done")))...)
}

// occurrences: each belongs to one run, and each run has ended.
func (s *story) occurrences() (problems []string) {
	complain := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	owners, marks := map[string]map[int64]string{}, map[string]int64{}
	shared := map[string]bool{}
	own := func(cron string, due time.Time, id string) {
		if owners[cron] == nil {
			owners[cron] = map[int64]string{}
		}
		at := due.Unix()
		if other := owners[cron][at]; other != "" && other != id {
			pair := []string{other, id}
			slices.Sort(pair)
			shared[fmt.Sprintf("%s of %s belongs to the runs %s and %s", cron, due.UTC().Format(time.TimeOnly), pair[0], pair[1])] = true
		}
		owners[cron][at] = id
		marks[cron] = max(marks[cron], at)
	}
	every := map[string]int64{}
	for _, cron := range soakCrons {
		every[cron.name] = cron.every
	}
	for id, e := range s.of {
		own(e.Cron, *e.Due, id)
		if _, ended := s.runs[id]; !ended {
			complain("%s of %s was claimed, and nothing says what came of it", e.Cron, e.Due.UTC().Format(time.TimeOnly))
		}
	}
	for id, run := range s.runs {
		if _, claimed := s.claims[id]; !claimed {
			complain("run %s of %s was never claimed", id, run.Cron)
			continue
		}
		step, count := every[run.Cron], 0
		last := *run.Due
		if run.Until != nil {
			last = *run.Until
		}
		for due := *run.Due; step > 0 && !due.After(last); due = due.Add(time.Duration(step) * time.Second) {
			own(run.Cron, due, id)
			count++
		}
		if run.Count != count {
			complain("run %s of %s says %d occurrences and spans %d", id, run.Cron, run.Count, count)
		}
	}
	problems = append(problems, slices.Sorted(maps.Keys(shared))...)
	for _, cron := range soakCrons {
		if marks[cron.name] == 0 {
			complain("%s was never due", cron.name)
		}
		for at := s.began.Unix() + startup; at <= marks[cron.name]; at++ {
			if at%cron.every == 0 && owners[cron.name][at] == "" {
				complain("%s of %s has vanished", cron.name, time.Unix(at, 0).UTC().Format(time.TimeOnly))
			}
		}
	}
	return problems
}

// taking is an operation that the platform took.
type taking struct {
	cron, activity string
	at             time.Time
}

// operations: what was taken is of a run that says so, or, one for one, of a run
// that had claimed just before and in doubt. Of two fires of one operation a second
// apart whose answers are lost, the platform does not tell which was taken, so that
// one in doubt may name what another one made; one that got its answer may not.
func (s *story) operations(all []taking) (problems []string) {
	type doubt struct {
		id string
		at time.Time
	}
	doubts := map[string][]doubt{}
	for id, run := range s.runs {
		if run.Operation == "" {
			continue
		}
		if n := len(run.Activities); (run.Outcome == ledger.Fired || run.Outcome == ledger.Succeeded) && n != 1 {
			problems = append(problems, fmt.Sprintf("run %s of %s is %s and has %d activities", id, run.Cron, run.Outcome, n))
		}
		if run.Outcome == ledger.Uncertain || run.Reason != "" {
			for _, at := range s.claims[id] {
				doubts[run.Cron] = append(doubts[run.Cron], doubt{id, at})
			}
		}
	}
	for id, runs := range s.made {
		sure := slices.DeleteFunc(slices.Clone(runs), func(run string) bool { return s.runs[run].Reason != "" })
		if len(sure) > 1 {
			problems = append(problems, fmt.Sprintf("activity %s is of the runs %s, and each was told so", id, strings.Join(sure, ", ")))
		}
	}
	for cron := range doubts {
		slices.SortFunc(doubts[cron], func(a, b doubt) int { return a.at.Compare(b.at) })
	}
	for _, t := range all {
		if _, known := s.made[t.activity]; known {
			continue
		}
		i := slices.IndexFunc(doubts[t.cron], func(d doubt) bool { return !t.at.Before(d.at) && t.at.Sub(d.at) < 35*time.Second })
		if i < 0 {
			problems = append(problems, fmt.Sprintf("%s was taken by the platform at %s for no run", t.cron, t.at.UTC().Format(time.TimeOnly)))
			continue
		}
		id := doubts[t.cron][i].id
		doubts[t.cron] = slices.DeleteFunc(doubts[t.cron], func(d doubt) bool { return d.id == id })
	}
	return problems
}

// commands: import began once for each run that ended well, and ended then.
func (s *story) commands(began, done []string) (problems []string) {
	complain := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	times := map[string]int{}
	for _, id := range began {
		times[id]++
		if _, claimed := s.claims[id]; !claimed {
			complain("import ran as %s, which was never claimed", id)
		}
	}
	for id, n := range times {
		if n > 1 {
			complain("import ran %d times as %s", n, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.runs)) {
		if run := s.runs[id]; run.Cron == "import" && run.Outcome == ledger.Succeeded && (times[id] == 0 || !slices.Contains(done, id)) {
			complain("import succeeded as %s, and did not run to its end", id)
		}
	}
	return problems
}

// words are those of a file; none if there is none.
func words(path string) []string {
	text, _ := os.ReadFile(path)
	return strings.Fields(string(text))
}

// summary counts the occurrences by cron and outcome.
func (s *story) summary() string {
	counts := map[string]int{}
	sum := 0
	for _, run := range s.runs {
		counts[run.Cron+" "+string(run.Outcome)] += run.Count
		sum += run.Count
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s %d", name, counts[name]))
	}
	shared := 0
	for _, runs := range s.made {
		shared += min(len(runs)-1, 1)
	}
	return fmt.Sprintf("%d occurrences: %s\n%d activities were taken for theirs by more than one run, all but one of them in doubt", sum, strings.Join(all, ", "), shared)
}
