package operation

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/cronagent/cronagent/internal/nearest"
)

// OptionKind is what an option takes.
type OptionKind int

const (
	// Switch takes nothing.
	Switch OptionKind = iota
	// Text takes a text, List a text each time that it is given.
	Text
	List
	// Words is a List whose texts may hold several words, between commas and blanks.
	Words
)

// Option is an option of a command.
type Option struct {
	// Name is the long name, and Short a letter or empty.
	Name, Short string
	Kind        OptionKind
	// Default is the value that counts if it is not given.
	Default string
	// Usage says what it is for; `a word` in it names the value.
	Usage string
	// Words are the values that it may have, if they are few.
	Words []string
	// Hidden options are taken and not listed.
	Hidden bool
}

// Group is a set of options that many commands have.
type Group []Option

// The groups of options.
var (
	InProject = Group{
		{Name: "project", Short: "p", Kind: Text, Usage: "the project's `id`, or its address in the Console"},
	}
	InEnvironment = append(Group{
		{Name: "environment", Short: "e", Kind: Text, Usage: "the environment's `id`; . is the project's default"},
	}, InProject...)
	Waiting = Group{
		{Name: "no-wait", Short: "W", Usage: "do not wait, which is so in any case; wins over --wait"},
		{Name: "wait", Usage: "wait until it has ended"},
	}
	Listing = Group{
		{Name: "format", Kind: Text, Default: "table", Usage: "the `format`: table, csv, tsv or plain", Words: []string{"table", "csv", "tsv", "plain"}},
		{Name: "columns", Short: "c", Kind: Words, Usage: "the `columns` to print; + stands for the usual ones, % for any letters"},
		{Name: "no-header", Usage: "do not print the header"},
	}
	Dates = Group{
		{Name: "date-fmt", Kind: Text, Default: "c", Usage: "the `format` of dates, as PHP has it"},
	}
	ByProperty = Group{
		{Name: "property", Short: "P", Kind: Text, Usage: "print this `property` only"},
	}
	AtLevel = Group{
		{Name: "level", Short: "l", Kind: Text, Usage: "whose variable it is: `level` project or environment", Words: []string{"project", "environment", "p", "e"}},
	}
	Filters = Group{
		{Name: "exclude-type", Short: "x", Kind: Words, Usage: "no activities of these `types`"},
		{Name: "all", Short: "a", Usage: "those of all environments"},
	}
	States = Group{
		{Name: "state", Kind: Words, Usage: "activities in these `states`", Words: []string{"in_progress", "pending", "complete", "cancelled"}},
		{Name: "result", Kind: Text, Usage: "activities with this `result`", Words: []string{"success", "failure"}},
		{Name: "incomplete", Short: "i", Usage: "activities that have not ended"},
	}
	OfType = Group{
		{Name: "type", Short: "t", Kind: Words, Usage: "activities of these `types`; environment. may be left out, % stands for any letters"},
	}
)

// Everywhere are the options that every command has under the platform CLI's names.
var Everywhere = Group{
	{Name: "yes", Short: "y", Usage: "answer questions with yes"},
	{Name: "no", Short: "n", Usage: "answer questions with no"},
	{Name: "no-interaction", Usage: "ask no questions"},
	{Name: "quiet", Short: "q", Usage: "nothing on standard error"},
	{Name: "help", Short: "h", Usage: "this help"},
	{Name: "version", Short: "V", Usage: "the version"},
	{Name: "ansi", Usage: "no effect", Hidden: true},
	{Name: "no-ansi", Usage: "no effect", Hidden: true},
}

// Tolerated are options of older or of other commands that deployed crons give where
// they mean nothing. Elsewhere an option that means nothing is a mistake.
var Tolerated = Group{
	{Name: "project", Short: "p", Kind: Text, Hidden: true},
	{Name: "environment", Short: "e", Kind: Text, Hidden: true},
	{Name: "app", Short: "A", Kind: Text, Hidden: true},
	{Name: "org", Short: "o", Kind: Text, Hidden: true},
	{Name: "host", Kind: Text, Hidden: true},
	{Name: "worker", Kind: Text, Hidden: true},
	{Name: "instance", Short: "I", Kind: Text, Hidden: true},
	{Name: "property", Short: "P", Kind: Text, Hidden: true},
	{Name: "no-wait", Short: "W", Hidden: true},
	{Name: "wait", Hidden: true},
}

// Values are the options that were given to a command. The zero Values are none.
type Values struct{ fs *pflag.FlagSet }

// Flags declares the operation's own options on fs and returns where their
// values will be.
func (o *Operation) Flags(fs *pflag.FlagSet) Values {
	declare(fs, o.Options)
	return Values{fs}
}

