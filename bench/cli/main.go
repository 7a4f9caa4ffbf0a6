// Command cli runs the same command lines through the vendor's released
// command-line tool and through cronagent under that tool's name, each against a
// fake platform of its own in the same state, and compares the requests that change
// something, what is printed on standard output, and whether the exit code is zero.
// From the top of the checkout:
//
//	go run ./bench/cli -write docs/cli-compatibility.md
//
// It needs npm, which installs the vendor's tool (@upsun/cli-linux-x64) into a
// temporary folder, unless -cli names one. It fails if there is a difference for
// which cases.go has no reason, and if a reason explains nothing any more.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/sandbox"
)

func main() {
	var o options
	flag.StringVar(&o.cli, "cli", "", "the vendor's `program` (default: installed by npm for this run)")
	flag.StringVar(&o.version, "version", "5.11.1", "the `version` to install")
	flag.StringVar(&o.write, "write", "", "the `document` whose table is replaced")
	flag.StringVar(&o.only, "run", "", "only command lines with this `text`; shows what differs")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct{ cli, version, write, only string }

func run(o options) error {
	dir, err := os.MkdirTemp("", "bench-cli-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.cli == "" {
		npm := exec.Command("npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", "@upsun/cli-linux-x64@"+o.version)
		if out, err := npm.CombinedOutput(); err != nil {
			return fmt.Errorf("npm install: %w\n%s", err, out)
		}
		o.cli = filepath.Join(dir, "node_modules", "@upsun", "cli-linux-x64", "bin", "upsun")
	}
	ours := filepath.Join(dir, "ours", "upsun")
	build := exec.Command("go", "build", "-o", ours, "./cmd/cronagent")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	version, err := (&side{program: o.cli, dir: dir}).command(context.Background(), "", "--version").Output()
	if err != nil {
		return fmt.Errorf("%s --version: %w", o.cli, err)
	}

	var problems []string
	var results []result
	for _, c := range cases {
		if o.only != "" && !strings.Contains(strings.Join(c.args, " "), o.only) {
			continue
		}
		r, err := compare(c, &side{program: o.cli, dir: dir}, &side{program: ours, dir: dir})
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(c.args, " "), err)
		}
		results = append(results, r)
		if problem := r.problem(); problem != "" {
			problems = append(problems, problem)
		}
		if o.only != "" {
			fmt.Println(r.details())
		}
	}
	text := table(strings.TrimSpace(string(version)), results)
	if o.write != "" {
		if err := replace(o.write, text); err != nil {
			return err
		}
	} else {
		fmt.Print(text)
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	return nil
}

// side is one of the two programs.
type side struct {
	program, dir string
}

// seen is what one side did.
type seen struct {
	changes []string // the requests that change something
	reads   int      // how many others there were, the token's exchange left out
	stdout  string
	stderr  string
	code    int
}

// command makes the process of one side, with the same variables for both.
func (s *side) command(ctx context.Context, url string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.program, args...)
	home := filepath.Join(s.dir, "home-"+filepath.Base(filepath.Dir(s.program)))
	_ = os.MkdirAll(home, 0o700)
	cmd.Env = []string{
		"PATH=/usr/bin:/bin", "HOME=" + home, "COLUMNS=300", "CRONAGENT_STATE_DIR=" + filepath.Join(home, "state"),
		"UPSUN_CLI_API_URL=" + url, "UPSUN_CLI_AUTH_URL=" + url, "UPSUN_CLI_TOKEN=" + sandbox.DefaultToken,
		"UPSUN_CLI_DISABLE_CACHE=1", "UPSUN_CLI_UPDATES_CHECK=0", "UPSUN_CLI_AUTO_LOAD_SSH_CERT=0",
		"UPSUN_CLI_API_DISABLE_CREDENTIAL_HELPERS=1",
		"PLATFORM_PROJECT=" + sandbox.DefaultProject, "PLATFORM_BRANCH=main", "PLATFORM_ENVIRONMENT=main-bvxea6i",
		"PLATFORM_ENVIRONMENT_TYPE=production", "PLATFORM_APPLICATION_NAME=app",
	}
	return cmd
}

