package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// value is what a word becomes, as far as the text tells: its parts one after
// the other.
type value []part

// part is text, or a variable from outside (name), or neither: what can't be told.
type part struct {
	known bool
	text  string
	name  string
	op    syntax.ParExpOperator // of ${name:-alt} and its relatives; 0 if none
	alt   value
	// undefined is true for the value of a variable that is unset, perhaps so if
	// it is not known.
	undefined bool
}

// opaque is the value of a variable that may be anything, and perhaps unset.
var opaque = value{{undefined: true}}

func plainText(s string) value { return value{{known: true, text: s}} }

// literal is the text of a value that depends on nothing.
func (v value) literal() (string, bool) {
	var b strings.Builder
	for _, p := range v {
		if !p.known {
			return "", false
		}
		b.WriteString(p.text)
	}
	return b.String(), true
}

func (v value) text(outside lookup) (string, bool) {
	var b strings.Builder
	for _, p := range v {
		text, known := p.expand(outside)
		if !known {
			return "", false
		}
		b.WriteString(text)
	}
	return b.String(), true
}

func (p part) expand(outside lookup) (string, bool) {
	if p.known {
		return p.text, true
	}
	if p.name == "" {
		return "", false
	}
	text, defined := outside(p.name)
	if !defined {
		text = ""
	}
	switch p.op {
	case syntax.DefaultUnset:
		if defined {
			return text, true
		}
		return p.alt.text(outside)
	case syntax.DefaultUnsetOrNull:
		if text != "" {
			return text, true
		}
		return p.alt.text(outside)
	case syntax.AlternateUnset:
		if !defined {
			return "", true
		}
		return p.alt.text(outside)
	case syntax.AlternateUnsetOrNull:
		if text == "" {
			return "", true
		}
		return p.alt.text(outside)
	}
	return text, true
}

func (v value) size() int {
	n := 0
	for _, p := range v {
		n += 1 + len(p.text)/64 + p.alt.size()
	}
	return n
}

// maxParts bounds a value: with X=$X$X it doubles with each line.
const maxParts = 256

// word is a word of the script with what it becomes.
type word struct {
	value  value
	source string
	quoted bool // any part of it
	// loose is true if an expansion stands unquoted: it may become no word, or many.
	loose bool
	// pattern is true if an unquoted * ? [ or ~ stands in it.
	pattern bool
	// substitutes is true if a command's output is a part of it.
	substitutes bool
}

// text is the text of a word that is sure to be one word.
func (x word) text() (string, bool) {
	if x.loose || x.pattern {
		return "", false
	}
	return x.value.literal()
}

func (w *walker) word(node *syntax.Word, s *state) word {
	x := word{source: w.text(node)}
	w.parts(node.Parts, s, false, &x)
	if x.source == "[" || x.source == "[[" {
		x.pattern = false
	}
	if x.value.size() > maxParts {
		x.value = opaque
	}
	if x.loose {
		if text, ok := x.value.literal(); ok && text != "" && !strings.ContainsAny(text, " \t\n*?[\\~") {
			x.loose = false
		}
		if _, changed := s.vars["IFS"]; changed {
			x.value = opaque
		}
	}
	return x
}

func (w *walker) parts(parts []syntax.WordPart, s *state, quoted bool, x *word) {
	if w.deeper() {
		return
	}
	defer w.higher()
	for i, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			text, pattern := unescape(p.Value, quoted)
			x.pattern = x.pattern || pattern || i == 0 && !quoted && strings.HasPrefix(p.Value, "~")
			x.pattern = x.pattern || w.bash && !quoted && strings.Contains(p.Value, "{") // {a,b}
			x.value = append(x.value, part{known: true, text: text})
		case *syntax.SglQuoted:
			x.quoted = true
			if p.Dollar {
				x.value = append(x.value, part{})
			} else {
				x.value = append(x.value, part{known: true, text: p.Value})
			}
		case *syntax.DblQuoted:
			x.quoted = true
			w.parts(p.Parts, s, true, x)
		case *syntax.ParamExp:
			x.loose = x.loose || !quoted
			for _, part := range w.parameter(p, s) {
				part.undefined = false
				x.value = append(x.value, part)
			}
		default:
			x.loose = x.loose || !quoted
			if _, ok := p.(*syntax.CmdSubst); ok {
				x.substitutes = true
			}
			x.value = append(x.value, part{})
		}
	}
}

