package shell

import (
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

func wraps(name string) bool {
	return slices.Contains([]string{"croncape", "env", "nohup", "nice", "timeout", "time"}, name)
}

// Options of the wrappers that take the next word; all others stand alone.
var takes = map[string][]string{
	"croncape": {"-t", "-p"},
	"env":      {"-u", "-C"},
	"nice":     {"-n"},
	"timeout":  {"-s", "-k"},
	"time":     {"-f", "-o"},
	"exec":     {"-a"},
}

// unwrap takes the program off that a wrapper starts. It is false if the wrapper
// starts none, or in a way that is not known.
func unwrap(name string, in invocation) (invocation, bool) {
	next := in
	next.assigned = maps.Clone(in.assigned)
	next.external = name != "command" && name != "exec" || in.external
	next.builtin = true
	if name == "exec" {
		next.external = true
	}
	i := 1
	for ; i < len(in.words); i++ {
		text, ok := in.words[i].text()
		if !ok || len(text) < 2 || text[0] != '-' {
			break
		}
		if text == "--" {
			i++
			break
		}
		switch {
		case name == "command" && text != "-p", name == "env" && strings.HasPrefix(text, "-S"), strings.HasPrefix(text, "--split"):
			return in, false
		case name == "env" && text != "-u" && text != "-C":
			next.cleared = true // -i, or what may change the environment as well
		}
		if slices.Contains(takes[name], text) {
			i++
			if name == "env" && text == "-u" && i < len(in.words) {
				variable, _ := in.words[i].text()
				next.assigned[variable] = value{{known: true, undefined: true}}
			}
		}
	}
	if name == "timeout" {
		i++ // how long
	}
	// croncape itself does not take VAR=value, but the vendor's examples and so
	// perhaps its containers do.
	for ; i < len(in.words) && (name == "env" || name == "croncape"); i++ {
		variable, v, ok := assignment(in, i)
		if !ok {
			break
		}
		next.assigned[variable] = v
	}
	if i >= len(in.words) {
		return in, false
	}
	next.words, next.args = in.words[i:], in.args[i:]
	return next, true
}

func assignment(in invocation, i int) (string, value, bool) {
	parts := in.args[i].Parts
	if len(parts) == 0 {
		return "", nil, false
	}
	lit, ok := parts[0].(*syntax.Lit)
	if !ok {
		return "", nil, false
	}
	name, _, ok := strings.Cut(lit.Value, "=")
	if !ok || !syntax.ValidName(name) {
		return "", nil, false
	}
	x := in.words[i]
	if len(x.value) == 0 || !x.value[0].known || !strings.HasPrefix(x.value[0].text, name+"=") || x.loose || x.pattern {
		return name, opaque, true
	}
	v := slices.Clone(x.value)
	v[0].text = v[0].text[len(name)+1:]
	return name, v, true
}
