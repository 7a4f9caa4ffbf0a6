package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// loop walks while and until. What any round may set is not known in any.
func (w *walker) loop(cond, body []*syntax.Stmt, until bool, reach *expr, s *state, tested bool) flow {
	w.forget(s, cond, body)
	source := "while "
	if until {
		source = "until "
	}
	if len(cond) > 0 {
		source += w.text(cond[0])
	}
	exits, returns := w.exits, w.returns
	w.loops++
	test := w.list(cond, reach, s, true)
	enters := test.status
	if until {
		enters = not(enters)
	}
	enters = and(test.cont, enters)
	once := s.clone()
	f := w.list(body, and(reach, enters), once, tested)
	s.join(s.clone(), once)
	w.loops--
	cont := yes
	if w.exits > exits || w.returns > returns || enters == yes && f.cont == yes {
		// It may leave the script, or never end.
		cont = or(and(test.cont, not(enters)), success(source))
	}
	if cont == yes && enters == no {
		return fine
	}
	return flow{success(source), cont}
}

func (w *walker) each(c *syntax.ForClause, reach *expr, s *state, tested bool) flow {
	w.substitutions(c.Loop, reach, s)
	source := "for " + w.text(c.Loop)
	enters := unknown(source)
	w.forget(s, c.Do)
	if words, ok := c.Loop.(*syntax.WordIter); ok {
		for _, item := range words.Items {
			if x := w.word(item, s); !x.loose {
				enters = yes // a pattern without match stands for itself
			}
		}
		s.vars[words.Name.Value] = opaque
	}
	exits, returns := w.exits, w.returns
	w.loops++
	once := s.clone()
	f := w.list(c.Do, and(reach, enters), once, tested)
	s.join(s.clone(), once)
	w.loops--
	cont := yes
	if w.exits > exits || w.returns > returns {
		cont = or(not(enters), success(source))
	}
	if f.status == yes && f.cont == yes {
		return flow{yes, cont}
	}
	return flow{success("the loop of " + w.text(c.Loop)), cont}
}

// forget makes unknown what the commands may set, and they may set anything if
// they call what may be a function, or eval.
func (w *walker) forget(s *state, lists ...[]*syntax.Stmt) {
	for _, stmts := range lists {
		for _, st := range stmts {
			syntax.Walk(st, func(n syntax.Node) bool {
				switch n := n.(type) {
				case *syntax.Assign:
					if n.Name != nil {
						s.vars[n.Name.Value] = opaque
					}
				case *syntax.WordIter:
					s.vars[n.Name.Value] = opaque
				case *syntax.FuncDecl:
					if n.Name != nil {
						s.functions[n.Name.Value] = nil
					}
				case *syntax.CallExpr:
					if len(n.Args) == 0 {
						break
					}
					name := w.plain(n.Args[0])
					if _, function := s.functions[name]; function || slices.Contains([]string{"eval", ".", "source", "command", "builtin"}, name) {
						s.shatter()
					}
					if slices.Contains([]string{"export", "readonly", "local", "unset", "read", "getopts", "set", "printf", "declare", "typeset", "mapfile"}, name) {
						for _, x := range n.Args[1:] {
							variable, _, _ := strings.Cut(x.Lit(), "=")
							if len(x.Parts) > 0 {
								if lit, ok := x.Parts[0].(*syntax.Lit); ok {
									variable, _, _ = strings.Cut(lit.Value, "=")
								}
							}
							if syntax.ValidName(variable) {
								s.vars[variable] = opaque
							}
						}
						if name == "set" {
							s.errexit, s.nounset, s.pipefail = perhaps, perhaps, true
						}
					}
				case *syntax.ParamExp:
					if n.Param != nil && n.Exp != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull) {
						s.vars[n.Param.Value] = opaque
					}
				case *syntax.BinaryArithm, *syntax.UnaryArithm:
					arithmetic(n, s)
				}
				return true
			})
		}
	}
}

// plain is the text of a word that needs no variables.
func (w *walker) plain(node *syntax.Word) string {
	need := w.need
	text, _ := w.word(node, newState()).text()
	w.need = need
	return text
}

// arithmetic makes unknown what an assignment in $(( )) sets.
func arithmetic(n syntax.Node, s *state) {
	var target syntax.ArithmExpr
	switch n := n.(type) {
	case *syntax.BinaryArithm:
		if n.Op == syntax.Assgn || strings.HasSuffix(n.Op.String(), "=") && n.Op != syntax.Eql && n.Op != syntax.Neq && n.Op != syntax.Leq && n.Op != syntax.Geq {
			target = n.X
		}
	case *syntax.UnaryArithm:
		if n.Op == syntax.Inc || n.Op == syntax.Dec {
			target = n.X
		}
	}
	if x, ok := target.(*syntax.Word); ok {
		s.vars[x.Lit()] = opaque
	}
}
