package shell

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// script sums up.
func (w *walker) script() *Script {
	n := newNormaliser()
	all, major := no, no
	for i := range w.calls {
		c := &w.calls[i]
		c.When = n.gate(n.normal(c.reach, false))
		all = or(all, c.reach)
		if !c.Minor {
			major = or(major, c.reach)
		}
	}
	s := &Script{calls: w.calls, facts: w.found}
	if slices.ContainsFunc(w.calls, func(c Call) bool { return !c.Minor }) {
		all = major
	}
	if len(w.calls) > 0 {
		s.gate = n.gate(n.weaken(n.normal(all, false)))
	}
	return s
}

// The commands of the shell itself that come before functions of the same name.
var special = []string{":", ".", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "times", "trap", "unset"}

// interpreters are the programs whose -c is read too.
var interpreters = []string{"sh", "dash", "bash", "/bin/sh", "/bin/dash", "/bin/bash", "/usr/bin/bash"}

// minors do nothing outside of the script.
var minors = []string{
	"cd", "echo", "printf", "read", "sleep", "wait", "pwd", "umask", "ulimit", "type", "hash", "trap", "times", "shift",
	"getopts", "date", "pushd", "popd", "shopt", "alias", "unalias", "jobs", "fg", "bg", "which",
}

// sure are commands that do not fail in any way worth telling.
var sure = []string{"echo", "printf", "export", "readonly", "local", "unset", "umask"}

func (w *walker) call(st *syntax.Stmt, c *syntax.CallExpr, reach *expr, s *state, tested bool) flow {
	w.substitutions(c, reach, s)
	outer := w.need
	w.need = yes
	words := make([]word, len(c.Args))
	for i, a := range c.Args {
		words[i] = w.word(a, s)
	}
	assigned := map[string]value{}
	substitutes := false
	for _, a := range c.Assigns {
		scope := s
		if len(words) > 0 {
			scope = s.clone() // for this command only
		}
		w.assign(a, scope)
		if a.Name != nil {
			assigned[a.Name.Value] = scope.vars[a.Name.Value]
		}
		if a.Value != nil {
			substitutes = substitutes || slices.ContainsFunc(a.Value.Parts, func(p syntax.WordPart) bool {
				_, plain := p.(*syntax.Lit)
				return !plain && strings.ContainsAny(w.text(p), "(`")
			})
		}
	}
	needed := w.need
	w.need = outer
	if needed != yes {
		w.exits++
	}
	reach = and(reach, needed)
	var f flow
	switch {
	case len(words) > 0:
		f = w.run(invocation{st: st, args: c.Args, words: words, assigned: assigned}, reach, s, tested)
	case substitutes:
		f = flow{success(w.text(c)), yes}
	default:
		f = fine
	}
	return flow{f.status, and(needed, f.cont)}
}

func (w *walker) assign(a *syntax.Assign, s *state) {
	if a.Name == nil || a.Naked {
		return
	}
	v := opaque
	switch {
	case a.Array != nil || a.Index != nil || a.Append:
	case a.Value == nil:
		v = plainText("")
	default:
		if x := w.word(a.Value, s); !strings.Contains(x.source, "~") {
			v = x.value
		}
	}
	s.vars[a.Name.Value] = v
	w.noteAssignment(a.Name.Value, v, w.place(a.Pos(), a.End()))
}

// invocation is a simple command with its words.
type invocation struct {
	st       *syntax.Stmt
	args     []*syntax.Word
	words    []word
	assigned map[string]value // X=1 in front of it
	cleared  bool             // env -i
	external bool             // started by another program: no function, no builtin
	builtin  bool             // by command: no function
}

