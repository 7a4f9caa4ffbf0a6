package main

import (
	"os"
	"strconv"
	"strings"
)

// unicode tells whether the locale has characters beyond ASCII. Where nothing is set
// it is POSIX's, which has none.
func (p proc) unicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(p.getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

// colors tells whether standard output takes colours, and whoever reads it wants them.
func (p proc) colors() bool {
	return p.getenv("NO_COLOR") == "" && p.getenv("TERM") != "dumb" && p.getenv("TERM") != "" && isTerminal(os.Stdout)
}

// width is how many columns wide text may be: as asked for, else as wide as the
// terminal is, else as COLUMNS says, else 80.
func (p proc) width(asked int) int {
	if asked > 0 {
		return asked
	}
	if isTerminal(os.Stdout) {
		return columns(os.Stdout)
	}
	if n, err := strconv.Atoi(p.getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return 80
}
