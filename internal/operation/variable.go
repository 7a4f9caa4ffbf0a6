package operation

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

var (
	variableType = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	variableName = regexp.MustCompile(`^[a-zA-Z0-9._:|/-]+$`)
	// environmentName is what may stand behind env: in the name of a variable.
	environmentName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)
)

// The levels of variables.
const (
	LevelProject     = "project"
	LevelEnvironment = "environment"
)

// Level is what --level says; empty if it was not given.
func Level(v Values) (string, error) {
	switch level := strings.ToLower(v.Text("level")); level {
	case "":
		return "", nil
	case "p", LevelProject:
		return LevelProject, nil
	case "e", LevelEnvironment:
		return LevelEnvironment, nil
	default:
		return "", fmt.Errorf("--level %q: want project or environment", v.Text("level"))
	}
}

// VariableName is the name of the variable that variable:create is about, from its
// argument or --name, with --prefix.
func VariableName(args []string, v Values) (string, error) {
	name := v.Text("name")
	switch {
	case len(args) > 1:
		return "", fmt.Errorf("variable:create takes one variable, but was given %d words; the value is an option", len(args))
	case len(args) == 1 && v.Given("name"):
		return "", errors.New("variable:create was given the variable's name twice: as an argument and with --name")
	case len(args) == 1:
		name = args[0]
	}
	if prefix := strings.TrimSuffix(v.Text("prefix"), ":"); prefix != "" && prefix != "none" && !strings.Contains(name, ":") {
		name = prefix + ":" + name
	}
	bare, ofEnvironment := strings.CutPrefix(name, "env:")
	switch {
	case name == "" || ofEnvironment && bare == "":
		return "", errors.New("variable:create needs a name: --name env:NAME")
	case len(name) > 256:
		return "", errors.New("the name of a variable has at most 256 characters")
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }) || !utf8.ValidString(name):
		return "", fmt.Errorf("variable name %q: blanks and control characters cannot be in it", name)
	case ofEnvironment && !environmentName.MatchString(bare):
		return "", fmt.Errorf("variable name %q: behind env: there may be letters, digits and underscores, a letter first", name)
	case name == "." || name == "..":
		return "", fmt.Errorf("variable name %q cannot be", name)
	}
	return name, nil
}

// variableSwitches are the options that are switches of a variable, and what the
// API calls them.
var variableSwitches = map[string]string{
	"json": "is_json", "sensitive": "is_sensitive", "enabled": "is_enabled", "inheritable": "is_inheritable",
	"visible-build": "visible_build", "visible-runtime": "visible_runtime",
}

// variableFields are those that were given with options.
func variableFields(v Values) (map[string]any, error) {
	fields := map[string]any{}
	for _, option := range slices.Sorted(maps.Keys(variableSwitches)) {
		if !v.Given(option) {
			continue
		}
		on, err := Bool(option, v.Text(option))
		if err != nil {
			return nil, err
		}
		fields[variableSwitches[option]] = on
	}
	level, err := Level(v)
	if err != nil {
		return nil, err
	}
	for _, option := range []string{"enabled", "inheritable"} {
		if level == LevelProject && v.Given(option) {
			return nil, fmt.Errorf("--%s is for variables of an environment, not of the project", option)
		}
	}
	if v.Given("app-scope") {
		fields["application_scope"] = append([]string{}, v.Words("app-scope")...)
	}
	if v.Given("value") {
		fields["value"] = v.Text("value")
	}
	return fields, nil
}

// checkValue refuses what JSON cannot hold, and what is not JSON though it is
// called so. The value is a secret: no message shows it.
func checkValue(value string, isJSON bool) error {
	switch {
	case !utf8.ValidString(value):
		return errors.New("the value is not UTF-8, which JSON cannot hold")
	case isJSON && !json.Valid([]byte(value)):
		return errors.New("the value is not JSON, though --json true says so")
	}
	return nil
}