func (w *walker) run(in invocation, reach *expr, s *state, tested bool) flow {
	if w.deeper() {
		return fine
	}
	defer w.higher()
	name, literal := in.words[0].text()
	if !literal || in.external && !slices.Contains(interpreters, name) && !wraps(name) {
		return w.record(in, reach, s)
	}
	body, function := s.functions[name]
	if function && !in.external && !in.builtin && !slices.Contains(special, name) {
		return w.function(in, body, reach, s, tested)
	}
	w.noteCommand(name, in)
	switch name {
	case "sh", "dash", "bash", "/bin/sh", "/bin/bash", "/bin/dash", "/usr/bin/bash":
		if f, ok := w.inner(in, strings.HasSuffix(name, "bash"), reach, s); ok {
			return f
		}
	case "croncape", "env", "nohup", "nice", "timeout", "time", "command", "exec":
		if next, ok := unwrap(name, in); ok {
			if name == "env" || name == "croncape" {
				for i, x := range in.words[1 : len(in.words)-len(next.words)] {
					if variable, v, ok := assignment(in, i+1); ok && x.source != "" {
						w.noteAssignment(variable, v, w.place(in.args[i+1].Pos(), in.args[i+1].End()))
					}
				}
			}
			w.wrappers = append(w.wrappers, name)
			f := w.run(next, reach, s, tested)
			w.wrappers = w.wrappers[:len(w.wrappers)-1]
			if name == "exec" {
				w.exits++
				return flow{f.status, no}
			}
			return f
		}
		if name == "exec" && len(in.words) == 1 {
			return fine
		}
	}
	if f, ok := w.steer(name, in, reach, s, tested); ok {
		return f
	}
	return w.record(in, reach, s)
}

// record notes a call.
func (w *walker) record(in invocation, reach *expr, s *state) flow {
	c := Call{Minor: w.minor, Wrappers: slices.Clone(w.wrappers), reach: reach}
	pos := in.args[0].Pos()
	c.Line, c.Column = w.position(pos)
	c.Pipe, c.Stage, c.Loop = w.pipe, w.stage, w.loops > 0
	for i, x := range in.words {
		text, ok := x.text()
		if !ok {
			text = x.source
		}
		c.Words = append(c.Words, Word{text, ok})
		c.Places = append(c.Places, w.place(in.args[i].Pos(), in.args[i].End()))
	}
	name, _ := in.words[0].text()
	if path.Base(name) == "tee" {
		for i, x := range in.words[1:] {
			if !strings.HasPrefix(x.source, "-") {
				w.notePath(x, c.Places[i+1])
			}
		}
	}
	if slices.Contains(minors, name) && harmless(in.st.Redirs) {
		c.Minor = true
	}
	if name == "command" && len(in.words) > 1 && strings.HasPrefix(in.words[1].source, "-") {
		c.Minor = true
	}
	w.calls = append(w.calls, c)
	if !in.external && slices.Contains(sure, name) && harmless(in.st.Redirs) {
		return fine
	}
	status := success(w.text(in.st))
	status.atom.usual = name == "cd"
	return flow{status, yes}
}

func (w *walker) position(p syntax.Pos) (line, column int) {
	if !w.exact {
		return w.line, w.column
	}
	line, column = int(p.Line()), int(p.Col())
	if line == 1 {
		column += w.column - 1
	}
	return line + w.line - 1, column
}

func (w *walker) function(in invocation, body *syntax.Stmt, reach *expr, s *state, tested bool) flow {
	if body == nil || slices.Contains(w.within, body) {
		f := w.record(in, reach, s)
		s.shatter()
		w.exits++
		return flow{f.status, unknown(w.text(in.st))}
	}
	for name, v := range in.assigned {
		s.vars[name] = v
	}
	exits, returns, loops := w.exits, w.returns, w.loops
	w.within, w.loops = append(w.within, body), 0
	f := w.statement(body, reach, s, tested)
	w.within, w.loops = w.within[:len(w.within)-1], loops
	for name := range in.assigned {
		s.vars[name] = opaque
	}
	returned, exited := w.returns > returns, w.exits > exits
	w.returns = returns
	switch {
	case returned && exited:
		return flow{success(w.text(in.st)), unknown(w.text(in.st))}
	case returned:
		return flow{success(w.text(in.st)), yes}
	}
	return f
}

