// Package operation knows what can be fired: the operations of the platform's
// API by the names, aliases, arguments and options of the platform CLI. Words
// go in, one typed request comes out. It is pure: nothing is sent from here.
//
// The table in table.go is the one place that lists operations; commands,
// help, completion and the configuration reader all read it.
package operation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// Request is one operation with its arguments, ready to be sent. It belongs to
// no environment yet: the same request can be fired at any of them.
type Request struct {
	// Operation is the canonical name, "backup:create".
	Operation string
	// Argument is what the operation acts on, the name of a source operation;
	// empty for operations that take none.
	Argument string
	// Activity is the type of the activity that the platform makes of it,
	// "environment.backup".
	Activity string
	// Path is the last part of the URL below the environment's, "backup".
	Path string
	// Link is the name of the HAL link that offers the operation in the
	// environment's representation, "#backup". The platform leaves the link out
	// while the operation is not available to this user.
	Link string
	// Already is the status of an environment for which there is nothing left to do,
	// "paused"; empty if the operation can always be done again.
	Already string
	// Body is the JSON to send. Nil sends none.
	Body []byte
}

// String is the operation as a person would type it, without its options:
// "source-operation:run update".
func (r Request) String() string {
	if r.Argument == "" {
		return r.Operation
	}
	return r.Operation + " " + r.Argument
}

// Options are the values of the options that operations take. An operation
// reads only those that it declares.
type Options struct {
	// Live is backup:create's --live: do not hold requests while the backup is
	// taken, at the price of a backup that may be inconsistent.
	Live bool
	// Variables is source-operation:run's --variable, each TYPE:NAME=VALUE.
	Variables []string
}

// Flags declares the operation's own options on fs and returns where their
// values will be.
func (o *Operation) Flags(fs *pflag.FlagSet) *Options {
	opts := new(Options)
	if o.flags != nil {
		o.flags(fs, opts)
	}
	return opts
}

// Request makes the request of the operation with its arguments and options.
// The error names what is missing or wrong and what would be right.
func (o *Operation) Request(args []string, opts Options) (Request, error) {
	r := Request{Operation: o.Name, Activity: o.Activity, Path: o.Path, Link: o.Link, Already: o.Already}
	if o.Argument == "" && len(args) > 0 {
		return Request{}, fmt.Errorf("%s takes no argument, but was given %q", o.Name, args[0])
	}
	if o.Argument != "" {
		if len(args) == 0 || args[0] == "" {
			return Request{}, fmt.Errorf("%s needs the name of the %s", o.Name, o.Argument)
		}
		if len(args) > 1 {
			return Request{}, fmt.Errorf("%s takes one %s, but was also given %q", o.Name, o.Argument, args[1])
		}
		r.Argument = args[0]
	}
	if o.body == nil {
		return r, nil
	}
	body, err := o.body(r.Argument, opts)
	if err != nil {
		return Request{}, err
	}
	if r.Body, err = json.Marshal(body); err != nil {
		return Request{}, fmt.Errorf("%s: %w", o.Name, err)
	}
	return r, nil
}

// Parse reads an operation as it stands behind "fire" in a configuration: its
// name or alias, then arguments and options in any order.
func Parse(words []string) (Request, error) {
	if len(words) == 0 {
		return Request{}, errors.New("no operation is named; the operations are " + names())
	}
	o, ok := Lookup(words[0])
	if !ok {
		return Request{}, Unknown(words[0])
	}
	fs := pflag.NewFlagSet(o.Name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	opts := o.Flags(fs)
	if err := fs.Parse(words[1:]); err != nil {
		return Request{}, fmt.Errorf("%s: %s", o.Name, optionProblem(err))
	}
	return o.Request(fs.Args(), *opts)
}

// optionProblem says what is wrong with an option. pflag's own words repeat
// whole words of the configuration in some cases, and such a word may hold the
// value of a variable.
func optionProblem(err error) string {
	if errors.Is(err, pflag.ErrHelp) {
		return "unknown option --help"
	}
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			return fmt.Sprintf("unknown option %q", "-"+name)
		}
		return fmt.Sprintf("unknown option %q", "--"+name)
	}
	if _, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return "an option has no name"
	}
	return err.Error()
}

// UnknownError says that no operation has this name or alias.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("unknown operation %q; the operations are %s", e.Name, names())
}

// Unknown is the error for a name that Lookup does not find.
func Unknown(name string) error { return &UnknownError{Name: name} }

func names() string {
	all := make([]string, len(table))
	for i, o := range table {
		all[i] = o.Name
	}
	return strings.Join(all, ", ")
}

var (
	variableType = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	variableName = regexp.MustCompile(`^[a-zA-Z0-9._:|/-]+$`)
)

// variables turns TYPE:NAME=VALUE words into the object that the API takes:
// one object for each type. The platform CLI allows one space around the colon
// and the first equals sign; unlike it, a value may hold further equals signs.
func variables(words []string) (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	for i, word := range words {
		left, value, assigned := strings.Cut(word, "=")
		kind, name, typed := strings.Cut(left, ":")
		kind = strings.TrimSuffix(kind, " ")
		name = strings.TrimSuffix(strings.TrimPrefix(name, " "), " ")
		// The value may be a secret: a message shows only what surely stands before
		// it, and without an equals sign that is nothing.
		if !assigned {
			return nil, fmt.Errorf("variable %d has no equals sign: want TYPE:NAME=VALUE, for example env:UPSTREAM=main", i+1)
		}
		if !typed || !variableType.MatchString(kind) || !variableName.MatchString(name) {
			return nil, fmt.Errorf("variable %q: want TYPE:NAME=VALUE, for example env:UPSTREAM=main", left)
		}
		if !utf8.ValidString(value) {
			return nil, fmt.Errorf("variable %q: its value is not UTF-8, which JSON cannot hold", left)
		}
		if all[kind] == nil {
			all[kind] = map[string]string{}
		}
		all[kind][name] = strings.TrimPrefix(value, " ")
	}
	return all, nil
}
