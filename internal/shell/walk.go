package shell

import (
	"maps"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// walker goes through the script once, the way the shell would, and notes for
// each call the formula under which it is reached.
type walker struct {
	// The text being read, and where it begins in the whole command.
	source       string
	line, column int
	exact        bool // its characters are those of the command, one for one
	bash         bool // it is bash that reads it

	// base is where source begins in the command, if it is exact, and around the
	// word that it stands in, if not.
	base   int
	around Place
	// pipe and stage are those of the pipeline around this command, and pipes counts
	// them.
	pipe, stage, pipes int

	calls    []Call
	found    facts
	err      error
	steps    int
	depth    int
	loops    int  // around this command, within the function
	minor    bool // in what only computes a word
	wrappers []string
	within   []*syntax.Stmt // bodies of functions that are being called
	// Commands met so far that leave the script, and that leave a function or
	// more than one loop.
	exits, returns int
	// need is what the words of the command at hand require, else the shell ends.
	need *expr
}

// tri is a setting that may depend on what is not known.
type tri int

const (
	off tri = iota
	on
	perhaps
)

// state is what the shell remembers from one command to the next.
type state struct {
	vars      map[string]value        // that the script set
	functions map[string]*syntax.Stmt // nil: one of several
	havoc     bool                    // any variable may have been set
	errexit   tri
	nounset   tri
	pipefail  bool // perhaps
}

func newState() *state {
	return &state{vars: map[string]value{}, functions: map[string]*syntax.Stmt{}}
}

func (s *state) clone() *state {
	c := *s
	c.vars, c.functions = maps.Clone(s.vars), maps.Clone(s.functions)
	return &c
}

// join makes s what it is after either of a and b.
func (s *state) join(a, b *state) {
	merged := *a
	merged.vars, merged.functions = maps.Clone(a.vars), maps.Clone(a.functions)
	for name := range b.vars {
		if _, ok := a.vars[name]; !ok {
			merged.vars[name] = opaque
		}
	}
	for name, v := range a.vars {
		if other, ok := b.vars[name]; !ok || !same(v, other) {
			merged.vars[name] = opaque
		}
	}
	for name := range b.functions {
		if _, ok := a.functions[name]; !ok {
			merged.functions[name] = nil
		}
	}
	for name, f := range a.functions {
		if b.functions[name] != f {
			merged.functions[name] = nil
		}
	}
	merged.havoc = a.havoc || b.havoc
	merged.pipefail = a.pipefail || b.pipefail
	if a.errexit != b.errexit {
		merged.errexit = perhaps
	}
	if a.nounset != b.nounset {
		merged.nounset = perhaps
	}
	*s = merged
}

// after makes s what it is after a choice: a where it went on under x, b under y.
func (s *state) after(a *state, x *expr, b *state, y *expr) {
	switch {
	case x == no:
		*s = *b
	case y == no:
		*s = *a
	default:
		s.join(a, b)
	}
}

func same(a, b value) bool {
	x, xKnown := a.literal()
	y, yKnown := b.literal()
	if xKnown && yKnown {
		return x == y && a.defined() == b.defined()
	}
	return len(a) > 0 && len(b) > 0 && &a[0] == &b[0]
}

// shatter forgets everything that a piece of unknown shell could have changed.
func (s *state) shatter() {
	clear(s.vars)
	s.havoc, s.pipefail, s.errexit, s.nounset = true, true, perhaps, perhaps
	for name := range s.functions {
		s.functions[name] = nil
	}
}

// flow is how a command ends: cont says that the script goes on behind it, and
// status that it succeeded, if it does.
type flow struct{ status, cont *expr }

var fine = flow{yes, yes}

func (w *walker) fail(problem string) {
	if w.err == nil {
		w.err = &Error{Problem: problem + "; put it into a file and call that"}
	}
}

func (w *walker) deeper() bool {
	w.depth++
	w.steps++
	switch {
	case w.err != nil:
	case w.depth > maxDepth:
		w.fail("the command is nested too deeply to be looked at")
	case w.steps > maxSteps || len(w.calls) > maxCalls:
		w.fail("the command has too many parts to be looked at")
	}
	if w.err != nil {
		w.depth--
	}
	return w.err != nil
}

func (w *walker) higher() { w.depth-- }

func (w *walker) text(n syntax.Node) string {
	from, to := int(n.Pos().Offset()), int(n.End().Offset())
	if from > to || to > len(w.source) {
		return ""
	}
	return strings.TrimRight(w.source[from:to], " \t\n;")
}

// list walks commands one after the other. tested is true where set -e does not
// count: in the condition of an if, on the left of && and ||.
func (w *walker) list(stmts []*syntax.Stmt, reach *expr, s *state, tested bool) flow {
	result := fine
	for _, st := range stmts {
		f := w.statement(st, and(reach, result.cont), s, tested)
		result = flow{f.status, and(result.cont, f.cont)}
	}
	return result
}

func (w *walker) statement(st *syntax.Stmt, reach *expr, s *state, tested bool) flow {
	if w.deeper() {
		return fine
	}
	defer w.higher()
	outer := s
	if st.Background || st.Coprocess {
		s = s.clone()
	}
	need := w.need
	w.need = yes
	for _, r := range st.Redirs {
		for _, x := range []*syntax.Word{r.Word, r.Hdoc} {
			if x != nil {
				w.substitutions(x, reach, s)
				became := w.word(x, s)
				if x == r.Word {
					w.noteRedirect(r, became)
				}
			}
		}
	}
	needed := w.need
	w.need = need
	f := w.command(st, and(reach, needed), s, tested || st.Negated)
	f.cont = and(needed, f.cont)
	if needed != yes {
		w.exits++
	}
	if !harmless(st.Redirs) && (f.status.op != opAtom || f.status.atom.about.Operator != Succeeds) {
		f.status = and(f.status, success(w.text(st)))
	}
	if st.Negated {
		f.status = not(f.status)
	} else if !tested {
		switch st.Cmd.(type) {
		case *syntax.CallExpr, *syntax.Subshell, *syntax.TestClause, *syntax.ArithmCmd, *syntax.LetClause, *syntax.DeclClause:
			f = w.errexit(f, s)
		case *syntax.BinaryCmd:
			if op := st.Cmd.(*syntax.BinaryCmd).Op; op == syntax.Pipe || op == syntax.PipeAll {
				f = w.errexit(f, s)
			}
		}
	}
	if outer != s {
		return fine
	}
	return f
}

// harmless are redirections that do not fail: 2>&1, >/dev/null, here-documents.
func harmless(redirects []*syntax.Redirect) bool {
	for _, r := range redirects {
		to := ""
		if r.Word != nil {
			to = r.Word.Lit()
		}
		if r.Hdoc == nil && to != "/dev/null" && (r.Op != syntax.DplOut || to != "1" && to != "2") {
			return false
		}
	}
	return true
}

// errexit ends the script under set -e if the command failed.
func (w *walker) errexit(f flow, s *state) flow {
	if s.errexit == off || f.status == yes {
		return f
	}
	w.exits++
	goes := f.status
	if s.errexit == perhaps {
		goes = or(goes, unknown("set -e"))
	}
	return flow{f.status, and(f.cont, goes)}
}

func (w *walker) command(st *syntax.Stmt, reach *expr, s *state, tested bool) flow {
	switch c := st.Cmd.(type) {
	case nil:
		return fine
	case *syntax.CallExpr:
		return w.call(st, c, reach, s, tested)
	case *syntax.Block:
		return w.list(c.Stmts, reach, s, tested)
	case *syntax.Subshell:
		return w.subshell(c.Stmts, reach, s.clone(), tested, w.text(c))
	case *syntax.BinaryCmd:
		return w.binary(c, reach, s, tested)
	case *syntax.IfClause:
		return w.branch(c, reach, s, tested)
	case *syntax.CaseClause:
		return w.choice(c, reach, s, tested)
	case *syntax.WhileClause:
		return w.loop(c.Cond, c.Do, c.Until, reach, s, tested)
	case *syntax.ForClause:
		return w.each(c, reach, s, tested)
	case *syntax.FuncDecl:
		if c.Name != nil {
			s.functions[c.Name.Value] = c.Body
		}
		return fine
	case *syntax.TestClause:
		w.substitutions(c, reach, s)
		w.noteDouble(c.X, s)
		if !w.bash {
			w.bashism("[[", w.place(c.Pos(), c.End()))
		}
		return flow{and(w.double(c.X, s), w.needsBash("[[")), yes}
	case *syntax.DeclClause:
		for _, a := range c.Args {
			w.substitutions(a, reach, s)
			w.assign(a, s)
		}
		return fine
	case *syntax.TimeClause:
		if c.Stmt == nil {
			return fine
		}
		return w.statement(c.Stmt, reach, s, tested)
	case *syntax.CoprocClause:
		w.statement(c.Stmt, reach, s.clone(), tested)
		return fine
	}
	// Arithmetic.
	w.substitutions(st.Cmd, reach, s)
	return flow{unknown(w.text(st.Cmd)), yes}
}

// subshell walks what can't end the script, nor change its state.
func (w *walker) subshell(stmts []*syntax.Stmt, reach *expr, s *state, tested bool, source string) flow {
	exits, returns, loops := w.exits, w.returns, w.loops
	f := w.list(stmts, reach, s, tested)
	w.exits, w.returns, w.loops = exits, returns, loops
	if f.cont != yes {
		return flow{success(source), yes}
	}
	return flow{f.status, yes}
}

func (w *walker) binary(c *syntax.BinaryCmd, reach *expr, s *state, tested bool) flow {
	// A chain leans to one side, as long as it is: that is not nesting.
	if c.Op == syntax.Pipe || c.Op == syntax.PipeAll {
		return w.pipeline(c, reach, s, tested)
	}
	chain := []*syntax.BinaryCmd{c}
	for {
		left, ok := c.X.Cmd.(*syntax.BinaryCmd)
		if !ok || len(c.X.Redirs) > 0 || c.X.Negated || c.X.Background || left.Op != syntax.AndStmt && left.Op != syntax.OrStmt {
			break
		}
		c = left
		chain = append(chain, c)
	}
	f := w.statement(c.X, reach, s, true)
	for i := len(chain) - 1; i >= 0; i-- {
		c := chain[i]
		runs := f.status
		if c.Op == syntax.OrStmt {
			runs = not(runs)
		}
		before := s.clone()
		g := w.statement(c.Y, and(reach, and(f.cont, runs)), s, tested || i > 0)
		s.after(s.clone(), and(runs, g.cont), before, not(runs))
		status := and(f.status, g.status)
		if c.Op == syntax.OrStmt {
			status = or(f.status, g.status)
		}
		f = flow{status, and(f.cont, or(not(runs), g.cont))}
	}
	return f
}

func (w *walker) pipeline(c *syntax.BinaryCmd, reach *expr, s *state, tested bool) flow {
	var parts []*syntax.Stmt
	todo := []*syntax.Stmt{c.Y, c.X}
	for len(todo) > 0 {
		st := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if b, ok := st.Cmd.(*syntax.BinaryCmd); ok && len(st.Redirs) == 0 && !st.Negated && (b.Op == syntax.Pipe || b.Op == syntax.PipeAll) {
			todo = append(todo, b.Y, b.X)
			continue
		}
		parts = append(parts, st)
	}
	last := fine
	pipe, stage := w.pipe, w.stage
	w.pipes++
	number := w.pipes
	for i, st := range parts {
		w.pipe, w.stage = number, i
		last = w.subshell([]*syntax.Stmt{st}, reach, s.clone(), tested, w.text(st))
	}
	w.pipe, w.stage = pipe, stage
	if s.pipefail {
		last.status = and(last.status, success(w.text(c)))
	}
	return flow{last.status, yes}
}

// arm is one way through an if or a case: under cond, if the test itself went on.
type arm struct {
	test  flow
	body  flow
	state *state
}

// after is how arms end of which the first that fits is taken, and otherwise the rest.
func (w *walker) after(arms []arm, otherwise flow, s *state) flow {
	f := otherwise
	for i := len(arms) - 1; i >= 0; i-- {
		a := arms[i]
		s.after(a.state, and(a.test.status, a.body.cont), s.clone(), and(not(a.test.status), f.cont))
		f = flow{
			choose(a.test.status, a.body.status, f.status),
			and(a.test.cont, choose(a.test.status, a.body.cont, f.cont)),
		}
	}
	return f
}

func (w *walker) branch(c *syntax.IfClause, reach *expr, s *state, tested bool) flow {
	// An elif is deeper in the tree, but not in the text: walk along.
	var arms []arm
	otherwise := fine
	for ; c != nil; c = c.Else {
		if !c.ThenPos.IsValid() { // else
			otherwise = w.list(c.Then, reach, s, tested)
			break
		}
		test := w.list(c.Cond, reach, s, true)
		reach = and(reach, test.cont)
		branch := s.clone()
		body := w.list(c.Then, and(reach, test.status), branch, tested)
		arms = append(arms, arm{test, body, branch})
		reach = and(reach, not(test.status))
	}
	return w.after(arms, otherwise, s)
}

func (w *walker) choice(c *syntax.CaseClause, reach *expr, s *state, tested bool) flow {
	w.substitutions(c.Word, reach, s)
	need := w.need
	w.need = yes
	subject := w.word(c.Word, s)
	needed := w.need
	w.need = need
	if needed != yes {
		w.exits++
		reach = and(reach, needed)
	}
	var arms []arm
	rest := yes
	falls := false
	for _, item := range c.Items {
		cond := no
		for _, p := range item.Patterns {
			w.substitutions(p, and(reach, rest), s)
			pattern := w.word(p, s)
			source := "case " + subject.source + " in " + pattern.source + ")"
			if falls || pattern.loose {
				cond = or(cond, unknown(source))
				continue
			}
			cond = or(cond, w.matches(subject.value, pattern, source))
		}
		branch := s.clone()
		f := w.list(item.Stmts, and(reach, and(rest, cond)), branch, tested)
		arms = append(arms, arm{flow{cond, yes}, f, branch})
		rest = and(rest, not(cond))
		if item.Op != syntax.Break && item.OpPos.IsValid() {
			falls, rest = true, unknown(w.text(item)) // ;& and ;;& of bash
		}
	}
	f := w.after(arms, fine, s)
	return flow{f.status, and(needed, f.cont)}
}

// substitutions walks the commands in the words of a node.
func (w *walker) substitutions(node syntax.Node, reach *expr, s *state) {
	var walk func(n syntax.Node, reach *expr)
	walk = func(root syntax.Node, reach *expr) {
		syntax.Walk(root, func(n syntax.Node) bool {
			var stmts []*syntax.Stmt
			switch n := n.(type) {
			case *syntax.CmdSubst:
				stmts = n.Stmts
			case *syntax.ProcSubst:
				stmts = n.Stmts
			case *syntax.ParamExp:
				if n.Exp != nil && n.Exp.Word != nil && root != syntax.Node(n) {
					if !w.deeper() {
						walk(n, and(reach, unknown(w.text(n))))
						w.higher()
					}
					return false
				}
				return true
			case *syntax.BinaryArithm, *syntax.UnaryArithm:
				arithmetic(n, s)
				return true
			default:
				return true
			}
			minor := w.minor
			_, w.minor = n.(*syntax.CmdSubst)
			w.minor = w.minor || minor
			w.subshell(stmts, reach, s.clone(), false, "")
			w.minor = minor
			return false
		})
	}
	walk(node, reach)
}