// steer does what the shell's own commands do to the rest of the script.
func (w *walker) steer(name string, in invocation, reach *expr, s *state, tested bool) (flow, bool) {
	args := in.words[1:]
	source := w.text(in.st)
	if len(in.st.Redirs) > 0 && len(args) > 0 {
		source = w.source[in.args[0].Pos().Offset():in.args[len(in.args)-1].End().Offset()]
	}
	switch name {
	case "[":
		if closing, ok := in.words[len(in.words)-1].text(); !ok {
			return flow{unknown(source), yes}, true
		} else if closing != "]" {
			return flow{no, yes}, true
		}
		w.noteTest(args[:len(args)-1], in.args[1:len(in.args)-1])
		return flow{w.test(args[:len(args)-1], source), yes}, true
	case "test":
		w.noteTest(args, in.args[1:])
		return flow{w.test(args, source), yes}, true
	case "[[":
		return flow{and(unknown(source), w.needsBash("[[")), yes}, true
	case ":", "true":
		if len(in.st.Redirs) > 0 && !harmless(in.st.Redirs) {
			return fine, false // true > file empties it
		}
		return fine, true
	case "false":
		return flow{no, yes}, true
	case "exit":
		w.exits++
		return flow{yes, no}, true
	case "return":
		if len(w.within) == 0 {
			w.exits++
		} else {
			w.returns++
		}
		return flow{yes, no}, true
	case "break", "continue":
		if w.loops == 0 {
			return fine, true
		}
		if len(args) > 0 {
			w.returns++
		}
		return flow{yes, no}, true
	case "set":
		w.set(args, s)
		return fine, true
	case "export", "readonly", "local", "declare", "typeset":
		for i, x := range args {
			w.declare(in.args[len(in.args)-len(args)+i], x, s)
		}
		return fine, true
	case "unset":
		for _, x := range args {
			if variable, ok := x.text(); ok && syntax.ValidName(variable) {
				s.vars[variable] = value{{known: true, undefined: true}}
				delete(s.functions, variable)
			} else if !ok {
				s.shatter()
			}
		}
		return fine, true
	case "read", "getopts", "mapfile", "readarray":
		for _, x := range args {
			if variable, ok := x.text(); !ok {
				s.shatter()
			} else if syntax.ValidName(variable) {
				s.vars[variable] = opaque
			}
		}
		return fine, false
	case "printf":
		if len(args) > 1 && args[0].source == "-v" {
			s.vars[args[1].source] = opaque
		}
		return fine, false
	case "eval":
		return w.evaluate(in, reach, s, tested), true
	case ".", "source":
		f := w.record(in, reach, s)
		s.shatter()
		w.exits++
		return flow{f.status, unknown(source)}, true
	case "trap":
		if len(args) > 1 {
			if text, ok := args[0].text(); ok && text != "-" {
				w.sub(text, in.args[1], w.bash, and(reach, unknown(source)), s.clone(), false)
			}
		}
		return fine, true
	}
	return fine, false
}

func (w *walker) set(args []word, s *state) {
	for i, x := range args {
		text, ok := x.text()
		if !ok {
			s.errexit, s.nounset, s.pipefail = perhaps, perhaps, true
			return
		}
		if len(text) < 2 || text[0] != '-' && text[0] != '+' || text == "--" {
			return
		}
		to := on
		if text[0] == '+' {
			to = off
		}
		flags := text[1:]
		if strings.Contains(flags, "o") && i+1 < len(args) {
			option, _ := args[i+1].text()
			switch option {
			case "errexit":
				s.errexit = to
			case "nounset":
				s.nounset = to
			case "pipefail":
				s.pipefail = to == on
			}
			w.set(args[min(i+2, len(args)):], s)
		}
		if strings.Contains(flags, "e") {
			s.errexit = to
		}
		if strings.Contains(flags, "u") {
			s.nounset = to
		}
		if strings.Contains(flags, "o") {
			return
		}
	}
}

