// Command herd simulates what 100,000 agents whose cron is due at one time do to a
// token endpoint that answers 429 above 500 requests a second: with the retries of
// internal/platform and H, and without. It prints the table of docs/reliability.md.
// From the top of the checkout:
//
//	go run ./bench/herd
//	go run ./bench/herd -write docs/reliability.md
//
// Time and chance are simulated: it prints the same on every machine.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// The figures of the table.
const (
	defaultAgents = 100_000
	defaultRate   = 500 // requests a second
	defaultSeed   = 1
)

// maxAgents bounds the memory: there are 80 bytes for each.
const maxAgents = 10_000_000

// The table stands between these lines of the document.
const (
	tableBegins = "<!-- the herd: go run ./bench/herd -write docs/reliability.md -->\n\n"
	tableEnds   = "\n<!-- the end of the herd -->\n"
)

func main() {
	agents := flag.Int("agents", defaultAgents, "how many agents")
	rate := flag.Int("rate", defaultRate, "how many requests a second the endpoint accepts")
	seed := flag.Uint64("seed", defaultSeed, "what chance begins with")
	write := flag.String("write", "", "put the table into this `document` instead of printing it")
	flag.Parse()
	if err := run(*agents, *rate, *seed, *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(agents, rate int, seed uint64, document string) error {
	if agents < 1 || agents > maxAgents || rate < 0 {
		return fmt.Errorf("cannot simulate %d agents at %d requests a second: try 1 to %d agents, and a rate that is not negative", agents, rate, maxAgents)
	}
	text, err := table(agents, rate, seed)
	if err != nil {
		return err
	}
	if document == "" {
		_, err = fmt.Print(text)
		return err
	}
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, _, after, err := cut(string(old))
	if err != nil {
		return fmt.Errorf("%s: %w", document, err)
	}
	return os.WriteFile(document, []byte(before+tableBegins+text+tableEnds+after), 0o644)
}

// cut takes a document apart: what stands before the table's first line, the
// table, and what stands after its last line.
func cut(document string) (before, text, after string, err error) {
	before, rest, begins := strings.Cut(document, tableBegins)
	text, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		return "", "", "", fmt.Errorf("there is no place for the table: it goes between the lines %q and %q", tableBegins, tableEnds)
	}
	return before, text, after, nil
}

// table runs every scenario and returns the results as a table of Markdown.
func table(agents, rate int, seed uint64) (string, error) {
	rows := [][]string{
		{"agents", "requests", "refused", "mean of an agent", "most of an agent", "most in a fire", "peak in a second", "done", "done in 1 min", "done in 30 min", "all done at"},
		{"---", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:"},
	}
	all := scenarios()
	dues := map[string][]time.Duration{} // by spec: the same projects in all rows
	for _, s := range all {
		if dues[s.spec] != nil {
			continue
		}
		var err error
		if dues[s.spec], err = firstDues(s.spec, agents, seed); err != nil {
			return "", fmt.Errorf("%s: %w", s.name, err)
		}
	}
	computed := make([][]string, len(all))
	var running sync.WaitGroup
	places := make(chan struct{}, runtime.GOMAXPROCS(0)) // more would only take memory
	for i, s := range all {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			computed[i] = row(s, simulate(s, dues[s.spec], rate, seed))
		})
	}
	running.Wait()
	return layout(append(rows, computed...)), nil
}

// row is the line of one scenario in the table.
func row(s scenario, r result) []string {
	agents := len(r.agents) - 1
	last := begin.Add(r.last).Format(time.TimeOnly)
	switch {
	case r.accepted < agents && s.handsBack:
		last = "after " + begin.Add(horizon).Format("15:04")
	case r.accepted < agents:
		last = "never"
	}
	return []string{s.name, grouped(r.requests), grouped(r.refused), fmt.Sprintf("%.1f", float64(r.requests)/float64(agents)),
		grouped(r.perAgent), grouped(r.perFire), grouped(r.peak), grouped(r.accepted), grouped(r.inMinute), grouped(r.inHalfHour), last}
}

// layout aligns the columns: the first to the left, the others to the right.
func layout(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString("| " + cell + pad)
			} else {
				b.WriteString(" | " + pad + cell)
			}
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// grouped writes a number with a comma before every three digits.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
