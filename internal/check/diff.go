package check

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/cronagent/cronagent/internal/envdetect"
)

// context is how many lines of a diff stand around what differs.
const context = 3

// Where a line names a token, what stands behind the name is hidden, and so is what is as
// long as a token: it may be the value of an option.
var (
	tokenNames = strings.Join(envdetect.TokenVariables(), "|") + "|api_token"
	tokenNamed = regexp.MustCompile(`\b(` + tokenNames + `)\b`)
	tokenValue = regexp.MustCompile(`\b((?:` + tokenNames + `)\b["']?\s*[:=]\s*["']?)[^\s"'$;&|{}<>][^\s"';&|}]*`)
	tokenLong  = regexp.MustCompile(`[A-Za-z0-9_-]{32,}`)
)

// hide takes the tokens out of a line that may go to a log.
func hide(line string) string {
	if !tokenNamed.MatchString(line) {
		return line
	}
	return tokenLong.ReplaceAllString(tokenValue.ReplaceAllString(line, "${1}********"), "********")
}

// Diff is what Fix did to a file, as diff -u shows it, but for tokens that stand there.
func Diff(f Fixed) string {
	a, b := strings.SplitAfter(string(f.Before), "\n"), strings.SplitAfter(string(f.After), "\n")
	type line struct {
		mark byte
		text string
	}
	// The rewritings are few and small: walk along both, and where they differ find
	// the nearest lines that are the same again.
	var all []line
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		if i < len(a) && j < len(b) && a[i] == b[j] {
			all = append(all, line{' ', a[i]})
			i, j = i+1, j+1
			continue
		}
		di, dj := resync(a[i:], b[j:])
		for _, text := range a[i : i+di] {
			all = append(all, line{'-', text})
		}
		for _, text := range b[j : j+dj] {
			all = append(all, line{'+', text})
		}
		i, j = i+di, j+dj
	}
	if n := len(all); n > 0 && all[n-1].text == "" {
		all = all[:n-1]
	}
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", f.File, f.File)
	from, to := 1, 1 // the line numbers of all[at]
	for at := 0; at < len(all); {
		if all[at].mark == ' ' {
			at, from, to = at+1, from+1, to+1
			continue
		}
		begin := max(0, at-context)
		end, same := at, 0
		for end < len(all) && same <= 2*context {
			if all[end].mark == ' ' {
				same++
			} else {
				same = 0
			}
			end++
		}
		if same > context {
			end -= same - context
		}
		removed, added := 0, 0
		for _, l := range all[begin:end] {
			if l.mark != '+' {
				removed++
			}
			if l.mark != '-' {
				added++
			}
		}
		fmt.Fprintf(&out, "@@ -%d,%d +%d,%d @@\n", from-(at-begin), removed, to-(at-begin), added)
		for k, l := range all[begin:end] {
			out.WriteByte(l.mark)
			out.WriteString(hide(l.text))
			if !strings.HasSuffix(l.text, "\n") {
				out.WriteString("\n\\ No newline at end of file\n")
			}
			if begin+k < at {
				continue
			}
			if l.mark != '+' {
				from++
			}
			if l.mark != '-' {
				to++
			}
		}
		at = end
	}
	return out.String()
}

// resync is how many lines of each to leave until both go on alike.
func resync(a, b []string) (int, int) {
	for sum := 1; sum <= len(a)+len(b); sum++ {
		for i := range min(sum, len(a)) + 1 {
			j := sum - i
			if j > len(b) {
				continue
			}
			if i == len(a) && j == len(b) || i < len(a) && j < len(b) && a[i] == b[j] {
				return i, j
			}
		}
	}
	return len(a), len(b)
}
