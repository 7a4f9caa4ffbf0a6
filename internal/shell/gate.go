package shell

import (
	"slices"
	"strconv"
	"strings"
)

// Operator is what a condition asks of its variable, or of its command.
type Operator string

// The operators. Unset and empty are the same to all but Defined and Undefined.
const (
	Equal      Operator = "="
	NotEqual   Operator = "!="
	Set        Operator = "set"   // and not empty
	Unset      Operator = "unset" // or empty
	Defined    Operator = "defined"
	Undefined  Operator = "undefined"
	Matches    Operator = "matches" // Value is a pattern of case or [[
	NoMatch    Operator = "does not match"
	Succeeds   Operator = "succeeds" // Source is a command of the script
	Fails      Operator = "fails"
	IsBash     Operator = "bash" // dash has no [[, and its test no ==
	IsNotBash  Operator = "not bash"
	Holds      Operator = "holds" // Source is all there is to say
	DoesntHold Operator = "does not hold"
	Never      Operator = "never" // what comes after an exit, or after false &&
)

var opposite = map[Operator]Operator{
	Equal: NotEqual, NotEqual: Equal, Set: Unset, Unset: Set, Defined: Undefined, Undefined: Defined,
	Matches: NoMatch, NoMatch: Matches, Succeeds: Fails, Fails: Succeeds,
	IsBash: IsNotBash, IsNotBash: IsBash, Holds: DoesntHold, DoesntHold: Holds,
}

// Condition is one thing that must hold for a call to run.
type Condition struct {
	// Variable, Operator and Value say what, in the sense that must hold: behind
	// an else they say the opposite of the Source. Variable is empty if the
	// condition is not about one variable from outside.
	Variable string
	Operator Operator
	Value    string
	// Source is the test or command as it is written.
	Source string
}

// Understood says that Variable, Operator and Value say everything.
func (c Condition) Understood() bool { return c.Variable != "" }

func (c Condition) String() string {
	switch c.Operator {
	case "":
		return ""
	case Equal, NotEqual, Matches, NoMatch:
		return c.Variable + " " + string(c.Operator) + " " + plain(c.Value)
	case Set, Defined:
		return c.Variable + " is " + string(c.Operator)
	case Unset, Undefined:
		return c.Variable + " is not " + string(opposite[c.Operator])
	case IsBash, IsNotBash:
		return "the shell is " + string(c.Operator)
	case Never:
		return string(Never)
	}
	return "`" + c.Source + "` " + string(c.Operator)
}

func plain(value string) string {
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == '"' || r >= 0x7f }) {
		return strconv.Quote(value)
	}
	return value
}

// Gate is a condition made of conditions: of its alternatives at least one must
// hold, that is, all conditions of it. The empty gate always holds.
type Gate [][]Condition

// Understood says that every condition is.
func (g Gate) Understood() bool {
	for _, all := range g {
		for _, c := range all {
			if !c.Understood() {
				return false
			}
		}
	}
	return true
}

// String is the gate in words, empty for the empty gate.
func (g Gate) String() string {
	alternatives := make([]string, len(g))
	for i, all := range g {
		parts := make([]string, len(all))
		for j, c := range all {
			parts[j] = c.String()
		}
		alternatives[i] = strings.Join(parts, " and ")
		if len(all) > 1 && len(g) > 1 {
			alternatives[i] = "(" + alternatives[i] + ")"
		}
	}
	return strings.Join(alternatives, " or ")
}

// More than these nobody reads. Beyond, a gate is cut: with fewer conditions to
// an alternative, or to a single condition that is not understood.
const (
	maxAlternatives = 8
	maxConditions   = 16
)

type literal struct {
	atom    *atom
	negated bool
}

// alternatives is a formula as an or of ands. Nil is false, one empty
// alternative is true.
type alternatives [][]literal

type normaliser struct {
	done map[literalOf]alternatives
	// much stands for a formula too long to be told.
	much *atom
}

type literalOf struct {
	e       *expr
	negated bool
}

func newNormaliser() *normaliser {
	return &normaliser{
		done: map[literalOf]alternatives{},
		much: &atom{about: Condition{Operator: Holds, Source: "..."}},
	}
}

func (n *normaliser) normal(e *expr, negated bool) alternatives {
	key := literalOf{e, negated}
	if known, ok := n.done[key]; ok {
		return known
	}
	var result alternatives
	switch e.op {
	case opConst:
		if (e == yes) != negated {
			result = alternatives{{}}
		}
	case opAtom:
		result = alternatives{{{e.atom, negated}}}
	case opNot:
		result = n.normal(e.x, !negated)
	case opFit:
		result = n.normal(e.x, negated)
	default:
		x, y := n.normal(e.x, negated), n.normal(e.y, negated)
		if (e.op == opOr) != negated {
			result = n.or(x, y)
		} else {
			result = n.and(x, y)
		}
	}
	n.done[key] = result
	return result
}

