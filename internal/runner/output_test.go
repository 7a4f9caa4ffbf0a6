package runner_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/runner"
)

func TestAFloodOfOutput(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := run(t, runner.Command{Line: "head -c 500000000 /dev/zero | tr '\\0' x; printf 'the end'", Timeout: time.Minute})
	runtime.ReadMemStats(&after)
	require.False(t, r.TimedOut, "it is read as fast as it comes")
	assert.Len(t, r.Output, runner.MaxOutput)
	assert.True(t, strings.HasSuffix(r.Output, "xxxthe end"))
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(5<<20), "bytes allocated for 500 MB of output")
}

func TestTheEndOfTheOutputIsKept(t *testing.T) {
	t.Parallel()
	const most = runner.MaxOutput
	// pad prints n bytes in one piece.
	pad := func(n int) string { return fmt.Sprintf("printf '%%%ds' ''; ", n) }
	cases := map[string]struct{ line, start, end string }{
		"exactly what fits":                    {pad(most-2) + "printf 'ab'", " ", "ab"},
		"one byte too many":                    {"printf ab; " + pad(most-1), "b", " "},
		"a character at the cut is left out":   {"printf 'ä'; " + pad(most-1), " ", " "},
		"a longer one too":                     {"printf '€'; " + pad(most-1), " ", " "},
		"the longest too":                      {"printf '😀'; " + pad(most-3), " ", " "},
		"one that just fits stays":             {"printf 'xä'; " + pad(most-2), "ä", " "},
		"each stray byte grows to a character": {`for i in $(seq 4000); do printf 'a\377'; done`, "a\uFFFD", "a\uFFFD"},
		"nothing but continuation bytes":       {`for i in $(seq 5000); do printf '\200'; done`, "\uFFFD", "\uFFFD"},
		"many small writes":                    {`for i in $(seq 3000); do echo line $i; done`, "", "line 2999\nline 3000\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, runner.Command{Line: c.line})
			assert.LessOrEqual(t, len(r.Output), most)
			assert.True(t, utf8.ValidString(r.Output))
			assert.True(t, strings.HasPrefix(r.Output, c.start), "begins with %q", r.Output[:min(9, len(r.Output))])
			assert.True(t, strings.HasSuffix(r.Output, c.end), "ends with %q", r.Output[max(0, len(r.Output)-9):])
		})
	}
}

func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	const secret = "TOKEN-0123456789"
	stars := strings.Repeat("*", len(secret))
	cases := map[string]struct {
		line    string
		secrets []string
		want    string
	}{
		"wherever it stands":         {"echo a" + secret + secret + "b", []string{secret}, "a" + stars + stars + "b\n"},
		"printed in pieces":          {"printf TOKEN-012; sleep 0.1; printf 3456789", []string{secret}, stars},
		"on standard error":          {"echo " + secret + " >&2", []string{secret}, stars + "\n"},
		"the longer of two first":    {"echo abcdef", []string{"abc", "", "abcdef"}, "******\n"},
		"two that overlap":           {"echo xabcdefy", []string{"abcd", "cdef"}, "x******y\n"},
		"one that overlaps itself":   {"echo xababax", []string{"aba"}, "x*****x\n"},
		"one that is not UTF-8":      {`printf 'a\377\376b'`, []string{"\xff\xfe"}, "a**b"},
		"an empty one masks nothing": {"echo abc", []string{""}, "abc\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, run(t, runner.Command{Line: c.line, Secrets: c.secrets}).Output)
		})
	}
	t.Run("at the cut, wherever it falls", func(t *testing.T) {
		t.Parallel()
		for _, before := range []int{0, 10_000} {
			for shift := -1; shift <= len(secret)+1; shift++ {
				line := fmt.Sprintf("printf '%%%ds%%s%%%ds' '' %s ''", before, runner.MaxOutput-shift, secret)
				output := run(t, runner.Command{Line: line, Secrets: []string{secret, "an even longer secret that sets the margin"}}).Output
				want := strings.Repeat("*", max(0, min(shift, len(secret))))
				assert.Equal(t, want, strings.TrimSpace(output), "%d bytes of it within the limit", shift)
			}
		}
	})
}