// newVariable is the body of variable:create: what the platform CLI sends, which
// leaves out what is the API's own default.
func newVariable(args []string, v Values) (any, error) {
	name, err := VariableName(args, v)
	if err != nil {
		return nil, err
	}
	given, err := variableFields(v)
	if err != nil {
		return nil, err
	}
	level, _ := Level(v)
	switch {
	case level == "":
		return nil, errors.New("variable:create needs --level project or --level environment")
	case v.Text("value") == "":
		return nil, errors.New("variable:create needs a value")
	}
	body := map[string]any{"name": name, "application_scope": []string{}, "is_json": false, "is_sensitive": false}
	if level == LevelEnvironment {
		body["is_enabled"], body["is_inheritable"] = true, true
		if given["visible_build"] == false {
			delete(given, "visible_build")
		}
		if given["visible_runtime"] == true {
			delete(given, "visible_runtime")
		}
	} else {
		body["visible_build"], body["visible_runtime"] = true, true
	}
	maps.Copy(body, given)
	return body, checkValue(v.Text("value"), body["is_json"] == true)
}

// Change makes the request that gives an existing variable what the options say;
// changed is false if there is nothing that it has not already. Existing is the
// variable as the API has it. Name is the variable's own, and level the level where
// it was found. A sensitive value cannot be compared: it is always sent.
func Change(o *Operation, name, level string, v Values, existing map[string]any) (r Request, changed bool, err error) {
	given, err := variableFields(v)
	if err != nil {
		return Request{}, false, err
	}
	for _, option := range []string{"enabled", "inheritable"} {
		if level == LevelProject && v.Given(option) {
			return Request{}, false, fmt.Errorf("--%s is for variables of an environment, not of the project", option)
		}
	}
	maps.DeleteFunc(given, func(key string, value any) bool {
		was, known := existing[key]
		if !known {
			return false
		}
		a, _ := json.Marshal(value)
		b, _ := json.Marshal(was)
		return string(a) == string(b)
	})
	if len(given) == 0 {
		return Request{}, false, nil
	}
	isJSON := existing["is_json"] == true
	if now, ok := given["is_json"].(bool); ok {
		isJSON = now
	}
	value, _ := existing["value"].(string)
	if v.Given("value") {
		value = v.Text("value")
	}
	if err := checkValue(value, isJSON && (v.Given("value") || existing["value"] != nil)); err != nil {
		return Request{}, false, err
	}
	r, err = o.at(patch, level, map[string]string{"name": name}, v).with(given)
	r.Operation, r.Argument, r.Activity = o.Name, name, level+".variable.update"
	return r, err == nil, err
}

// Delete makes the request that deletes a variable at a level.
func Delete(o *Operation, name, level string) Request {
	r := o.at(del, level, map[string]string{"name": name}, Values{})
	r.Argument, r.Activity = name, level+".variable.delete"
	return r
}

// at is the request of the step with a method, at a level.
func (o *Operation) at(method, level string, ids map[string]string, v Values) Request {
	i := slices.IndexFunc(o.Steps, func(s Step) bool { return s.Method == method })
	r := o.request(o.Steps[i], ids, v)
	r.Scope = OfEnvironment
	if level == LevelProject {
		r.Scope = OfProject
	}
	return r
}

// operationVariables turns TYPE:NAME=VALUE words into the object that the API
// takes: one object for each type. The platform CLI allows one space around the
// colon and the first equals sign; unlike it, a value may hold further equals
// signs.
func operationVariables(words []string) (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	for i, word := range words {
		left, value, assigned := strings.Cut(word, "=")
		kind, name, typed := strings.Cut(left, ":")
		kind = strings.TrimSuffix(kind, " ")
		name = strings.TrimSuffix(strings.TrimPrefix(name, " "), " ")
		// The value may be a secret: a message shows only what surely stands before
		// it, and without an equals sign that is nothing.
		if !assigned {
			return nil, fmt.Errorf("variable %d has no equals sign: want TYPE:NAME=VALUE, for example env:UPSTREAM=main", i+1)
		}
		if !typed || !variableType.MatchString(kind) || !variableName.MatchString(name) {
			return nil, fmt.Errorf("variable %q: want TYPE:NAME=VALUE, for example env:UPSTREAM=main", left)
		}
		if !utf8.ValidString(value) {
			return nil, fmt.Errorf("variable %q: its value is not UTF-8, which JSON cannot hold", left)
		}
		if all[kind] == nil {
			all[kind] = map[string]string{}
		}
		all[kind][name] = strings.TrimPrefix(value, " ")
	}
	return all, nil
}