// clock is the time of both fake platforms.
var clock = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// play runs one command line against a fake platform of its own.
func (s *side) play(c sample) (seen, error) {
	now := clock
	server := sandbox.New(sandbox.Options{Now: func() time.Time { return now }, ActivityDuration: -1})
	url, err := server.Start()
	if err != nil {
		return seen{}, err
	}
	defer server.Close()
	for _, e := range c.events {
		if e.At.IsZero() {
			e.At = clock.Add(-time.Hour)
		}
		if err := server.Happen(e); err != nil {
			return seen{}, err
		}
	}
	ids := strings.NewReplacer(placeholders(server)...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, line := range c.before {
		if out, err := s.command(ctx, url, words(line, ids)...).CombinedOutput(); err != nil {
			return seen{}, fmt.Errorf("before: %s: %w\n%s", line, err, out)
		}
	}
	before := len(server.Requests())
	ids = strings.NewReplacer(placeholders(server)...)
	args := slices.Clone(c.args)
	for i := range args {
		args[i] = ids.Replace(args[i])
	}
	cmd := s.command(ctx, url, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		return seen{}, err
	}
	names := strings.NewReplacer(append(reversed(placeholders(server)), url+"/api", "URL", url, "URL")...)
	got := seen{code: cmd.ProcessState.ExitCode(), stdout: names.Replace(stdout.String()), stderr: stderr.String()}
	for _, r := range server.Requests()[before:] {
		switch {
		case r.Path == "/oauth2/token":
		case r.Method == "GET":
			got.reads++
		default:
			path := strings.TrimPrefix(strings.TrimPrefix(r.Path, "/api"), "/projects/"+sandbox.DefaultProject)
			path = strings.ReplaceAll(path, "%3A", ":")
			got.changes = append(got.changes, strings.TrimSpace(r.Method+" "+names.Replace(path)+" "+canonical(r.Body)))
		}
	}
	return got, nil
}

func words(line string, ids *strings.Replacer) []string {
	all := strings.Fields(line)
	for i := range all {
		all[i] = ids.Replace(all[i])
	}
	return all
}

// placeholders are names for what a fake platform draws at random: {activity1},
// {backup1}, the oldest first.
func placeholders(server *sandbox.Server) []string {
	var all []string
	for i, a := range server.Activities() {
		all = append(all, fmt.Sprintf("{activity%d}", i+1), a.ID)
		if a.Backup != "" {
			all = append(all, fmt.Sprintf("{backup%d}", i+1), a.Backup)
		}
	}
	return all
}

func reversed(pairs []string) []string {
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pairs[i+1], pairs[i])
	}
	return all
}

// canonical is JSON with its keys in order.
func canonical(body string) string {
	var value any
	if json.Unmarshal([]byte(body), &value) != nil {
		return body
	}
	text, _ := json.Marshal(value)
	return string(text)
}

// result is one command line on both sides.
type result struct {
	sample
	theirs, ours seen
}

func compare(c sample, theirs, ours *side) (r result, err error) {
	r.sample = c
	if r.theirs, err = theirs.play(c); err != nil {
		return r, err
	}
	r.ours, err = ours.play(c)
	return r, err
}

// differences are the points in which the sides differ.
func (r result) differences() []string {
	var all []string
	if !slices.Equal(r.theirs.changes, r.ours.changes) {
		all = append(all, "requests")
	}
	if r.theirs.stdout != r.ours.stdout {
		all = append(all, "output")
	}
	if (r.theirs.code == 0) != (r.ours.code == 0) {
		all = append(all, "exit")
	}
	return all
}

// problem is a difference without a reason, or a reason without a difference.
func (r result) problem() string {
	line := strings.Join(r.args, " ")
	differs := r.differences()
	switch {
	case len(differs) > 0 && r.why == "":
		return fmt.Sprintf("%s: %s differ, and there is no reason for it", line, strings.Join(differs, ", "))
	case len(differs) == 0 && r.why != "":
		return fmt.Sprintf("%s: nothing differs, though there is a reason: %s", line, r.why)
	}
	return ""
}

func (r result) details() string {
	show := func(name string, s seen) string {
		return fmt.Sprintf("--- %s: exit %d\n%s\n%s%s", name, s.code, strings.Join(s.changes, "\n"), s.stdout, s.stderr)
	}
	return "=== " + strings.Join(r.args, " ") + "\n" + show("vendor", r.theirs) + show("ours", r.ours)
}

// table is the document's table.
func table(version string, results []result) string {
	var b strings.Builder
	same, reads, ours := 0, 0, 0
	for _, r := range results {
		if len(r.differences()) == 0 {
			same++
		}
		reads, ours = reads+r.theirs.reads, ours+r.ours.reads
	}
	fmt.Fprintf(&b, "%d command lines, %s against this tree: %d are the same in all three points, %d differ on\npurpose. To answer them theirs read %d times, ours %d times.\n\n", len(results), version, same, len(results)-same, reads, ours)
	b.WriteString("| command line | requests that change something | output | exit | why it differs |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range results {
		cells := []string{"same", "same", "same"}
		if len(r.theirs.changes) == 0 {
			cells[0] = "none"
		}
		for _, d := range r.differences() {
			switch d {
			case "requests":
				cells[0] = fmt.Sprintf("**%d, ours %d**", len(r.theirs.changes), len(r.ours.changes))
				if len(r.theirs.changes) == len(r.ours.changes) {
					cells[0] = "**other**"
				}
			case "output":
				cells[1] = "**other**"
			case "exit":
				cells[2] = fmt.Sprintf("**%d, ours %d**", r.theirs.code, r.ours.code)
			}
		}
		line := strings.ReplaceAll(quote(r.args), "|", `\|`)
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", line, strings.Join(cells, " | "), r.why)
	}
	return b.String()
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_:.,=+/@%{}-]+$`)

// quote is a command line as it is typed.
func quote(args []string) string {
	var all []string
	for _, arg := range args {
		if !plain.MatchString(arg) {
			arg = "'" + arg + "'"
		}
		all = append(all, arg)
	}
	return strings.Join(all, " ")
}

// replace puts a text between the markers of a document.
func replace(file, text string) error {
	const begin, end = "<!-- compared: go run ./bench/cli -write docs/cli-compatibility.md -->\n", "<!-- end -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no place for the table", file)
	}
	return os.WriteFile(file, []byte(before+begin+text+end+after), 0o644)
}
