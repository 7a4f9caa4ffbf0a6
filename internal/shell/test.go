package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// equal says that two values are the same.
func equal(a, b value, source string) *expr {
	x, aKnown := a.literal()
	y, bKnown := b.literal()
	if aKnown && bKnown {
		return constant(x == y)
	}
	a, b, possible := strip(a, b)
	if !possible {
		return no
	}
	if text, ok := a.literal(); ok && len(b) == 1 {
		return is(b[0], text, source)
	}
	if text, ok := b.literal(); ok && len(a) == 1 {
		return is(a[0], text, source)
	}
	return leaf(Condition{Operator: Holds, Source: source}, func(outside lookup) Answer {
		x, aKnown := a.text(outside)
		y, bKnown := b.text(outside)
		if !aKnown || !bKnown {
			return Unknown
		}
		return answer(x == y)
	})
}

// strip takes away the text that both begin with, for tests like x$X = xmain.
func strip(a, b value) (value, value, bool) {
	a, b = compact(a), compact(b)
	if len(a) == 0 || len(b) == 0 || !a[0].known || !b[0].known {
		return a, b, true
	}
	x, y := a[0].text, b[0].text
	n := min(len(x), len(y))
	if x[:n] != y[:n] {
		return nil, nil, false
	}
	a[0].text, b[0].text = x[n:], y[n:]
	return compact(a), compact(b), true
}

// compact joins adjacent text, and leaves out what is empty.
func compact(v value) value {
	var out value
	for _, p := range v {
		switch {
		case p.known && p.text == "":
		case p.known && len(out) > 0 && out[len(out)-1].known:
			out[len(out)-1].text += p.text
		default:
			out = append(out, p)
		}
	}
	return out
}

// is says that one part, which is no text, is this text.
func is(p part, text, source string) *expr {
	if p.name == "" {
		return unknown(source)
	}
	alt, known := p.alt.literal()
	switch {
	case p.op == 0, p.op == syntax.DefaultUnsetOrNull && known && text != "" && alt != text,
		p.op == syntax.DefaultUnset && known && text != "" && alt != text,
		p.op == syntax.DefaultUnsetOrNull && known && text == "" && alt == "",
		p.op == syntax.DefaultUnset && known && text == "" && alt == "":
		return variable(p.name, text, source)
	case p.op == syntax.DefaultUnsetOrNull && known && text != "" && alt == text:
		return or(variable(p.name, text, source), variable(p.name, "", source))
	case p.op == syntax.DefaultUnsetOrNull && known && text == "":
		return no
	}
	return leaf(Condition{Operator: Holds, Source: source}, func(outside lookup) Answer {
		got, known := p.expand(outside)
		if !known {
			return Unknown
		}
		return answer(got == text)
	})
}

func variable(name, text, source string) *expr {
	about := Condition{Variable: name, Operator: Equal, Value: text, Source: source}
	if text == "" {
		about.Operator = Unset
	}
	return leaf(about, func(outside lookup) Answer {
		got, _ := outside(name)
		return answer(got == text)
	})
}

// nonempty is what test -n says.
func nonempty(v value, source string) *expr {
	for _, p := range v {
		if p.known && p.text != "" {
			return yes
		}
	}
	return not(equal(v, nil, source))
}

