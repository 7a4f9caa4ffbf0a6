// Package table prints what the API sends as the platform CLI prints it: tables
// with a frame, CSV, TSV or plain lines, properties, YAML, and dates in PHP's
// formats. Scripts read that, so every blank of it matters. It is pure, and prints
// text from outside as it is: the caller makes it safe first.
package table

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cronagent/cronagent/internal/operation"
)

// Formats are those that Write knows; the first is the default.
var Formats = []string{"table", "csv", "tsv", "plain"}

// Frame is the format of tables for people.
const Frame = "table"

// CheckFormat says what is wrong with a format.
func CheckFormat(format string) error {
	if !slices.Contains(Formats, format) {
		return fmt.Errorf("format %q: want %s", format, strings.Join(Formats, ", "))
	}
	return nil
}

// ColumnError says that there is no column of a name, and which there are.
type ColumnError struct {
	Name  string
	Known []string
}

func (e *ColumnError) Error() string {
	return fmt.Sprintf("there is no column %q; the columns are %s", e.Name, strings.Join(e.Known, ", "))
}

// Choose picks the columns that --columns names, in that order: the usual ones if it
// names none. A plus sign stands for the usual ones, alone or before a name, and
// % and * for any letters.
// The error is a *ColumnError.
func Choose(all []operation.Column, asked []string) ([]operation.Column, error) {
	usual := slices.DeleteFunc(slices.Clone(all), func(c operation.Column) bool { return !c.Usual })
	if len(asked) == 0 {
		return usual, nil
	}
	var chosen []operation.Column
	add := func(columns ...operation.Column) {
		for _, c := range columns {
			if !slices.ContainsFunc(chosen, func(o operation.Column) bool { return o.Name == c.Name }) {
				chosen = append(chosen, c)
			}
		}
	}
	for _, word := range asked {
		if rest, plus := strings.CutPrefix(word, "+"); plus {
			add(usual...)
			if rest == "" {
				continue
			}
			word = rest
		}
		found := false
		for _, c := range all {
			if operation.Wild(strings.ToLower(word), c.Name) || strings.EqualFold(word, c.Head) {
				found = true
				add(c)
			}
		}
		if !found {
			var names []string
			for _, c := range all {
				names = append(names, c.Name)
			}
			return nil, &ColumnError{word, names}
		}
	}
	return chosen, nil
}

// Write prints rows under a header; a nil header is none. Cells may have several
// lines. A table with a frame is for a terminal of so many columns; zero means that it
// is none, and nothing is broken into lines. The error is the writer's, or of a format
// that does not exist.
func Write(w io.Writer, format string, columns int, header []string, rows [][]string) error {
	if err := CheckFormat(format); err != nil {
		return err
	}
	all := rows
	if header != nil {
		all = append([][]string{header}, rows...)
	}
	switch format {
	case "csv", "tsv":
		c := csv.NewWriter(w)
		if format == "tsv" {
			c.Comma = '\t'
		}
		return c.WriteAll(all)
	case "plain":
		var b strings.Builder
		for _, row := range all {
			b.WriteString(strings.Join(row, "\t") + "\n")
		}
		_, err := io.WriteString(w, b.String())
		return err
	}
	_, err := io.WriteString(w, framed(columns, header, rows))
	return err
}
