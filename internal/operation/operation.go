// Package operation knows the commands of the platform CLI that we cover: their
// names, aliases, arguments and options, the requests that they make, what they
// print and how careful one must be with them. Words go in, one typed request
// comes out. It is pure: nothing is sent from here.
//
// The table is the one place that lists commands: fire, the commands under the
// platform CLI's names, help, completion, the configuration reader and the
// documents all read it.
package operation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/cronagent/cronagent/internal/nearest"
)

// Effect is what a command does to what it is about.
type Effect int

const (
	// Reads: it changes nothing.
	Reads Effect = iota
	// Changes: it may be called by an abbreviation, and without a question.
	Changes
	// Destroys: it deletes, restores over something, or cancels. It is called by its
	// whole name only, and needs --yes where nobody can be asked.
	Destroys
)

// Operation is one row of the table: one command of the platform CLI.
type Operation struct {
	// Name is the canonical name, the one that the current platform CLI lists.
	Name string
	// Aliases are its other names, those that the CLI once had among them: deployed
	// crons still call them.
	Aliases []string
	// Summary says in one line what it does.
	Summary string
	// Examples are command lines for a shell that call it as cronagent does, and
	// FireExamples those that fire it.
	Examples, FireExamples []string
	// Arguments are its positional arguments, in their order.
	Arguments []Argument
	// Options are those that it has for itself, and With those that it shares with
	// others. Where fire calls it, it has the former only.
	Options []Option
	With    []Group
	Effect  Effect
	// Asks tells whether the platform CLI asks before it does it, so that its --no
	// means that it is not done.
	Asks bool
	// Fires tells whether fire and agent crons may call it: operations of an
	// environment that make sense at night, unattended.
	Fires bool
	// Steps are the requests that it makes, the token's exchange left out. At most
	// one of them that is no GET is sent in one call, and once.
	Steps []Step
	// Activity, Link and Already are as in Request.
	Activity, Link, Already string
	// Output is what it prints on standard output.
	Output Output

	body func(args []string, v Values) (any, error)
}

// Argument is a positional argument.
type Argument struct {
	// Name is what stands in usage and between braces in a Step's path.
	Name string
	// About is what it names, in plain words.
	About string
	// Required says that the command makes no sense without it, and Many that it may
	// be repeated.
	Required, Many bool
	// Environment says that it is another way to write --environment, which fire
	// does not have.
	Environment bool
	// Words are those that it may be, if they are few.
	Words []string
}

// Scope is what a path is below.
type Scope int

const (
	OfEnvironment Scope = iota
	OfProject
	// OfLevel is below the environment or the project, as --level says.
	OfLevel
	// OfAccount is the token's own user.
	OfAccount
)

// The methods of requests, as in net/http, which is not for here.
const (
	get   = "GET"
	post  = "POST"
	patch = "PATCH"
	del   = "DELETE"
)

// Step is one request.
type Step struct {
	Method string
	Scope  Scope
	// Path is below the scope; {name} stands for the argument or what was found out
	// by an earlier step.
	Path string
	// When says in words when it is made; empty: always.
	When string
}

// String is the request as documents show it.
func (s Step) String() string {
	base := map[Scope]string{
		OfEnvironment: "/projects/{project}/environments/{environment}", OfProject: "/projects/{project}",
		OfLevel: "/projects/{project}[/environments/{environment}]",
	}[s.Scope]
	return s.Method + " " + strings.TrimSuffix(base+"/"+s.Path, "/")
}

// Fill returns the path with its names replaced by ids, each of them one segment.
func (s Step) Fill(ids map[string]string) string {
	path := s.Path
	for name, id := range ids {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(id))
	}
	return path
}

