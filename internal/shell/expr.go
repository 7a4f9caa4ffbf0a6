package shell

import "strings"

// expr is a formula of what is known and what is not. The same command's status
// is the same atom everywhere.
type expr struct {
	op   op
	x, y *expr
	atom *atom
	// words of a test that stand unquoted, for opFit: the test is x only if each
	// becomes exactly one word. If one is empty, it is empty, if not nil.
	words []value
	empty *expr
}

type op int

const (
	opConst op = iota
	opAtom
	opNot
	opAnd
	opOr
	opFit
)

var (
	yes = &expr{op: opConst}
	no  = &expr{op: opConst}
)

// atom is one condition.
type atom struct {
	about Condition
	// holds is nil if the text does not tell.
	holds func(lookup) Answer
	// usual is true for what nobody means as a gate: cd web &&.
	usual bool
}

type lookup = func(string) (string, bool)

func (a *atom) condition(negated bool) Condition {
	c := a.about
	if negated {
		c.Operator = opposite[c.Operator]
	}
	return c
}

func leaf(about Condition, holds func(lookup) Answer) *expr {
	return &expr{op: opAtom, atom: &atom{about: about, holds: holds}}
}

// unknown is a test of which nothing can be told.
func unknown(source string) *expr { return leaf(Condition{Operator: Holds, Source: source}, nil) }

// success is the status of a command.
func success(source string) *expr { return leaf(Condition{Operator: Succeeds, Source: source}, nil) }

func constant(b bool) *expr {
	if b {
		return yes
	}
	return no
}

func not(x *expr) *expr {
	switch {
	case x == yes:
		return no
	case x == no:
		return yes
	case x.op == opNot:
		return x.x
	}
	return &expr{op: opNot, x: x}
}

func and(x, y *expr) *expr {
	switch {
	case x == no || y == no:
		return no
	case x == yes || x == y:
		return y
	case y == yes:
		return x
	}
	return &expr{op: opAnd, x: x, y: y}
}

func or(x, y *expr) *expr {
	switch {
	case x == yes || y == yes:
		return yes
	case x == no || x == y:
		return y
	case y == no:
		return x
	}
	return &expr{op: opOr, x: x, y: y}
}

// choose is x where c holds and y where not.
func choose(c, x, y *expr) *expr {
	if x == y {
		return x
	}
	return or(and(c, x), and(not(c), y))
}

type evaluation struct {
	lookup lookup
	known  map[*expr]Answer
}

func (e *evaluation) eval(x *expr) Answer {
	if answer, ok := e.known[x]; ok {
		return answer
	}
	answer := e.compute(x)
	e.known[x] = answer
	return answer
}

func (e *evaluation) compute(x *expr) Answer {
	switch x.op {
	case opConst:
		return answer(x == yes)
	case opAtom:
		if x.atom.holds == nil {
			return Unknown
		}
		return x.atom.holds(e.lookup)
	case opNot:
		return negate(e.eval(x.x))
	case opFit:
		for _, w := range x.words {
			text, known := w.text(e.lookup)
			switch {
			case !known || strings.ContainsAny(text, " \t\n*?[\\"):
				return Unknown
			case text == "" && x.empty != nil:
				return e.eval(x.empty)
			case text == "":
				return Unknown
			}
		}
		return e.eval(x.x)
	}
	a, b := e.eval(x.x), e.eval(x.y)
	if x.op == opOr {
		return negate(both(negate(a), negate(b)))
	}
	return both(a, b)
}

// decisive finds the atom that made x, or its negation, what it is.
func (e *evaluation) decisive(x *expr, negated bool, want Answer) (*atom, bool) {
	switch x.op {
	case opConst:
		return nil, false
	case opAtom:
		return x.atom, negated
	case opNot:
		return e.decisive(x.x, !negated, want)
	case opFit:
		return e.decisive(x.x, negated, want)
	}
	for _, part := range []*expr{x.x, x.y} {
		answer := e.eval(part)
		if negated {
			answer = negate(answer)
		}
		if answer == want {
			if a, n := e.decisive(part, negated, want); a != nil {
				return a, n
			}
		}
	}
	return e.decisive(x.x, negated, want)
}

func answer(b bool) Answer {
	if b {
		return Yes
	}
	return No
}

func negate(a Answer) Answer {
	switch a {
	case Yes:
		return No
	case No:
		return Yes
	}
	return Unknown
}

func both(a, b Answer) Answer {
	switch {
	case a == No || b == No:
		return No
	case a == Yes && b == Yes:
		return Yes
	}
	return Unknown
}
