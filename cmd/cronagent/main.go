// Command cronagent takes backups, updates dependencies and redeploys from
// inside a container of Platform.sh, Upsun or OVH Web PaaS: it fires operations
// of the platform's API, once and in production only, from the app's crons.
//
// This package holds main and one file for each command. It is the only place
// that reads arguments, the environment and signals, that words hints, and that
// knows exit codes; what commands do lies in the packages under internal.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // containers without zone files must not change schedules

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/envdetect"
)

// version is set by the linker in a release.
var version = ""

// start is main up to the exit code. Loggers write to logs.
func start(logs io.Writer) int {
	cobra.EnableCommandSorting = false // help has what is wanted most first
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as it is under nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan os.Signal, 1)
	signal.Notify(first, signals...)
	go func() {
		<-first
		signal.Stop(first) // a second signal ends us the normal way
		cancel()
	}()
	// A reader that goes away ("cronagent tick | head") must not end us between an
	// act and its record: writing fails instead. Not ignored, which our commands
	// would inherit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return run(ctx, proc{
		calledAs: filepath.Base(os.Args[0]),
		args:     os.Args[1:],
		lookup:   os.LookupEnv,
		environ:  os.Environ,
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		logs:     logs,
	})
}

// proc is what a command has of the process that it runs in.
type proc struct {
	// calledAs is the base name under which the program was started; args are what
	// follows it.
	calledAs string
	args     []string
	lookup   func(string) (string, bool)
	environ  func() []string
	stdout   io.Writer
	stderr   io.Writer
	// logs is where loggers write, standard error too.
	logs io.Writer
	// debug says that every request is logged.
	debug bool
}

// getenv is lookup for those who take an empty variable for an unset one.
func (p proc) getenv(name string) string {
	value, _ := p.lookup(name)
	return value
}

// run runs the program and returns its exit code.
func run(ctx context.Context, p proc) int {
	p.stdout, p.logs = masked{p.stdout, p.mask}, masked{p.logs, p.mask}
	p.debug = p.debugWanted()
	vendor, ofVendor := envdetect.VendorByCommand(p.calledAs)
	if completes(p.args) && !(ofVendor && p.realCommand(vendor) != "") {
		p.stderr, p.logs, p.debug = io.Discard, io.Discard, false
	} else if ofVendor || isPlatformCommand(p.args) {
		return p.exit(platformCLI(ctx, p, vendor))
	}
	root := newRoot(p)
	if ofVendor {
		root = newPlatformRoot(p, vendor)
	}
	root.SetArgs(p.args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	return p.exit(root.ExecuteContext(ctx))
}

// versionText is the release's version, else the one that the Go tool recorded.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