// matches says that a value fits a pattern of case or of [[.
func (w *walker) matches(v value, pattern word, source string) *expr {
	if !pattern.pattern {
		return equal(v, pattern.value, source)
	}
	text, known := pattern.value.literal()
	// An escaped or quoted * is not told from a bare one here; a set in brackets
	// depends on the locale.
	if !known || pattern.quoted || strings.ContainsAny(text, `[\~`) || strings.Contains(pattern.source, `\`) {
		return unknown(source)
	}
	if strings.Trim(text, "*") == "" {
		return yes
	}
	v = compact(v)
	if got, ok := v.literal(); ok {
		return constant(glob(text, got))
	}
	about := Condition{Operator: Holds, Source: source}
	if len(v) == 1 && v[0].name != "" && v[0].op == 0 {
		about = Condition{Variable: v[0].name, Operator: Matches, Value: text, Source: source}
	}
	return leaf(about, func(outside lookup) Answer {
		got, known := v.text(outside)
		if !known || strings.ContainsFunc(got, func(r rune) bool { return r >= 0x80 }) {
			return Unknown
		}
		return answer(glob(text, got))
	})
}

// glob matches * and ? alone.
func glob(pattern, text string) bool {
	star, from := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p, t = p+1, t+1
		case star >= 0:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

var (
	binaries = []string{"=", "==", "!=", "-eq", "-ne", "-gt", "-ge", "-lt", "-le", "-nt", "-ot", "-ef", "<", ">"}
	unaries  = []string{"-n", "-z", "-e", "-f", "-d", "-r", "-w", "-x", "-s", "-h", "-L", "-b", "-c", "-p", "-S", "-t", "-u", "-g", "-k", "-O", "-G"}
)

// test reads the words between [ and ] as test does.
func (w *walker) test(words []word, source string) *expr {
	var loose []value
	for _, x := range words {
		if x.pattern {
			return unknown(source)
		}
		if x.loose {
			loose = append(loose, x.value)
		}
	}
	t := &tester{w: w, words: words, source: source}
	result := t.exactly(words)
	if t.lost {
		result = unknown(source)
	}
	if t.bash {
		result = and(result, w.needsBash("=="))
	}
	if loose == nil {
		return result
	}
	fit := &expr{op: opFit, x: result, words: loose}
	if len(words) == 3 && slices.Contains([]string{"=", "==", "!="}, t.operator(words[1])) {
		fit.empty = no // [ = main ] is an error
	}
	return fit
}

type tester struct {
	w      *walker
	words  []word // that are left
	source string
	depth  int
	lost   bool // it is not to be understood
	bash   bool // there is a == in it
}

// operator is the text of a word that may be an operator.
func (t *tester) operator(x word) string {
	text, _ := x.text()
	return text
}

// exactly follows the rules of POSIX for up to four words, which go by their number.
func (t *tester) exactly(words []word) *expr {
	at := func(i int) string { return t.operator(words[i]) }
	switch len(words) {
	case 0:
		return no
	case 1:
		return nonempty(words[0].value, t.source)
	case 2:
		if at(0) == "!" {
			return not(t.exactly(words[1:]))
		}
		if slices.Contains(unaries, at(0)) {
			return t.unary(at(0), words[1])
		}
	case 3:
		switch {
		case slices.Contains(binaries, at(1)):
			return t.binary(words[0], at(1), words[2])
		case at(1) == "-a":
			return and(t.exactly(words[:1]), t.exactly(words[2:]))
		case at(1) == "-o":
			return or(t.exactly(words[:1]), t.exactly(words[2:]))
		case at(0) == "!":
			return not(t.exactly(words[1:]))
		case at(0) == "(" && at(2) == ")":
			return t.exactly(words[1:2])
		}
	default:
		if len(words) == 4 && at(0) == "!" {
			return not(t.exactly(words[1:]))
		}
		t.words = words
		result := t.any()
		if len(t.words) > 0 {
			t.lost = true
		}
		return result
	}
	t.lost = true
	return no
}

func (t *tester) next() string {
	if len(t.words) == 0 {
		return ""
	}
	return t.operator(t.words[0])
}

func (t *tester) any() *expr {
	if t.depth++; t.depth > maxDepth {
		t.lost, t.words = true, nil
		return no
	}
	defer func() { t.depth-- }()
	result := t.all()
	for t.next() == "-o" {
		t.words = t.words[1:]
		result = or(result, t.all())
	}
	return result
}

func (t *tester) all() *expr {
	result := t.one()
	for t.next() == "-a" {
		t.words = t.words[1:]
		result = and(result, t.one())
	}
	return result
}

func (t *tester) one() *expr {
	negated := false
	for len(t.words) > 1 && t.next() == "!" {
		t.words, negated = t.words[1:], !negated
	}
	var result *expr
	switch {
	case len(t.words) == 0:
		t.lost = true
		return no
	case len(t.words) >= 3 && slices.Contains(binaries, t.operator(t.words[1])):
		result = t.binary(t.words[0], t.operator(t.words[1]), t.words[2])
		t.words = t.words[3:]
	case t.next() == "(":
		t.words = t.words[1:]
		result = t.any()
		if t.next() != ")" {
			t.lost, t.words = true, nil
			return no
		}
		t.words = t.words[1:]
	case len(t.words) >= 2 && slices.Contains(unaries, t.next()):
		result = t.unary(t.next(), t.words[1])
		t.words = t.words[2:]
	default:
		result = nonempty(t.words[0].value, t.source)
		t.words = t.words[1:]
	}
	if negated {
		return not(result)
	}
	return result
}

func (t *tester) unary(op string, x word) *expr {
	switch op {
	case "-n":
		return nonempty(x.value, t.source)
	case "-z":
		return not(nonempty(x.value, t.source))
	}
	return unknown("[ " + op + " " + x.source + " ]")
}

func (t *tester) binary(x word, op string, y word) *expr {
	switch op {
	case "=":
		return equal(x.value, y.value, t.source)
	case "!=":
		return not(equal(x.value, y.value, t.source))
	case "==":
		t.bash = true
		return equal(x.value, y.value, t.source)
	}
	return unknown("[ " + x.source + " " + op + " " + y.source + " ]")
}

// needsBash is true where the script runs in bash: dash has no such thing, which
// makes the test fail.
func (w *walker) needsBash(what string) *expr {
	if w.bash {
		return yes
	}
	return leaf(Condition{Operator: IsBash, Source: what}, nil)
}

// double is the test of a [[ ]].
func (w *walker) double(node syntax.TestExpr, s *state) *expr {
	if w.deeper() {
		return unknown("")
	}
	defer w.higher()
	switch x := node.(type) {
	case *syntax.Word:
		return nonempty(w.word(x, s).value, w.text(x))
	case *syntax.ParenTest:
		return w.double(x.X, s)
	case *syntax.UnaryTest:
		operand, isWord := x.X.(*syntax.Word)
		switch {
		case x.Op == syntax.TsNot:
			return not(w.double(x.X, s))
		case x.Op == syntax.TsNempStr && isWord:
			return nonempty(w.word(operand, s).value, w.text(x))
		case x.Op == syntax.TsEmpStr && isWord:
			return not(nonempty(w.word(operand, s).value, w.text(x)))
		}
	case *syntax.BinaryTest:
		switch x.Op {
		case syntax.AndTest:
			return and(w.double(x.X, s), w.double(x.Y, s))
		case syntax.OrTest:
			return or(w.double(x.X, s), w.double(x.Y, s))
		}
		a, aWord := x.X.(*syntax.Word)
		b, bWord := x.Y.(*syntax.Word)
		if !aWord || !bWord {
			break
		}
		left, right := w.word(a, s), w.word(b, s)
		if right.loose {
			break // it is taken for a pattern
		}
		switch x.Op {
		case syntax.TsMatch, syntax.TsMatchShort:
			return w.matches(left.value, right, w.text(x))
		case syntax.TsNoMatch:
			return not(w.matches(left.value, right, w.text(x)))
		}
	}
	return unknown(w.text(node))
}
