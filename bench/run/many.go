package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// repeats is of how many runs the medians of a short process are.
const repeats = 5

// many measures what a file with many crons costs: `run` from its start to when
// it waits for what is due, beside supercronic; and `tick`.
func (b bench) many(ctx context.Context, opts options) error {
	fmt.Printf("\nrun, from its start to waiting: first with no ledger, which it writes, then with it\n%-8s %-20s %12s %12s %12s\n", "crons", "", "armed", "CPU", "anonymous")
	for _, n := range opts.sizes {
		name := fmt.Sprintf("many-%d", n)
		file, err := b.application(name, n, yearly)
		if err != nil {
			return err
		}
		table, err := b.crontab(name, n, yearly)
		if err != nil {
			return err
		}
		state := filepath.Join(b.dir, name)
		for _, side := range []struct {
			name  string
			fresh bool
			argv  []string
		}{
			{"cronagent, first", true, []string{b.ours, "run", "--file", file}},
			{"cronagent, again", false, []string{b.ours, "run", "--file", file}},
			{"supercronic", false, []string{b.theirs, table}},
		} {
			var armed, used, anonymous []float64
			for range repeats {
				if side.fresh {
					if err := os.RemoveAll(state); err != nil {
						return err
					}
				}
				started := time.Now()
				p, err := start(filepath.Join(b.dir, name+".log"), environ(state), side.argv...)
				if err != nil {
					return err
				}
				at, cpu, err := p.settle(ctx, started)
				var memory float64
				if err == nil {
					memory, _, err = p.memory()
				}
				if err := errors.Join(err, p.stop()); err != nil {
					return err
				}
				armed, used = append(armed, milliseconds(at)), append(used, milliseconds(cpu))
				anonymous = append(anonymous, memory)
			}
			fmt.Printf("%-8d %-20s %9.0f ms %9.0f ms %9.1f MB\n", n, side.name, median(armed), median(used), median(anonymous))
		}
	}
	fmt.Printf("\ntick\n%-8s %-20s %12s %12s %12s\n", "crons", "", "wall", "CPU", "peak")
	for _, n := range opts.sizes {
		if err := b.ticks(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// ticks measures one tick that finds nothing due, one that finds all due and only
// says so, and one that claims and records all of them. They are disabled, so that
// what a command costs is not in it.
func (b bench) ticks(ctx context.Context, n int) error {
	rare, err := b.application(fmt.Sprintf("tick-yearly-%d", n), n, yearly)
	if err != nil {
		return err
	}
	always, err := b.application(fmt.Sprintf("tick-always-%d", n), n, func(i int) (string, string) { return "@every 1s", "true" })
	if err != nil {
		return err
	}
	text, err := os.ReadFile(always)
	if err != nil {
		return err
	}
	disabled := filepath.Join(b.dir, fmt.Sprintf("tick-disabled-%d.app.yaml", n))
	if err := os.WriteFile(disabled, bytes.ReplaceAll(text, []byte("        commands:"), []byte("        enabled: false\n        commands:")), 0o600); err != nil {
		return err
	}
	state := filepath.Join(b.dir, fmt.Sprintf("tick-%d", n))
	for _, c := range []struct {
		name string
		file string
		args []string
	}{
		{"nothing due", rare, nil},
		{"all due, dry", always, []string{"--dry-run"}},
		{"all due, recorded", disabled, nil},
	} {
		var wall, used, peak []float64
		for range repeats {
			// The first one makes the crons known.
			if err := os.RemoveAll(state); err != nil {
				return err
			}
			if _, err := b.tick(ctx, state, c.file); err != nil {
				return err
			}
			if err := sleep(ctx, time.Until(time.Now().Truncate(time.Second).Add(1050*time.Millisecond))); err != nil {
				return err
			}
			s, err := b.tick(ctx, state, c.file, c.args...)
			if err != nil {
				return err
			}
			wall, used, peak = append(wall, s.wall), append(used, s.cpu), append(peak, s.peak)
		}
		fmt.Printf("%-8d %-20s %9.0f ms %9.0f ms %9.1f MB\n", n, c.name, median(wall), median(used), median(peak))
	}
	return nil
}

// sample is one run of a short process: milliseconds, milliseconds and megabytes.
type sample struct{ wall, cpu, peak float64 }

func (b bench) tick(ctx context.Context, state, file string, args ...string) (sample, error) {
	cmd := exec.CommandContext(ctx, b.ours, append([]string{"tick", "--file", file}, args...)...)
	cmd.Env = environ(state)
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	wall := time.Since(begun)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w: %s", cmd, err, out[max(0, len(out)-1000):])
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return sample{
		wall: milliseconds(wall),
		cpu:  milliseconds(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()),
		peak: float64(usage.Maxrss) / 1024, // kilobytes on Linux
	}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
