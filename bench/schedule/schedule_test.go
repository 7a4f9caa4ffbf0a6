// Package schedule_test measures the agent's schedule package against the three
// cron libraries for Go that are used most: robfig/cron, hashicorp/cronexpr and
// adhocore/gronx. It is a module of its own, so that two of them stay out of
// the agent's dependencies.
//
// Run it from this directory:
//
//	go test -bench . -count 6 | tee new.txt
//	go test -run Ratios -v -ratios
//
// The first prints plain Go benchmarks, Next and Parse, each spec, zone and
// library a sub-benchmark, fit for benchstat. The second measures the same,
// takes each case's libraries in turn within one run, and prints a table of how
// many times faster the agent's package is; it fails if it is not faster than
// each of them on each spec, not 10 times faster than robfig/cron on sparse
// specs, or if Next allocates.
//
// Every call asks for the occurrence after one of 64 moments spread over a year.
// Answers are not compared here: the libraries disagree about clock changes and
// days, which the package's own tests cover.
package schedule_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adhocore/gronx"
	"github.com/hashicorp/cronexpr"
	"github.com/robfig/cron/v3"

	"github.com/cronagent/cronagent/internal/schedule"
)

var ratios = flag.Bool("ratios", false, "measure all side by side, print a table and hold it to the bars")

// specs go from dense to sparse.
var specs = []string{
	"* * * * *",
	"*/5 * * * *",
	"0 * * * *",
	"*/15 9-17 * * 1-5",
	"30 2 * * *",
	"0 0 * * 0",
	"0 5 1,15 * 1",
	"0 0 1 * *",
	"0 0 31 * *",
	"0 12 1 1 *",
	"30 3 29 2 *",
}

// sparse specs make a search walk through years.
var sparse = []string{"30 3 29 2 *"}

var zones = []string{"UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe"}

// library makes, for one spec in one zone, a function that finds the next
// occurrence, and one that parses.
type library struct {
	name  string
	next  func(tb testing.TB, spec string, zone *time.Location) func(time.Time) time.Time
	parse func(spec string, zone *time.Location) error
}

var libraries = []library{
	{"cronagent",
		func(tb testing.TB, spec string, zone *time.Location) func(time.Time) time.Time {
			s, err := schedule.Parse(spec, zone, schedule.Seed{})
			if err != nil {
				tb.Fatal(err)
			}
			return s.Next
		},
		func(spec string, zone *time.Location) error {
			_, err := schedule.Parse(spec, zone, schedule.Seed{})
			return err
		}},
	{"robfig",
		func(tb testing.TB, spec string, zone *time.Location) func(time.Time) time.Time {
			s, err := cron.ParseStandard(spec)
			if err != nil {
				tb.Fatal(err)
			}
			s.(*cron.SpecSchedule).Location = zone
			return s.Next
		},
		func(spec string, _ *time.Location) error {
			_, err := cron.ParseStandard(spec)
			return err
		}},
	{"cronexpr",
		func(tb testing.TB, spec string, _ *time.Location) func(time.Time) time.Time {
			s, err := cronexpr.Parse(spec)
			if err != nil {
				tb.Fatal(err)
			}
			return s.Next // in the zone of its argument
		},
		func(spec string, _ *time.Location) error {
			_, err := cronexpr.Parse(spec)
			return err
		}},
	{"gronx", // it has no parsed form: each question parses anew
		func(tb testing.TB, spec string, _ *time.Location) func(time.Time) time.Time {
			return func(t time.Time) time.Time {
				next, err := gronx.NextTickAfter(spec, t, false)
				if err != nil {
					return time.Time{}
				}
				return next
			}
		},
		func(spec string, _ *time.Location) error {
			if !gronx.IsValid(spec) {
				return fmt.Errorf("gronx refuses %q", spec)
			}
			return nil
		}},
}

// starts are 64 moments spread over a year and the hours of the day.
func starts(zone *time.Location) []time.Time {
	at := make([]time.Time, 64)
	for i := range at {
		at[i] = time.Date(2026, 1, 1, 0, 0, 30, 0, zone).Add(time.Duration(i) * (136*time.Hour + 53*time.Minute))
	}
	return at
}

func location(tb testing.TB, name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		tb.Fatal(err)
	}
	return zone
}

func BenchmarkNext(b *testing.B) {
	for _, spec := range specs {
		for _, name := range zones {
			zone := location(b, name)
			from := starts(zone)
			for _, l := range libraries {
				b.Run(fmt.Sprintf("spec=%s/zone=%s/%s", strings.ReplaceAll(spec, "/", "÷"), strings.ReplaceAll(name, "/", "."), l.name), func(b *testing.B) {
					next := l.next(b, spec, zone)
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						next(from[i%len(from)])
					}
				})
			}
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, spec := range specs {
		for _, l := range libraries {
			b.Run(fmt.Sprintf("spec=%s/%s", strings.ReplaceAll(spec, "/", "÷"), l.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := l.parse(spec, time.UTC); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// perCall returns the nanoseconds one call takes: the fastest of several short
// rounds, so that what else the machine does matters little.
func perCall(call func(i int)) func() float64 {
	n := 1
	for {
		start := time.Now()
		for i := range n {
			call(i)
		}
		if took := time.Since(start); took > 2*time.Millisecond {
			break
		}
		n *= 2
	}
	return func() float64 {
		start := time.Now()
		for i := range n {
			call(i)
		}
		return float64(time.Since(start).Nanoseconds()) / float64(n)
	}
}

func TestRatios(t *testing.T) {
	if !*ratios {
		t.Skip("the measurement takes half a minute: ask for it with -ratios")
	}
	var table strings.Builder
	row := func(what, zone string, rounds []func() float64) []float64 {
		best := make([]float64, len(rounds))
		for range 9 {
			for i, round := range rounds {
				if ns := round(); best[i] == 0 || ns < best[i] {
					best[i] = ns
				}
			}
		}
		fmt.Fprintf(&table, "%-18s %-20s %9.0f", what, zone, best[0])
		for _, ns := range best[1:] {
			fmt.Fprintf(&table, " %9.0f %7.1fx", ns, ns/best[0])
		}
		fmt.Fprintln(&table)
		return best
	}
	fmt.Fprintf(&table, "%-18s %-20s %9s", "Next", "zone", "ns")
	for _, l := range libraries[1:] {
		fmt.Fprintf(&table, " %18s", l.name)
	}
	fmt.Fprintln(&table)
	for _, spec := range specs {
		for _, name := range zones {
			zone := location(t, name)
			from := starts(zone)
			var rounds []func() float64
			for _, l := range libraries {
				next := l.next(t, spec, zone)
				call := func(i int) { next(from[i%len(from)]) }
				if l.name == "cronagent" {
					if n := testing.AllocsPerRun(100, func() { call(7) }); n != 0 {
						t.Errorf("%s in %s: Next allocates %v times", spec, name, n)
					}
				}
				rounds = append(rounds, perCall(call))
			}
			best := row(spec, name, rounds)
			for i, ns := range best[1:] {
				bar := 1.0
				if libraries[i+1].name == "robfig" && slices.Contains(sparse, spec) {
					bar = 10
				}
				if ns < bar*best[0] {
					t.Errorf("%s in %s: %.1f times %s, not %v", spec, name, ns/best[0], libraries[i+1].name, bar)
				}
			}
		}
	}
	for _, spec := range specs {
		var rounds []func() float64
		for _, l := range libraries {
			rounds = append(rounds, perCall(func(int) { _ = l.parse(spec, time.UTC) }))
		}
		row(spec, "Parse", rounds)
	}
	t.Log("\n" + table.String())
}