func (n *normaliser) and(x, y alternatives) alternatives {
	if len(x)*len(y) > maxAlternatives*maxAlternatives {
		return alternatives{{{n.much, false}}}
	}
	var product alternatives
	for _, a := range x {
		for _, b := range y {
			if all, possible := n.join(a, b); possible {
				product = append(product, all)
			}
		}
	}
	return n.absorb(product)
}

// join is the and of two alternatives; it is not possible if they contradict
// each other.
func (n *normaliser) join(a, b []literal) ([]literal, bool) {
	all := slices.Clone(a)
next:
	for _, l := range b {
		for i, k := range all {
			switch relate(k, l) {
			case excludes:
				return nil, false
			case implies:
				continue next
			case implied:
				all[i] = l
				continue next
			}
		}
		if len(all) < maxConditions {
			all = append(all, l)
		} else if all[len(all)-1].atom != n.much {
			all = append(all, literal{n.much, false})
		}
	}
	return all, true
}

func (n *normaliser) or(x, y alternatives) alternatives {
	return n.absorb(append(slices.Clone(x), y...))
}

// absorb drops the alternatives that hold only where another one holds, and
// turns A or (not A and B) into A or B.
func (n *normaliser) absorb(all alternatives) alternatives {
	for _, one := range all {
		if len(one) != 1 {
			continue
		}
		for i, other := range all {
			all[i] = slices.DeleteFunc(slices.Clone(other), func(l literal) bool {
				return relate(literal{one[0].atom, !one[0].negated}, l) == implies
			})
		}
	}
	var kept alternatives
	for i, one := range all {
		superfluous := false
		for j, other := range all {
			// Of two that are the same the first stays.
			if i != j && covers(other, one) && (j < i || !covers(one, other)) {
				superfluous = true
				break
			}
		}
		if !superfluous {
			kept = append(kept, one)
		}
	}
	if len(kept) > maxAlternatives {
		return alternatives{{{n.much, false}}}
	}
	return kept
}

// covers says that whenever all of b hold, all of a do.
func covers(a, b []literal) bool {
	for _, l := range a {
		if !slices.ContainsFunc(b, func(k literal) bool { return relate(k, l) == implies }) {
			return false
		}
	}
	return true
}

type relation int

const (
	unrelated relation = iota
	implies            // the second holds if the first does
	implied            // the first holds if the second does
	excludes           // they can't both hold
)

func relate(k, l literal) relation {
	if k.atom == l.atom {
		if k.negated == l.negated {
			return implies
		}
		return excludes
	}
	a, b := k.atom.condition(k.negated), l.atom.condition(l.negated)
	if a.Operator == IsBash || a.Operator == IsNotBash {
		switch b.Operator {
		case a.Operator:
			return implies
		case opposite[a.Operator]:
			return excludes
		}
		return unrelated
	}
	if a.Variable == "" || a.Variable != b.Variable {
		return unrelated
	}
	switch {
	case a.Operator == b.Operator && a.Value == b.Value:
		return implies
	case a.Operator == opposite[b.Operator] && a.Value == b.Value:
		return excludes
	case a.Operator == Equal && b.Operator == Equal:
		return excludes
	case a.Operator == Equal && (b.Operator == NotEqual || b.Operator == Set):
		return implies
	case b.Operator == Equal && (a.Operator == NotEqual || a.Operator == Set):
		return implied
	case a.Operator == Equal && b.Operator == Unset, b.Operator == Equal && a.Operator == Unset:
		return excludes
	}
	return unrelated
}

// weaken leaves out what is usual.
func (n *normaliser) weaken(all alternatives) alternatives {
	weaker := make(alternatives, len(all))
	for i, one := range all {
		weaker[i] = slices.DeleteFunc(slices.Clone(one), func(l literal) bool { return l.atom.usual && !l.negated })
	}
	return n.absorb(weaker)
}

// gate makes conditions of a formula.
func (n *normaliser) gate(all alternatives) Gate {
	if len(all) == 0 {
		return Gate{{{Operator: Never}}}
	}
	if slices.ContainsFunc(all, func(one []literal) bool { return len(one) == 0 }) {
		return nil
	}
	g := make(Gate, len(all))
	for i, one := range all {
		g[i] = make([]Condition, len(one))
		for j, l := range one {
			g[i][j] = l.atom.condition(l.negated)
		}
	}
	return g
}
