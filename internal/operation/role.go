package operation

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// environmentTypes are the platform's, in the order in which roles on them are
// sent.
var environmentTypes = []string{"production", "staging", "development"}

// permission is a role on a type of environments.
type permission struct {
	Type string `json:"type"`
	Role string `json:"role"`
}

// roles reads --role: a bare word is the role on the project, TYPE:ROLE one on
// environments of a type. Roles may be abbreviated, and types have wildcards.
func roles(v Values) (project string, onTypes []permission, err error) {
	for _, word := range v.Words("role") {
		kind, role, typed := strings.Cut(word, ":")
		if !typed {
			found := abbreviated(word, "admin", "viewer")
			switch {
			case found == "":
				return "", nil, fmt.Errorf("role %q: want admin or viewer for the project, or TYPE:ROLE", word)
			case project != "" && project != found:
				return "", nil, errors.New("there are two roles for the project")
			}
			project = found
			continue
		}
		found := abbreviated(role, "admin", "contributor", "viewer", "none")
		types := slices.DeleteFunc(slices.Clone(environmentTypes), func(t string) bool { return !Wild(kind, t) && !strings.HasPrefix(t, kind) || kind == "" })
		if found == "" || len(types) == 0 {
			return "", nil, fmt.Errorf("role %q: want production, staging or development before the colon, and admin, contributor, viewer or none behind it", word)
		}
		for _, t := range types {
			onTypes = slices.DeleteFunc(onTypes, func(p permission) bool { return p.Type == t })
			if found != "none" {
				onTypes = append(onTypes, permission{t, found})
			}
		}
	}
	if project == "" {
		project = "viewer"
	}
	if project == "admin" {
		return project, nil, nil // it has all of them
	}
	if len(onTypes) == 0 {
		return "", nil, errors.New("user:add needs a role on at least one environment type")
	}
	return project, onTypes, nil
}

// abbreviated is the word that another one begins; empty if it begins none.
func abbreviated(short string, words ...string) string {
	for _, word := range words {
		if short != "" && strings.HasPrefix(word, strings.ToLower(short)) {
			return word
		}
	}
	return ""
}

// Wild tells whether a text fits a pattern in which % and * stand for any letters.
func Wild(pattern, text string) bool {
	if !strings.ContainsAny(pattern, "%*") {
		return pattern == text
	}
	expression := strings.NewReplacer(`%`, `.*`, `\*`, `.*`).Replace(regexp.QuoteMeta(pattern))
	ok, _ := regexp.MatchString("^"+expression+"$", text)
	return ok
}

var address = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`)

// invitation is the body of user:add.
func invitation(args []string, v Values) (any, error) {
	if !address.MatchString(args[0]) {
		return nil, fmt.Errorf("%q is no email address", args[0])
	}
	project, onTypes, err := roles(v)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"email": args[0], "role": project}
	if len(onTypes) > 0 {
		body["permissions"] = onTypes
	}
	if v.On("force-invite") {
		body["force"] = true
	}
	return body, nil
}

// Access makes the request that changes what somebody may do who has access
// already. Id is the user's, and email what the user is called in messages.
func Access(o *Operation, id, email string, v Values) (Request, error) {
	project, onTypes, err := roles(v)
	if err != nil {
		return Request{}, err
	}
	permissions := []string{project}
	for _, p := range onTypes {
		permissions = append(permissions, p.Type+":"+p.Role)
	}
	i := slices.IndexFunc(o.Steps, func(s Step) bool { return s.Method == patch })
	r, err := o.request(o.Steps[i], map[string]string{"user": id}, v).with(map[string]any{"permissions": permissions})
	r.Argument, r.Silent = email, true
	return r, err
}
