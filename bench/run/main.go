// Command run measures `cronagent run` beside supercronic, as real processes on
// this machine in the same run: how long after its due a command has started when
// 100 and 1,000 are due in the same second, what both take while nothing is due,
// and what 10,000 crons cost. From the top of the checkout:
//
//	go run ./bench/run
//
// It takes some ten minutes, needs dash as sh, and installs supercronic with the
// go command unless -supercronic names one. With -soak 30m it measures nothing,
// but looks for what goes wrong: see soak.go.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type options struct {
	supercronic string
	state       string
	parts       string
	loads       counts
	rounds      int
	idle        time.Duration
	idles       counts
	sizes       counts
	soak        time.Duration
	keep        bool
}

func main() {
	opts := options{loads: counts{100, 1000}, idles: counts{1, 100, 10_000}, sizes: counts{1000, 2000, 5000, 10_000, 20_000}}
	flag.StringVar(&opts.supercronic, "supercronic", "", "the supercronic to compare with (default: the latest, installed for this run)")
	flag.StringVar(&opts.state, "dir", "", "where the temporary `folder` is made; it must be on a disk (default: that of the system)")
	flag.StringVar(&opts.parts, "parts", "load,bounded,idle,many", "what is measured")
	flag.Var(&opts.loads, "loads", "how many commands are due together")
	flag.IntVar(&opts.rounds, "rounds", 6, "how often they are, two a minute")
	flag.DurationVar(&opts.idle, "idle", time.Minute, "how long to look at what nothing is due in")
	flag.Var(&opts.idles, "idles", "with how many crons")
	flag.Var(&opts.sizes, "sizes", "how many crons to start with")
	flag.DurationVar(&opts.soak, "soak", 0, "instead of measuring, kill and restart an agent for so long, and account for every occurrence")
	flag.BoolVar(&opts.keep, "keep", false, "leave the temporary folder, with the ledgers and logs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, opts options) error {
	dir, err := os.MkdirTemp(opts.state, "bench-run-")
	if err != nil {
		return err
	}
	if opts.keep {
		fmt.Println("folder:", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	b := bench{dir: dir, ours: filepath.Join(dir, "cronagent"), theirs: opts.supercronic}
	build := exec.CommandContext(ctx, "go", "build", "-tags", "nethttpomithttp2", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", b.ours, "./cmd/cronagent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	if opts.soak > 0 {
		return b.soak(ctx, opts.soak)
	}
	if b.theirs == "" {
		b.theirs = filepath.Join(dir, "supercronic")
		install := exec.CommandContext(ctx, "go", "install", "-trimpath", "-ldflags", "-s -w", "github.com/aptible/supercronic@latest")
		install.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := install.CombinedOutput(); err != nil {
			return fmt.Errorf("install supercronic: %w\n%s", err, out)
		}
	}
	fmt.Printf("load average of the last minute: %s\n", loadAverage())
	for _, part := range []struct {
		name string
		do   func(context.Context, options) error
	}{
		{"load", b.load}, {"bounded", b.bounded}, {"idle", b.idle}, {"many", b.many},
	} {
		if !strings.Contains(","+opts.parts+",", ","+part.name+",") {
			continue
		}
		if err := part.do(ctx, opts); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	fmt.Printf("\nload average of the last minute: %s\n", loadAverage())
	return nil
}

// bench is what all parts share.
type bench struct {
	dir          string // temporary, and on a disk
	ours, theirs string // the binaries
}

// counts is a flag of several numbers.
type counts []int

func (c *counts) String() string { return strings.Trim(fmt.Sprint([]int(*c)), "[]") }

// Set implements flag.Value.
func (c *counts) Set(text string) error {
	*c = nil
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.Atoi(word)
		if err != nil || n <= 0 {
			return fmt.Errorf("%q is no number of crons", word)
		}
		*c = append(*c, n)
	}
	return nil
}
