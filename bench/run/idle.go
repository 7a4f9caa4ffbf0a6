package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// idle measures what both take while nothing is due, all at the same time: each
// looks at its crons now and then, and none has anything to do.
func (b bench) idle(ctx context.Context, opts options) (err error) {
	type one struct {
		crons  int
		agents [2]*process
		before [2]time.Duration
	}
	var all []one
	defer func() {
		for _, o := range all {
			for _, p := range o.agents {
				if p != nil {
					err = errors.Join(err, p.stop())
				}
			}
		}
	}()
	for _, n := range opts.idles {
		name := fmt.Sprintf("idle-%d", n)
		file, err := b.application(name, n, yearly)
		if err != nil {
			return err
		}
		table, err := b.crontab(name, n, yearly)
		if err != nil {
			return err
		}
		all = append(all, one{crons: n})
		o := &all[len(all)-1]
		if o.agents[0], err = start(filepath.Join(b.dir, name+".ours.log"), environ(filepath.Join(b.dir, name)), b.ours, "run", "--file", file); err != nil {
			return err
		}
		if o.agents[1], err = start(filepath.Join(b.dir, name+".theirs.log"), environ(b.dir), b.theirs, table); err != nil {
			return err
		}
	}
	if err := sleep(ctx, 5*time.Second); err != nil { // what starting takes is over
		return err
	}
	for i := range all {
		for side, p := range all[i].agents {
			if p.over() {
				return p.failed()
			}
			if all[i].before[side], err = p.cpu(); err != nil {
				return err
			}
		}
	}
	if err := sleep(ctx, opts.idle); err != nil {
		return err
	}
	fmt.Printf("\nidle for %s\n%-8s %-12s %12s %12s %12s\n", opts.idle, "crons", "", "anonymous", "resident", "CPU")
	for _, o := range all {
		var anonymous, resident, used [2]float64
		for side, p := range o.agents {
			if anonymous[side], resident[side], err = p.memory(); err != nil {
				return err
			}
			now, err := p.cpu()
			if err != nil {
				return err
			}
			used[side] = float64((now - o.before[side]).Microseconds()) / 1000
			fmt.Printf("%-8d %-12s %9.1f MB %9.1f MB %9.2f ms\n", o.crons, [2]string{"cronagent", "supercronic"}[side], anonymous[side], resident[side], used[side])
		}
		fmt.Printf("%-8s %-12s %12.2f %12.2f %12.2f\n", "", "ratio", anonymous[0]/anonymous[1], resident[0]/resident[1], used[0]/used[1])
	}
	return nil
}

// said tells on the standard output how often a log has a line with these words;
// an error if that is less often than it must be.
func said(log, words string, least int) error {
	text, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	var lines [][]byte
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte(words)) {
			lines = append(lines, line)
		}
	}
	if len(lines) < least {
		return fmt.Errorf("%q was logged %d times, not %d: see %s", words, len(lines), least, log)
	}
	fmt.Printf("logged %d times: %s", len(lines), lines[len(lines)-1])
	return nil
}
