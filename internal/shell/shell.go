// Package shell reads the command of a cron as a shell would, and tells what it
// would do: which programs it calls, under which conditions, and whether those
// hold for given variables. It runs nothing, opens nothing and knows nothing of
// the world but the text and the variables it is handed.
//
// The platform runs crons with dash, so the text is read as dash reads it. What
// the text alone does not tell (files, exit statuses, substituted output) is
// unknown, never guessed. Three things are taken for granted: programs and loops
// come to an end, a program named by a variable is a program and not a command
// of the shell itself, and there are no aliases.
package shell

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// The bounds of what Parse takes. A cron far below them is already unreadable;
// they keep a hostile text from costing time and memory.
const (
	maxBytes   = 64 << 10 // of text
	maxOpening = 4096     // ( and { in it: the parser goes one deeper with each
	maxDepth   = 200      // of commands within commands, after parsing
	maxSteps   = 20000    // commands and words looked at, those of functions once for each call
	maxCalls   = 1000     // in the result
)

// Error says why a text is no command that dash would take.
type Error struct {
	Line, Column int // from 1; 0 if not known
	// Problem is what is wrong, for people.
	Problem string
	// Bash is true if bash would take the text.
	Bash bool
}

func (e *Error) Error() string {
	where := ""
	if e.Line > 0 && e.Column > 0 {
		where = fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
	} else if e.Line > 0 {
		where = fmt.Sprintf("line %d: ", e.Line)
	}
	if e.Bash {
		return where + e.Problem + ": bash takes this, dash, which runs crons, does not"
	}
	return where + e.Problem
}

// Script is a command that was read. It does not change and may be shared.
type Script struct {
	calls []Call
	gate  Gate
	facts
}

// facts are what is noted of a script besides its calls.
type facts struct {
	tests       []Test
	redirects   []Redirect
	assignments []Assignment
	bashisms    []Bashism
	mentions    []string
	ending      Place
}

// Word is one word of a call.
type Word struct {
	// Text is what the program gets if Literal, else the word as it is written.
	Text string
	// Literal is true if the text alone tells what the program gets: no
	// variables from outside, no substitution, no file name patterns.
	Literal bool
}

// Call is one simple command that the script may run.
type Call struct {
	// Words are the program and its arguments. Wrappers that only start another
	// program (croncape, env, sh -c and the like) are left out.
	Words []Word
	// Places are where the words stand.
	Places []Place
	// Wrappers are the names of those that were, outermost first.
	Wrappers []string
	// Line and Column of the first word, from 1. In the text of an sh -c in double
	// quotes, or of an eval, they are where that text begins.
	Line, Column int
	// When is the condition under which it runs.
	When Gate
	// Minor is true for what does nothing outside of the script: cd, echo to the
	// log, and what only computes a word ($(date)). A script's gate does not
	// count it.
	Minor bool
	// Pipe is the same for the calls of one pipeline, and Stage counts its commands
	// from 0. Pipe is 0 for what stands in none.
	Pipe, Stage int
	// Loop is true if it may run several times.
	Loop bool

	reach *expr
}

