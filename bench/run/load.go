package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// The measured command is a builtin of the shell, as `true` is, that leaves a byte
// in a file of its own: `echo >>FILE`. The file's time, which the kernel sets, is
// when it started, by the kernel's coarse clock of some milliseconds; its size is
// how often. The files are in memory, so that nobody waits for a disk but for the
// ledger's.

// slot is how much of a round is one side's; period is the round.
const (
	slot   = 10 * time.Second
	period = 3 * slot
)

// side is one agent with its own commands.
type side struct {
	name  string
	stamp string // the folder of its files
	agent *process
	shift time.Duration // of its dues within a round

	started, twice     int
	p50, p99, last     []float64 // of each round, in milliseconds
	cpu                []float64 // the agent's own, without its children
	before             time.Duration
	anonymous, highest float64
}

// load measures due to started, for each of the loads.
func (b bench) load(ctx context.Context, opts options) error {
	for _, n := range opts.loads {
		if err := b.together(ctx, n, opts.rounds, true); err != nil {
			return err
		}
	}
	return nil
}

// bounded measures the largest load once with as few commands at once as are the
// default, and without the peer, which has no such bound.
func (b bench) bounded(ctx context.Context, opts options) error {
	return b.together(ctx, slices.Max(opts.loads), min(opts.rounds, 2), false)
}

func (b bench) together(ctx context.Context, n, rounds int, beside bool) (err error) {
	memory := "/dev/shm"
	if _, err := os.Stat(memory); err != nil {
		memory = b.dir
	}
	stamps, err := os.MkdirTemp(memory, "bench-run-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stamps)
	sides := []*side{{name: "cronagent --max-parallel 1000"}, {name: "supercronic", shift: slot}, {name: "supercronic, fastest", shift: 2 * slot}}
	if !beside {
		sides = []*side{{name: "cronagent"}}
	}
	defer func() {
		for _, s := range sides {
			if s.agent != nil {
				err = errors.Join(err, s.agent.stop())
			}
		}
	}()
	for i, s := range sides {
		s.stamp = filepath.Join(stamps, strconv.Itoa(i))
		if err := os.Mkdir(s.stamp, 0o700); err != nil {
			return err
		}
		if s.agent, err = b.startSide(s, fmt.Sprintf("load-%d-%d", n, i), n, beside); err != nil {
			return err
		}
	}
	// All are armed, and the first dues of nobody count.
	first := time.Now().Add(5 * time.Second).Truncate(period).Add(period)
	if err := sleep(ctx, time.Until(first.Add(-slot/10))); err != nil {
		return err
	}
	for _, s := range sides {
		if _, err := s.collect(); err != nil {
			return err
		}
	}
	for round := range rounds {
		for _, s := range sides {
			due := first.Add(time.Duration(round)*period + s.shift)
			if s.before, err = s.agent.cpu(); err != nil {
				return err
			}
			if err := sleep(ctx, time.Until(due.Add(slot-slot/10))); err != nil {
				return err
			}
			if err := s.measure(due); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\n%d commands due in the same second, %d rounds (medians of the rounds), from due to started\n", n, rounds)
	fmt.Printf("%-30s %14s %6s %9s %9s %9s %9s %9s\n", "", "started", "twice", "p50", "p99", "last", "own CPU", "anonymous")
	for _, s := range sides {
		fmt.Printf("%-30s %6d of %5d %6d %6.0f ms %6.0f ms %6.0f ms %6.0f ms %6.1f MB\n", s.name,
			s.started, n*rounds, s.twice, median(s.p50), median(s.p99), median(s.last), median(s.cpu), s.highest)
	}
	for _, s := range sides[1:] {
		fmt.Printf("ratio to %-21s %21s %9.2f %9.2f %9.2f %9.2f %9.2f\n", s.name, "", median(sides[0].p50)/median(s.p50),
			median(sides[0].p99)/median(s.p99), median(sides[0].last)/median(s.last), median(sides[0].cpu)/median(s.cpu), sides[0].highest/s.highest)
	}
	if !beside {
		return said(sides[0].agent.log, "commands wait for others to end", rounds)
	}
	return nil
}

// startSide starts the agent of a side with n crons. Supercronic is there as it
// comes, and as fast as it can be made: logging nothing, and leaving its commands
// the file that its own output goes to, so that it reads nothing of theirs. Ours
// reads, keeps and masks what commands print.
func (b bench) startSide(s *side, name string, n int, beside bool) (*process, error) {
	start1 := func(i int) string { return fmt.Sprintf("echo >>%s/%d", s.stamp, i) }
	log := filepath.Join(b.dir, name+".log")
	if s.shift == 0 {
		file, err := b.application(name, n, func(i int) (string, string) { return "@every 30s", start1(i) })
		if err != nil {
			return nil, err
		}
		argv := []string{b.ours, "run", "--file", file}
		if beside {
			argv = append(argv, "--max-parallel", "1000")
		}
		return start(log, environ(filepath.Join(b.dir, name)), argv...)
	}
	second := int(s.shift / time.Second)
	spec := fmt.Sprintf("%d,%d * * * * * *", second, second+30)
	file, err := b.crontab(name, n, func(i int) (string, string) { return spec, start1(i) })
	if err != nil {
		return nil, err
	}
	argv := []string{b.theirs, file}
	if s.shift > slot {
		argv = []string{b.theirs, "-quiet", "-passthrough-logs", file}
	}
	return start(log, environ(b.dir), argv...)
}

// collect reads and removes the files of a round.
func (s *side) collect() (all []fs.FileInfo, err error) {
	entries, err := os.ReadDir(s.stamp)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		all = append(all, info)
		if err := os.Remove(filepath.Join(s.stamp, entry.Name())); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s *side) measure(due time.Time) error {
	if s.agent.over() {
		return s.agent.failed()
	}
	files, err := s.collect()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s started nothing of what was due at %s", s.name, due.UTC())
	}
	var late []float64
	for _, file := range files {
		s.started++
		if file.Size() != 1 {
			s.twice++
		}
		// The coarse clock may show up to a tick before the due.
		late = append(late, max(0, float64(file.ModTime().Sub(due).Microseconds())/1000))
	}
	slices.Sort(late)
	s.p50, s.p99 = append(s.p50, quantile(late, 0.5)), append(s.p99, quantile(late, 0.99))
	s.last = append(s.last, late[len(late)-1])
	used, err := s.agent.cpu()
	if err != nil {
		return err
	}
	s.cpu = append(s.cpu, float64((used-s.before).Microseconds())/1000)
	if s.anonymous, _, err = s.agent.memory(); err != nil {
		return err
	}
	s.highest = max(s.highest, s.anonymous)
	return nil
}

// quantile is that of sorted values, and always one of them.
func quantile(sorted []float64, q float64) float64 {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}