// Request is one request that changes something, ready to be sent. It belongs to
// no environment yet: the same request can be fired at any of them.
type Request struct {
	// Operation is the canonical name, "backup:create".
	Operation string
	// Argument is what the operation acts on, the name of a source operation;
	// empty for operations that take none.
	Argument string
	// Activity is the type of the activity that the platform makes of it,
	// "environment.backup". Empty: it makes none, or none that could be told from
	// others.
	Activity string
	// Method is the HTTP method. Empty: POST.
	Method string
	// Scope is what Path is below.
	Scope Scope
	// Path is the last part of the URL below the scope's, "backup", escaped.
	Path string
	// Link is the name of the HAL link that offers the operation in the
	// environment's representation, "#backup". The platform leaves the link out
	// while the operation is not available to this user. Empty: it is no operation
	// of an environment.
	Link string
	// Already is the status of an environment for which there is nothing left to do,
	// "paused"; empty if the operation can always be done again.
	Already string
	// Secret is the value of a variable that Body holds, so that it can be taken out of
	// the API's words. Empty: there is none.
	Secret string
	// Silent says that the API accepts it without a word: 204, and no body.
	Silent bool
	// Body is the JSON to send. Nil sends none. It may hold the value of a variable,
	// which is a secret.
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

// Request makes the request of the operation with its arguments and options.
// The error names what is missing or wrong and what would be right.
func (o *Operation) Request(args []string, v Values) (Request, error) {
	ids, argument, err := o.arguments(args)
	if err != nil {
		return Request{}, err
	}
	i := slices.IndexFunc(o.Steps, func(s Step) bool { return s.Method != get })
	if i < 0 {
		return Request{}, fmt.Errorf("%s changes nothing", o.Name)
	}
	r := o.request(o.Steps[i], ids, v)
	r.Argument = argument
	if o.body == nil {
		return r, nil
	}
	body, err := o.body(args, v)
	if err != nil {
		return Request{}, err
	}
	return r.with(body)
}

// Deletes tells whether it takes something away.
func (r Request) Deletes() bool { return r.Method == del }

// request is the step's, without a body.
func (o *Operation) request(s Step, ids map[string]string, v Values) Request {
	r := Request{
		Operation: o.Name, Activity: o.Activity, Scope: s.Scope, Path: s.Fill(ids), Link: o.Link, Already: o.Already,
		Secret: v.Text("value"),
	}
	if s.Method != post {
		r.Method = s.Method
	}
	if s.Scope == OfLevel {
		r.Scope = OfEnvironment
		if level, _ := Level(v); level == LevelProject {
			r.Scope = OfProject
			r.Activity = strings.Replace(r.Activity, "environment.", "project.", 1)
		}
	}
	return r
}

func (r Request) with(body any) (Request, error) {
	var err error
	if r.Body, err = json.Marshal(body); err != nil {
		return Request{}, fmt.Errorf("%s: %w", r.Operation, err)
	}
	return r, nil
}

// option tells whether the command has an option of its own.
func (o *Operation) option(name string) bool {
	return slices.ContainsFunc(o.Options, func(option Option) bool { return option.Name == name })
}

// Selects is what must be known for the command: an environment, a project, or the
// token alone.
func (o *Operation) Selects() Scope {
	scope := OfAccount
	for _, group := range o.With {
		for _, option := range group {
			switch option.Name {
			case "environment":
				return OfEnvironment
			case "project":
				scope = OfProject
			}
		}
	}
	return scope
}

// own are the arguments that say what the operation acts on.
func (o *Operation) own() []Argument {
	return slices.DeleteFunc(slices.Clone(o.Arguments), func(a Argument) bool { return a.Environment })
}

// arguments checks arguments, and returns them by their names and as they are typed.
func (o *Operation) arguments(args []string) (ids map[string]string, typed string, err error) {
	own := o.own()
	if len(own) == 0 {
		if len(args) > 0 {
			return nil, "", fmt.Errorf("%s takes no argument, but was given %q", o.Name, args[0])
		}
		return nil, "", nil
	}
	ids = map[string]string{}
	for i, a := range own {
		switch {
		case i < len(args) && args[i] != "":
			ids[a.Name] = args[i]
		case i < len(args) || a.Required:
			return nil, "", fmt.Errorf("%s needs the name of the %s", o.Name, a.About)
		}
	}
	last := own[len(own)-1]
	if !last.Many && len(args) > len(own) && o.option("value") {
		return nil, "", fmt.Errorf("%s takes one %s, but was given %d words; the value is an option", o.Name, last.About, len(args))
	}
	if !last.Many && len(args) > len(own) {
		return nil, "", fmt.Errorf("%s takes one %s, but was also given %q", o.Name, last.About, args[len(own)])
	}
	// Such an id would be another address.
	for _, id := range ids {
		if id == "." || id == ".." {
			return nil, "", fmt.Errorf("%s: %q cannot be a name", o.Name, id)
		}
	}
	return ids, strings.Join(args, " "), nil
}

// Check returns the arguments by their names, or says what is wrong with them.
func (o *Operation) Check(args []string) (map[string]string, error) {
	ids, _, err := o.arguments(args)
	return ids, err
}

// Parse reads an operation as it stands behind "fire" in a configuration: its
// name or alias, then arguments and options in any order.
func Parse(words []string) (Request, error) {
	if len(words) == 0 {
		return Request{}, errors.New("no operation is named; the operations are " + names())
	}
	o, ok := Lookup(words[0])
	if !ok || !o.Fires {
		return Request{}, Unknown(words[0])
	}
	fs := pflag.NewFlagSet(o.Name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	v := o.Flags(fs)
	if err := fs.Parse(words[1:]); err != nil {
		return Request{}, &OptionError{o.Name, OptionProblem(err), MeantOptions(err, fs)}
	}
	return o.Request(fs.Args(), v)
}

// UnknownError says that no operation that can be fired has this name or alias.
type UnknownError struct {
	Name string
	// Known says that it is a command, but none to fire.
	Known bool
}

func (e *UnknownError) Error() string {
	if e.Known {
		return fmt.Sprintf("%s is nothing to fire; the operations are %s", e.Name, names())
	}
	return fmt.Sprintf("unknown operation %q; the operations are %s", e.Name, names())
}

// Unknown is the error for a name that Lookup does not find.
func Unknown(name string) error {
	_, known := Lookup(name)
	return &UnknownError{Name: name, Known: known}
}

// MeantOperations are those to fire that may have been meant by an unknown name; an
// alias counts as its operation.
func MeantOperations(name string) []string {
	var known, meant []string
	for _, o := range Fireable() {
		known = append(append(known, o.Name), o.Aliases...)
	}
	for _, found := range nearest.Words(name, known) {
		if o, ok := Lookup(found); ok && !slices.Contains(meant, o.Name) {
			meant = append(meant, o.Name)
		}
	}
	return meant
}

// MeantCommands are the commands of the table that may have been meant by an unknown
// name; none if it is one that only the platform's own tool has.
func MeantCommands(name string) []string {
	if Elsewhere(name) {
		return nil
	}
	var known []string
	for _, o := range table {
		known = append(append(known, o.Name), o.Aliases...)
	}
	return nearest.Words(name, known)
}

func names() string {
	var all []string
	for _, o := range Fireable() {
		all = append(all, o.Name)
	}
	return strings.Join(all, ", ")
}