func (c Call) String() string {
	words := make([]string, len(c.Words))
	for i, w := range c.Words {
		words[i] = w.Text
		if w.Literal && (w.Text == "" || strings.ContainsAny(w.Text, " \t\n\"'$`\\;&|<>()*?[#~")) {
			words[i] = "'" + strings.ReplaceAll(w.Text, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// Parse reads a command. An error is always an *Error.
func Parse(command string) (*Script, error) {
	if len(command) > maxBytes {
		return nil, &Error{Problem: fmt.Sprintf("the command has %d bytes, more than the %d that are looked at; put it into a file and call that", len(command), maxBytes)}
	}
	file, err := parse(command, syntax.LangPOSIX)
	if err != nil {
		return nil, err
	}
	w := &walker{source: command, line: 1, column: 1, exact: true, need: yes}
	state := newState()
	w.list(file.Stmts, yes, state, false)
	if w.err != nil {
		return nil, w.err
	}
	w.found.ending, _ = w.endingOf(file.Stmts)
	return w.script(), nil
}

// parse returns the tree. A [[ is only a word to dash, which looks for a program
// of that name, but its parts are to be had from the grammar of bash alone.
func parse(text string, lang syntax.LangVariant) (*syntax.File, error) {
	if strings.Count(text, "(")+strings.Count(text, "{") > maxOpening {
		return nil, &Error{Problem: fmt.Sprintf("the command has more than %d parentheses and braces; put it into a file and call that", maxOpening)}
	}
	read := func(lang syntax.LangVariant) (*syntax.File, error) {
		return syntax.NewParser(syntax.Variant(lang)).Parse(strings.NewReader(text), "")
	}
	file, err := read(lang)
	if lang == syntax.LangBash {
		if err == nil {
			rotate(file)
		}
		return file, problem(err, false)
	}
	if err != nil {
		_, bashErr := read(syntax.LangBash)
		return nil, problem(err, bashErr == nil)
	}
	bash := false
	syntax.Walk(file, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 && call.Args[0].Lit() == "[[" {
			bash = true
		}
		return !bash
	})
	if bash {
		if again, err := read(syntax.LangBash); err == nil {
			file = again
		}
	}
	rotate(file)
	return file, nil
}

// rotate puts right what the parser has wrong: in f() { a; } || b it takes b for
// a part of the function.
func rotate(file *syntax.File) {
	var stmts []*syntax.Stmt
	syntax.Walk(file, func(n syntax.Node) bool {
		if st, ok := n.(*syntax.Stmt); ok {
			stmts = append(stmts, st)
		}
		return true
	})
	turned := map[*syntax.Stmt]bool{}
	for _, st := range slices.Backward(stmts) { // the inner ones first
		if f, ok := st.Cmd.(*syntax.FuncDecl); ok {
			if top, ok := f.Body.Cmd.(*syntax.BinaryCmd); ok {
				first := top
				for left, ok := first.X.Cmd.(*syntax.BinaryCmd); ok; left, ok = first.X.Cmd.(*syntax.BinaryCmd) {
					first = left
				}
				st.Background = st.Background || f.Body.Background
				f.Body = first.X
				first.X = &syntax.Stmt{Position: st.Position, Cmd: f}
				st.Cmd = top
				turned[st] = true
			}
		}
		c, ok := st.Cmd.(*syntax.BinaryCmd)
		if !ok || !turned[c.Y] {
			continue
		}
		first := c.Y.Cmd.(*syntax.BinaryCmd)
		if first.Op == syntax.Pipe || first.Op == syntax.PipeAll {
			continue
		}
		for left, ok := first.X.Cmd.(*syntax.BinaryCmd); ok && (left.Op == syntax.AndStmt || left.Op == syntax.OrStmt); left, ok = first.X.Cmd.(*syntax.BinaryCmd) {
			first = left
		}
		st.Cmd = c.Y.Cmd
		st.Background = st.Background || c.Y.Background
		first.X = &syntax.Stmt{Position: c.Pos(), Cmd: &syntax.BinaryCmd{OpPos: c.OpPos, Op: c.Op, X: c.X, Y: first.X}}
		turned[st] = true
	}
}

func problem(err error, bash bool) error {
	if err == nil {
		return nil
	}
	e := &Error{Problem: err.Error(), Bash: bash}
	var parse syntax.ParseError
	var lang syntax.LangError
	if errors.As(err, &parse) {
		e.Line, e.Column, e.Problem = int(parse.Pos.Line()), int(parse.Pos.Col()), parse.Text
	} else if errors.As(err, &lang) {
		e.Line, e.Column, e.Problem = int(lang.Pos.Line()), int(lang.Pos.Col()), "dash has no "+lang.Feature
	}
	return e
}

// Calls are the simple commands that the script may run, as they are written, a
// function's where it is called. What only steers the script (test, exit, set,
// export and the like) is none.
func (s *Script) Calls() []Call { return s.calls }

// Gate is the condition without which the script does nothing of substance. It
// is empty if there is none.
func (s *Script) Gate() Gate { return s.gate }

// Answer says whether something holds.
type Answer int

// The answers. Unknown is the zero value: it depends on what the text does not tell.
const (
	Unknown Answer = iota
	No
	Yes
)

func (a Answer) String() string {
	return [...]string{"unknown", "no", "yes"}[a]
}

// Verdict says whether a call would run.
type Verdict struct {
	Call Call
	Runs Answer
	// Because is the requirement that decided: for No one that does not hold, for
	// Unknown the first that can't be told, for Yes the first that holds. It is
	// the zero Condition if nothing is required, or if the call is never reached.
	Because Condition
}

// Eval says for each of Calls whether it would run with these variables. A name
// that lookup does not have is an unset variable. It is asked for no variable
// that the shell sets itself.
func (s *Script) Eval(lookup func(name string) (value string, ok bool)) []Verdict {
	e := &evaluation{lookup: lookup, known: map[*expr]Answer{}}
	verdicts := make([]Verdict, len(s.calls))
	for i, c := range s.calls {
		runs := e.eval(c.reach)
		verdicts[i] = Verdict{Call: c, Runs: runs}
		if a, negated := e.decisive(c.reach, false, runs); a != nil {
			verdicts[i].Because = a.condition(negated)
		}
	}
	return verdicts
}
