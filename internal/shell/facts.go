package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Place is where something stands in the command: the bytes from From up to To.
type Place struct {
	From, To int
	// Exact is false for what stands in a text within the command that is not
	// written one for one: in an eval, or in an sh -c in double quotes. From and To
	// are then those of that text.
	Exact bool
}

// Test is one comparison of a variable from outside with a text, by [ or test or [[.
type Test struct {
	// Variable is the one that is compared, Value what with. Operator is Equal or
	// NotEqual, as it is written.
	Variable string
	Operator Operator
	Value    string
	// Name and Text are the two words.
	Name, Text Place
}

// Redirect is one place that the script writes a file.
type Redirect struct {
	// Path is the file as far as the text tells. It begins behind Variable, if that
	// is not empty: for "$HOME/x", Path is "/x".
	Variable, Path string
	Place
}

// Assignment is a value that the script gives a variable, for itself or for one
// command.
type Assignment struct {
	Name string
	// Literal is true if the value stands in the text, and is not empty. The value
	// itself may be a secret, so it is not here.
	Literal bool
	Place
}

// Bashism is something that bash understands and dash, which runs crons, does not.
type Bashism struct {
	// What names it, as a thing: "[[".
	What string
	Place
}

// Tests are the comparisons of variables from outside, in their order.
func (s *Script) Tests() []Test { return s.tests }

// Redirects are the files that the script writes by > and its relatives.
func (s *Script) Redirects() []Redirect { return s.redirects }

// Assignments are the variables that it sets.
func (s *Script) Assignments() []Assignment { return s.assignments }

// Bashisms are the commands and tests in it that dash does not have.
func (s *Script) Bashisms() []Bashism { return s.bashisms }

// Mentions are the words of the tests that are no comparisons, such as the file of
// [ -x FILE ].
func (s *Script) Mentions() []string { return s.mentions }

// Ending is the place of the test that decides how the script ends, if that fails
// only because its condition does not hold: the last command is [ … ] && something.
func (s *Script) Ending() (Place, bool) { return s.ending, s.ending != Place{} }

func (w *walker) place(from, to syntax.Pos) Place {
	if !w.exact {
		return w.around
	}
	return Place{w.base + int(from.Offset()), w.base + int(to.Offset()), true}
}

// noteTest notes a comparison of [ or test, if it is one.
func (w *walker) noteTest(args []word, nodes []*syntax.Word) {
	for len(args) > 0 && args[0].source == "!" {
		args, nodes = args[1:], nodes[1:]
	}
	// Joined by -a and -o there may be several.
	begin := 0
	for i := 0; i <= len(args); i++ {
		if i < len(args) && (i == begin || args[i].source != "-a" && args[i].source != "-o") {
			continue
		}
		one, at := args[begin:i], nodes[begin:i]
		begin = i + 1
		for len(one) > 0 && one[0].source == "!" {
			one, at = one[1:], at[1:]
		}
		if len(one) != 3 {
			for _, x := range one {
				if text, ok := x.text(); ok {
					w.found.mentions = append(w.found.mentions, text)
				}
			}
			continue
		}
		w.noteComparison(one[0], one[1].source, one[2], at[0], at[1], at[2])
	}
}

// noteComparison notes x op y, if it compares a variable from outside with a text.
func (w *walker) noteComparison(x word, op string, y word, xNode, opNode, yNode syntax.Node) {
	t := Test{Name: w.place(xNode.Pos(), xNode.End()), Text: w.place(yNode.Pos(), yNode.End())}
	switch op {
	case "=", "==":
		t.Operator = Equal
	case "!=":
		t.Operator = NotEqual
	default:
		return
	}
	if op == "==" && opNode != nil && !w.bash {
		w.bashism("== in a test", w.place(opNode.Pos(), opNode.End()))
	}
	if len(x.value) != 1 || x.value[0].name == "" {
		x, y = y, x
		t.Name, t.Text = t.Text, t.Name
	}
	value, ok := y.value.literal()
	if len(x.value) != 1 || x.value[0].name == "" || !ok {
		return
	}
	t.Variable, t.Value = x.value[0].name, value
	w.found.tests = append(w.found.tests, t)
}

// noteDouble notes the comparisons of [[.
func (w *walker) noteDouble(x syntax.TestExpr, s *state) {
	switch x := x.(type) {
	case *syntax.ParenTest:
		w.noteDouble(x.X, s)
	case *syntax.UnaryTest:
		w.noteDouble(x.X, s)
	case *syntax.BinaryTest:
		left, ok := x.X.(*syntax.Word)
		right, both := x.Y.(*syntax.Word)
		if !ok || !both {
			w.noteDouble(x.X, s)
			w.noteDouble(x.Y, s)
			return
		}
		need := w.need
		a, b := w.word(left, s), w.word(right, s)
		w.need = need
		if !b.pattern {
			w.noteComparison(a, x.Op.String(), b, left, nil, right)
		}
	}
}

func (w *walker) noteRedirect(r *syntax.Redirect, x word) {
	switch r.Op {
	case syntax.RdrOut, syntax.AppOut, syntax.RdrInOut, syntax.RdrClob, syntax.RdrAll, syntax.AppAll:
	default:
		return
	}
	w.notePath(x, w.place(r.Word.Pos(), r.Word.End()))
}

