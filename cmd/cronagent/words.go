package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cronagent/cronagent/internal/nearest"
	"github.com/cronagent/cronagent/internal/operation"
)

// words is the value of a flag that takes one of a few words, or a list of them.
type words struct {
	pflag.Value
	flag, kind string
	known      []string
}

// wordError says that a flag was given a word that it does not take.
type wordError struct {
	flag, kind, word string
	known            []string
}

func (e *wordError) Error() string { return fmt.Sprintf("--%s: unknown %s %q", e.flag, e.kind, e.word) }

// oneOf makes a flag that has been declared take the known words only, which are
// then suggested and completed too. kind is what such a word is called. A flag that
// is a list takes any number of them.
func oneOf(fs *pflag.FlagSet, flag, kind string, known []string) {
	f := fs.Lookup(flag)
	f.Value = words{f.Value, flag, kind, known}
}

func (w words) Set(text string) error {
	given := []string{text}
	if text == "" && (w.list() || w.String() == "") { // as if it had not been given
		given = nil
	} else if w.list() {
		fields, err := csv.NewReader(strings.NewReader(text)).Read()
		if err != nil {
			return err
		}
		given = fields
	}
	for _, word := range given {
		if !slices.Contains(w.known, word) {
			return &wordError{w.flag, w.kind, word, w.known}
		}
	}
	return w.Value.Set(text)
}

func (w words) list() bool { return strings.HasSuffix(w.Type(), "Slice") }

// hint says which words there are.
func (e *wordError) hint() string {
	return nearest.Hint(e.word, e.known, "the "+e.kind+"s are "+strings.Join(e.known, ", "))
}

// flagError is a mistake in the flags of a command, with what may have been meant.
func flagError(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*wordError](err); ok {
		return &usageError{e, e.hint()}
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		switch flag := e.GetFlag(); flag.Value.Type() { // whose own errors are Go's
		case "int":
			err = fmt.Errorf("--%s: cannot read %q as a whole number", flag.Name, e.GetValue())
		case "duration":
			err = fmt.Errorf("--%s: cannot read %q as a time like 90s, 10m, 26h", flag.Name, e.GetValue())
		}
	}
	return &usageError{err, nearest.Ask(operation.MeantOptions(err, cmd.Flags()), "see: "+cmd.CommandPath()+" --help")}
}

// unknownCommand names what a mistyped command below another may have meant.
func unknownCommand(parent *cobra.Command, name string) error {
	var known, meant []string
	for _, cmd := range parent.Commands() {
		if !cmd.Hidden {
			known = append(append(known, cmd.Name()), cmd.Aliases...)
		}
		if slices.Contains(cmd.SuggestFor, name) {
			meant = append(meant, cmd.Name())
		}
	}
	if meant == nil {
		meant = nearest.Words(name, known)
	}
	for i := range meant {
		meant[i] = parent.CommandPath() + " " + meant[i]
	}
	rest := "see: " + parent.CommandPath() + " --help"
	if operation.Elsewhere(name) && meant == nil {
		rest = "only the platform's own tool has it; if it is installed: platform " + name
	}
	return usage(nearest.Ask(meant, rest), "unknown command %q", name)
}

// unknownCron says that a configuration has no cron of a name. rest, which may be
// empty, is what else there is to say.
func unknownCron(file string, known []string, name, rest string) error {
	hint := "there are none"
	if len(known) > 0 {
		hint = nearest.Hint(name, known, "the crons are: "+someNames(known))
	}
	if rest != "" {
		hint += "; " + rest
	}
	return usage(hint, "%s has no cron %q", file, name)
}

// mostNamed is how many names of crons a hint holds.
const mostNamed = 12

// someNames are names for a hint.
func someNames(names []string) string {
	text := strings.Join(names[:min(len(names), mostNamed)], ", ")
	if more := len(names) - mostNamed; more > 0 {
		text += fmt.Sprintf(" and %d more (cronagent list)", more)
	}
	return text
}