// AllFlags declares all options that the command has under the platform CLI's
// names. Its own ones come first: where a letter stands for two, it is theirs.
func (o *Operation) AllFlags(fs *pflag.FlagSet) Values {
	declare(fs, o.Options)
	for _, group := range o.With {
		declare(fs, group)
	}
	declare(fs, Everywhere)
	if o.Fires {
		declare(fs, Tolerated)
	}
	if fs.Lookup("verbose") == nil {
		fs.CountP("verbose", "v", "three times: log every request on standard error")
	}
	return Values{fs}
}

func declare(fs *pflag.FlagSet, options []Option) {
	for _, option := range options {
		if fs.Lookup(option.Name) != nil {
			continue
		}
		short := option.Short
		if short != "" && fs.ShorthandLookup(short) != nil {
			short = ""
		}
		switch option.Kind {
		case Switch:
			fs.BoolP(option.Name, short, false, option.Usage)
		case Text:
			fs.StringP(option.Name, short, option.Default, option.Usage)
		default:
			fs.StringArrayP(option.Name, short, nil, option.Usage)
		}
		fs.Lookup(option.Name).Hidden = option.Hidden
	}
}

func (v Values) flag(name string) *pflag.Flag {
	if v.fs == nil {
		return nil
	}
	return v.fs.Lookup(name)
}

// Given tells whether an option was given.
func (v Values) Given(name string) bool {
	f := v.flag(name)
	return f != nil && f.Changed
}

// On is the value of a switch.
func (v Values) On(name string) bool {
	f := v.flag(name)
	return f != nil && f.Value.String() == "true"
}

// Text is the value of a text; empty if there is no such option.
func (v Values) Text(name string) string {
	if f := v.flag(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// Set gives an option a value, as if it had been given. It must be a text.
func (v Values) Set(name, value string) {
	if err := v.fs.Set(name, value); err != nil {
		panic(err) // a text takes every value
	}
}

// List is the values of a list.
func (v Values) List(name string) []string {
	if f := v.flag(name); f != nil {
		if list, ok := f.Value.(pflag.SliceValue); ok {
			return list.GetSlice()
		}
	}
	return nil
}

// Words are the words of a list.
func (v Values) Words(name string) []string {
	var all []string
	for _, text := range v.List(name) {
		all = append(all, strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })...)
	}
	return all
}

// OptionProblem says what is wrong with an option. pflag's own words repeat
// whole words of the configuration in some cases, and such a word may hold the
// value of a variable.
func OptionProblem(err error) string {
	if errors.Is(err, pflag.ErrHelp) {
		return "unknown option --help"
	}
	if option := unknownOption(err); option != "" {
		return fmt.Sprintf("unknown option %q", option)
	}
	if _, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return "an option has no name"
	}
	return err.Error()
}

// unknownOption is the option that there is none of, with its dashes; empty if that
// is not what is wrong.
func unknownOption(err error) string {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	switch {
	case !ok:
		return ""
	case unknown.GetSpecifiedShortnames() != "":
		return "-" + unknown.GetSpecifiedName()
	}
	return "--" + unknown.GetSpecifiedName()
}

// OptionError says that an option is unknown, or used wrongly.
type OptionError struct {
	// Operation is the command's name, and Problem what is wrong.
	Operation, Problem string
	// Meant are the options that may have been meant by one that is unknown.
	Meant []string
}

func (e *OptionError) Error() string { return e.Operation + ": " + e.Problem }

// MeantOptions are the options of a set that may have been meant by the unknown one
// that an error of pflag is about, with their dashes; none if it is about something
// else.
func MeantOptions(err error, fs *pflag.FlagSet) []string {
	option := unknownOption(err)
	if option == "" {
		return nil
	}
	var known []string
	fs.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, "--"+f.Name)
		}
	})
	// -environment is read as -e -n -v ...
	if unknown, _ := errors.AsType[*pflag.NotExistError](err); len(unknown.GetSpecifiedShortnames()) > 1 {
		option = "--" + unknown.GetSpecifiedShortnames()
		if slices.Contains(known, option) {
			return []string{option}
		}
	}
	if len(option) == 2 { // a letter is near to anything
		return nil
	}
	return nearest.Words(option, known)
}

// Bool reads a word that stands for yes or no, as the platform CLI does.
func Bool(option, word string) (bool, error) {
	switch strings.ToLower(word) {
	case "true", "yes", "1", "on":
		return true, nil
	case "false", "no", "0", "off":
		return false, nil
	}
	return false, fmt.Errorf("--%s takes true or false", option)
}