// unescape takes the backslashes away, and says whether a pattern character
// stands there without one.
func unescape(s string, quoted bool) (string, bool) {
	if quoted && !strings.Contains(s, `\`) {
		return s, false
	}
	var b strings.Builder
	pattern := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) && (!quoted || strings.IndexByte("$`\"\\\n", s[i+1]) >= 0) {
			i++
			if s[i] != '\n' {
				b.WriteByte(s[i])
			}
			continue
		}
		if !quoted && (c == '*' || c == '?' || c == '[') {
			pattern = true
		}
		b.WriteByte(c)
	}
	return b.String(), pattern
}

// shells lists variables that a shell sets by itself, or that any command changes.
var shells = []string{
	"PWD", "OLDPWD", "PPID", "IFS", "OPTIND", "OPTARG", "LINENO", "PS1", "PS2", "PS4", "_",
	"RANDOM", "SRANDOM", "SECONDS", "UID", "EUID", "GROUPS", "HOSTNAME", "HOSTTYPE", "MACHTYPE", "OSTYPE",
	"SHLVL", "SHELLOPTS", "REPLY", "DIRSTACK", "PIPESTATUS", "FUNCNAME", "EPOCHSECONDS", "EPOCHREALTIME",
}

func (w *walker) parameter(p *syntax.ParamExp, s *state) value {
	if p.Param == nil || p.Excl || p.Length || p.Width || p.IsSet || p.Index != nil || p.Flags != nil ||
		p.NestedParam != nil || p.Slice != nil || p.Repl != nil || p.Names != 0 || len(p.Modifiers) > 0 {
		return opaque
	}
	name := p.Param.Value
	if !syntax.ValidName(name) || slices.Contains(shells, name) || strings.HasPrefix(name, "BASH") {
		return opaque
	}
	v, assigned := s.vars[name]
	if p.Exp == nil {
		switch {
		case assigned:
			w.needed(v.defined(), s)
			return v
		case s.havoc:
			w.needed(opaque.defined(), s)
			return opaque
		}
		w.needed(exists(name), s)
		return value{{name: name}}
	}
	alt := word{}
	if p.Exp.Word != nil {
		alt = w.word(p.Exp.Word, s)
		if alt.pattern || alt.loose && len(alt.value) != 1 {
			alt.value = opaque
		}
	}
	switch p.Exp.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		if !assigned && !s.havoc {
			return value{{name: name, op: p.Exp.Op, alt: alt.value}}
		}
		if text, known := v.literal(); assigned && known {
			present := text != ""
			if !present && (p.Exp.Op == syntax.DefaultUnset || p.Exp.Op == syntax.AlternateUnset) {
				present = v.defined() == yes
			}
			isDefault := p.Exp.Op == syntax.DefaultUnset || p.Exp.Op == syntax.DefaultUnsetOrNull
			switch {
			case present && isDefault:
				return v
			case present || isDefault:
				return alt.value
			}
			return plainText("")
		}
	case syntax.AssignUnset, syntax.AssignUnsetOrNull:
		s.vars[name] = opaque
	case syntax.ErrorUnset, syntax.ErrorUnsetOrNull:
		switch {
		case assigned || s.havoc:
			w.need = and(w.need, unknown(w.text(p)))
		case p.Exp.Op == syntax.ErrorUnset:
			w.need = and(w.need, exists(name))
		default:
			w.need = and(w.need, nonempty(value{{name: name}}, w.text(p)))
		}
		if assigned {
			return v
		}
		if !s.havoc {
			return value{{name: name}}
		}
	}
	return opaque
}

func (v value) defined() *expr {
	switch {
	case len(v) != 1 || !v[0].undefined:
		return yes
	case v[0].known:
		return no
	}
	return unknown("set -u")
}

// needed notes, under set -u, that the shell ends here unless x.
func (w *walker) needed(x *expr, s *state) {
	if s.nounset == off {
		return
	}
	if s.nounset == perhaps {
		x = or(x, unknown("set -u"))
	}
	w.need = and(w.need, x)
}

func exists(name string) *expr {
	return leaf(Condition{Variable: name, Operator: Defined, Source: "$" + name}, func(outside lookup) Answer {
		_, ok := outside(name)
		return answer(ok)
	})
}