func (w *walker) notePath(x word, at Place) {
	found := Redirect{Place: at}
	v := x.value
	if len(v) > 0 && v[0].name != "" && v[0].op == 0 {
		found.Variable, v = v[0].name, v[1:]
	}
	path, ok := v.literal()
	if found.Path = path; ok && !x.pattern && (path != "" || found.Variable != "") {
		w.found.redirects = append(w.found.redirects, found)
	}
}

func (w *walker) noteAssignment(name string, x value, at Place) {
	text, ok := x.literal()
	w.found.assignments = append(w.found.assignments, Assignment{Name: name, Literal: ok && text != "", Place: at})
}

func (w *walker) bashism(what string, at Place) {
	w.found.bashisms = append(w.found.bashisms, Bashism{what, at})
}

// bashCommands are those that bash has itself and dash does not.
var bashCommands = []string{"source", "shopt", "mapfile", "readarray", "pushd", "popd", "dirs", "let", "declare", "typeset", "coproc", "select", "builtin", "caller", "compgen", "complete", "enable", "help", "history", "logout", "suspend", "disown"}

// noteCommand notes a command that is one of bash alone.
func (w *walker) noteCommand(name string, in invocation) {
	if w.bash || in.external {
		return
	}
	at := w.place(in.args[0].Pos(), in.args[0].End())
	switch {
	case slices.Contains(bashCommands, name), name == "[[":
		w.bashism(name, at)
	case name == "set":
		for i, x := range in.words[1:] {
			if text, _ := x.text(); text == "pipefail" && i > 0 && strings.HasSuffix(in.words[i].source, "o") {
				w.bashism("set -o pipefail", at)
			}
		}
	}
}

// Bashisms are what the grammar of a command has that only bash understands, in
// the order of the text; none if it is no bash either. It takes the commands that
// Parse refuses, too. What dash only fails to find when it runs, such as [[, is in
// Script.Bashisms.
func Bashisms(text string) []Bashism {
	if len(text) > maxBytes || strings.Count(text, "(")+strings.Count(text, "{") > maxOpening {
		return nil
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return nil
	}
	var found []Bashism
	syntax.Walk(file, func(n syntax.Node) bool {
		what := ""
		switch n := n.(type) {
		case *syntax.ArithmCmd:
			what = "(( ))"
		case *syntax.ArrayExpr:
			what = "an array"
		case *syntax.Assign:
			switch {
			case n.Index != nil:
				what = "an array"
			case n.Append && n.Array == nil:
				what = "+="
			}
		case *syntax.ProcSubst:
			what = "a process substitution"
		case *syntax.SglQuoted:
			if n.Dollar {
				what = "$'...'"
			}
		case *syntax.DblQuoted:
			if n.Dollar {
				what = `$"..."`
			}
		case *syntax.CStyleLoop:
			what = "for (( ))"
		case *syntax.CoprocClause:
			what = "coproc"
		case *syntax.ExtGlob:
			what = "an extended pattern"
		case *syntax.ForClause:
			if n.Select {
				what = "select"
			}
		case *syntax.FuncDecl:
			if n.RsrvWord {
				what = "function"
			}
		case *syntax.CaseItem:
			if n.OpPos.IsValid() && n.Op != syntax.Break {
				found = append(found, Bashism{n.Op.String() + " in a case", Place{int(n.OpPos.Offset()), int(n.OpPos.Offset()) + 2, true}})
			}
		case *syntax.BinaryCmd:
			if n.Op == syntax.PipeAll {
				found = append(found, Bashism{"|&", Place{int(n.OpPos.Offset()), int(n.OpPos.Offset()) + 2, true}})
			}
		case *syntax.Redirect:
			switch n.Op {
			case syntax.RdrAll, syntax.AppAll:
				what = n.Op.String()
			case syntax.WordHdoc:
				what = "<<<"
			}
		case *syntax.ParamExp:
			switch {
			case n.Excl:
				what = "${!...}"
			case n.Index != nil:
				what = "an array"
			case n.Slice != nil:
				what = "${...:...:...}"
			case n.Repl != nil:
				what = "${.../.../...}"
			case n.Exp != nil && slices.Contains([]syntax.ParExpOperator{syntax.UpperFirst, syntax.UpperAll, syntax.LowerFirst, syntax.LowerAll, syntax.OtherParamOps}, n.Exp.Op):
				what = "${..." + n.Exp.Op.String() + "}"
			}
		}
		if what != "" {
			found = append(found, Bashism{what, Place{int(n.Pos().Offset()), int(n.End().Offset()), true}})
		}
		return true
	})
	return found
}

// ending finds the test on which the last command hangs.
func (w *walker) endingOf(stmts []*syntax.Stmt) (Place, bool) {
	if len(stmts) == 0 {
		return Place{}, false
	}
	last := stmts[len(stmts)-1]
	chain, ok := last.Cmd.(*syntax.BinaryCmd)
	if !ok || last.Negated || last.Background || chain.Op != syntax.AndStmt {
		return Place{}, false
	}
	first := chain.X
	for {
		left, ok := first.Cmd.(*syntax.BinaryCmd)
		if !ok {
			break
		}
		if left.Op != syntax.AndStmt {
			return Place{}, false
		}
		first = left.X
	}
	switch c := first.Cmd.(type) {
	case *syntax.TestClause:
	case *syntax.CallExpr:
		if len(c.Args) == 0 || c.Args[0].Lit() != "[" && c.Args[0].Lit() != "test" {
			return Place{}, false
		}
	default:
		return Place{}, false
	}
	return Place{int(first.Pos().Offset()), int(first.End().Offset()), true}, true
}