// declare does an assignment that dash takes as a word: export X=1.
func (w *walker) declare(node *syntax.Word, x word, s *state) {
	if len(node.Parts) == 0 {
		return
	}
	lit, ok := node.Parts[0].(*syntax.Lit)
	if !ok {
		if text, known := x.text(); !known || strings.Contains(text, "=") {
			s.shatter()
		}
		return
	}
	name, _, found := strings.Cut(lit.Value, "=")
	if !found || !syntax.ValidName(name) {
		if len(node.Parts) > 1 {
			s.shatter()
		}
		return
	}
	v := opaque
	if len(x.value) > 0 && x.value[0].known && strings.HasPrefix(x.value[0].text, name+"=") && !strings.Contains(x.source, "~") && !x.pattern && !x.loose {
		v = slices.Clone(x.value)
		v[0].text = v[0].text[len(name)+1:]
	}
	s.vars[name] = v
	w.noteAssignment(name, v, w.place(node.Pos(), node.End()))
}

func (w *walker) evaluate(in invocation, reach *expr, s *state, tested bool) flow {
	var text []string
	for _, x := range in.words[1:] {
		t, ok := x.text()
		if !ok {
			text = nil
			break
		}
		text = append(text, t)
	}
	if text != nil {
		if f, ok := w.sub(strings.Join(text, " "), in.args[0], w.bash, reach, s, tested); ok {
			return f
		}
	}
	f := w.record(in, reach, s)
	s.shatter()
	w.exits++
	return flow{f.status, unknown(w.text(in.st))}
}

// inner walks the text of sh -c.
func (w *walker) inner(in invocation, bash bool, reach *expr, s *state) (flow, bool) {
	child := newState()
	child.havoc = s.havoc
	for name := range s.vars {
		child.vars[name] = opaque // it may be exported, or not
	}
	if in.cleared {
		child.havoc = true
	}
	for name, v := range in.assigned {
		child.vars[name] = v
	}
	text, command := word{}, -1
	for i := 1; i < len(in.words); i++ {
		flag, ok := in.words[i].text()
		if !ok || len(flag) < 2 || flag[0] != '-' || flag[1] == '-' {
			break
		}
		if strings.Contains(flag, "e") {
			child.errexit = on
		}
		if strings.Contains(flag, "u") {
			child.nounset = on
		}
		if strings.ContainsAny(flag, "li") { // profiles are read first
			child.shatter()
		}
		if strings.ContainsAny(flag, "no") {
			return fine, false
		}
		if strings.Contains(flag, "c") && i+1 < len(in.words) {
			text, command = in.words[i+1], i+1
			break
		}
	}
	script, ok := text.text()
	if command < 0 || !ok {
		return fine, false
	}
	name, _ := in.words[0].text()
	w.wrappers = append(w.wrappers, name)
	exits, returns, loops, within := w.exits, w.returns, w.loops, w.within
	w.loops, w.within = 0, nil
	f, ok := w.sub(script, in.args[command], bash, reach, child, false)
	w.exits, w.returns, w.loops, w.within = exits, returns, loops, within
	w.wrappers = w.wrappers[:len(w.wrappers)-1]
	if ok && f.cont != yes {
		f = flow{success(w.text(in.st)), yes}
	}
	return f, ok
}

// sub walks a text within the text. It is false if that is no shell.
func (w *walker) sub(text string, node *syntax.Word, bash bool, reach *expr, s *state, tested bool) (flow, bool) {
	lang := syntax.LangPOSIX
	if bash {
		lang = syntax.LangBash
	}
	if len(text) > maxBytes {
		return fine, false
	}
	file, err := parse(text, lang)
	if err != nil {
		return fine, false
	}
	outer := *w
	w.line, w.column = w.position(node.Pos())
	quote, single := node.Parts[0].(*syntax.SglQuoted)
	w.exact = outer.exact && single && !quote.Dollar && len(node.Parts) == 1
	if w.exact {
		w.column++
	}
	w.around = outer.place(node.Pos(), node.End())
	w.around.Exact = false
	w.base = w.around.From + 1 // behind the quote
	w.source, w.bash = text, bash
	f := w.list(file.Stmts, reach, s, tested)
	w.source, w.line, w.column, w.exact, w.bash = outer.source, outer.line, outer.column, outer.exact, outer.bash
	w.base, w.around = outer.base, outer.around
	return f, true
}
