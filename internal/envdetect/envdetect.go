// Package envdetect finds out where the program is, and why it thinks so: from
// the variables of a container of Platform.sh, Upsun or OVH Web PaaS to a typed
// Environment. It is pure: it reads nothing but what the lookup function tells,
// and it never holds the token itself, only the name of its variable.
package envdetect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// Phase is the part of a container's life in which the program was started.
type Phase string

// The phases. Nothing may fire in a build; Local is everywhere else that is no
// container of the platform, among it DDEV, which imitates a build, and CI.
const (
	Build   Phase = "build"
	Runtime Phase = "runtime"
	Local   Phase = "local"
)

// Production, as an environment type, is the one that fire and agent crons act
// on unless told otherwise. LocalType is ours, for everything off the platform.
const (
	ProductionType = "production"
	LocalType      = "local"
)

// Environment is what was found out. The JSON names are those of `cronagent env`.
type Environment struct {
	// Platform tells whether this is a container of the platform.
	Platform bool  `json:"platform"`
	Phase    Phase `json:"phase"`
	// Mode is the kind of place: "grid", "dedicated-gen2", "ddev", "ci" or empty.
	Mode   string `json:"mode"`
	Vendor Vendor `json:"vendor"`
	// Project is the project's id.
	Project string `json:"project"`
	// ID is the environment's id in the API. It is PLATFORM_BRANCH; the value of
	// PLATFORM_ENVIRONMENT is a machine name that the API does not know.
	ID string `json:"environment"`
	// Type is production, staging, development or local; empty if the container
	// does not tell.
	Type       string `json:"environment_type"`
	Production bool   `json:"production"`
	// App is the app's name; Worker is empty in the app's own container.
	App    string `json:"app"`
	Worker string `json:"worker"`
	AppDir string `json:"app_dir"`
	// ConfigSource is where the app's configuration comes from: the variable
	// PLATFORM_APPLICATION at run time. Empty: it has to be looked for in files.
	ConfigSource string `json:"config_source"`
	// TokenVariable names the variable that holds the API token; empty if none does.
	TokenVariable string `json:"token_variable"`
	// APIURL and AuthURL are bases without a slash at the end.
	APIURL  string `json:"api_url"`
	AuthURL string `json:"auth_url"`
	// StateDir is where the file ledger lives. StateLasts tells whether it
	// outlives a deployment, StateWarning in words that it does not;
	// StateProblem, if not empty, why it must not be used.
	StateDir     string `json:"state_dir"`
	StateLasts   bool   `json:"state_lasts"`
	StateWarning string `json:"state_warning"`
	StateProblem string `json:"state_problem"`
	// Ledger is "file", or the name of the relationship to the database that it is
	// in; LedgerAddress is where that is, without credentials. LedgerOutput tells
	// whether the database keeps what commands printed.
	Ledger        string `json:"ledger"`
	LedgerAddress string `json:"ledger_address"`
	LedgerOutput  bool   `json:"ledger_output"`
	// LedgerProblem, if not empty, is why there is no ledger: see LedgerError.
	LedgerProblem string `json:"ledger_problem"`
	ledgerError   *Error
	// Warnings are facts that a person should hear of, each a full line.
	Warnings []string `json:"warnings"`
	// Reasons says for each conclusion, by its JSON name, what it rests on.
	Reasons map[string]string `json:"reasons"`

	// Application is the JSON of PLATFORM_APPLICATION; nil if it is not set.
	Application []byte                     `json:"-"`
	application map[string]json.RawMessage // the same, by key
	// Variables is what PLATFORM_VARIABLES holds, by "namespace:name".
	Variables map[string]json.RawMessage `json:"-"`
	// Database is what the ledger is in; nil if that is the file.
	Database *Database `json:"-"`
	// Passwords are those of the app's relationships, as far as they can be told
	// from ordinary words: they are masked in what commands print.
	Passwords []string `json:"-"`
}

// Options are the facts that are no variables.
type Options struct {
	// CalledAs is the base name under which the program was started.
	CalledAs string
	// Vendor is the value of --vendor; empty if it was not given.
	Vendor string
	// Writable tells whether a folder exists and can be written to. Nil: all can.
	Writable func(dir string) bool
}

// Error says what is wrong with a variable.
type Error struct {
	// Variable is its name, or the option's.
	Variable string
	// Problem says what is wrong; it never holds the value of a secret.
	Problem string
	// Hint says what to do; it may be empty.
	Hint string
}

func (e *Error) Error() string { return e.Variable + ": " + e.Problem }

// variables is the lookup function with the platform's habit that an empty
// variable counts as unset.
type variables func(string) (string, bool)

func (v variables) get(name string) string {
	value, _ := v(name)
	return strings.TrimSpace(value)
}

func (v variables) anySet(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return v.get(name) != "" })
}

// Detect concludes from the variables where the program is. A variable that
// cannot be understood is an *Error that names it: guessing would fire at the
// wrong place or not at all.
func Detect(lookup func(string) (string, bool), opts Options) (Environment, error) {
	v := variables(lookup)
	e := Environment{Warnings: []string{}, Reasons: map[string]string{}}

	chosen, err := chooseVendor(v, opts)
	if err != nil {
		return Environment{}, err
	}
	e.Vendor, e.Reasons["vendor"] = chosen.vendor, chosen.vendorReason
	e.TokenVariable, e.Reasons["token_variable"] = chosen.tokenVariable, chosen.tokenReason
	for _, vendor := range vendors {
		if stale := vendor.Prefix + "API_TOKEN"; e.TokenVariable == "" && v.get(stale) != "" {
			e.Warnings = append(e.Warnings, stale+" holds an access token, which soon expires; it is not used. Put an API token in "+vendor.tokenVariable())
		}
	}

	e.detectPhase(v)
	if err := e.detectPlace(v); err != nil {
		return Environment{}, err
	}
	relationships, err := e.readVariables(v)
	if err != nil {
		return Environment{}, err
	}
	e.detectLedger(v, relationships)
	if err := e.detectEndpoints(v); err != nil {
		return Environment{}, err
	}
	e.detectState(v, opts)
	return e, nil
}

// detectPhase follows the vendor's own reader (run time = application name and
// branch, build = no branch), and is stricter about builds: a CI job that sets
// PLATFORM_PROJECT alone is none.
func (e *Environment) detectPhase(v variables) {
	container := []string{"PLATFORM_APPLICATION_NAME", "PLATFORM_APPLICATION", "PLATFORM_APP_DIR", "PLATFORM_TREE_ID", "PLATFORM_OUTPUT_DIR", "PLATFORM_CACHE_DIR"}
	switch ddev := strings.ToLower(v.get("IS_DDEV_PROJECT")); {
	case ddev != "" && ddev != "false" && ddev != "0":
		e.Phase, e.Mode = Local, "ddev"
		e.Reasons["phase"] = "IS_DDEV_PROJECT is set; DDEV only imitates the platform"
	case v.get("PLATFORM_APPLICATION_NAME") != "" && v.get("PLATFORM_BRANCH") != "":
		e.Phase, e.Mode = Runtime, "grid"
		e.Reasons["phase"] = "PLATFORM_APPLICATION_NAME and PLATFORM_BRANCH are set"
		if v.get("PLATFORM_MODE") == "enterprise" {
			e.Mode = "dedicated-gen2"
			e.Reasons["mode"] = "PLATFORM_MODE is enterprise"
		}
	case v.get("PLATFORM_PROJECT") != "" && v.get("PLATFORM_BRANCH") == "" && v.anySet(container...):
		e.Phase, e.Mode = Build, "grid"
		e.Reasons["phase"] = "container variables are set, PLATFORM_BRANCH is not"
	default:
		e.Phase = Local
		e.Reasons["phase"] = "PLATFORM_APPLICATION_NAME and PLATFORM_BRANCH are not both set"
		if v.get("CI") != "" {
			e.Mode = "ci"
		}
	}
	e.Platform = e.Phase != Local
}

func (e *Environment) detectPlace(v variables) error {
	e.Project = v.get("PLATFORM_PROJECT")
	e.Reasons["project"] = setOrNot("PLATFORM_PROJECT", e.Project)
	// Taken as it is: a branch name may not be trimmed into another one.
	e.ID, _ = v("PLATFORM_BRANCH")
	e.Reasons["environment"] = setOrNot("PLATFORM_BRANCH", e.ID)
	if err := CheckID("PLATFORM_BRANCH", e.ID); err != nil {
		return err
	}
	if err := CheckID("PLATFORM_PROJECT", e.Project); err != nil {
		return err
	}
	e.App, e.Worker, _ = strings.Cut(v.get("PLATFORM_APPLICATION_NAME"), "--")
	e.Reasons["app"] = setOrNot("PLATFORM_APPLICATION_NAME", e.App)
	e.AppDir = v.get("PLATFORM_APP_DIR")

	branch := v.get("CRONAGENT_PRODUCTION_BRANCH")
	switch {
	case e.Phase == Local:
		e.Type, e.Reasons["environment_type"] = LocalType, "off the platform"
	case v.get("PLATFORM_ENVIRONMENT_TYPE") != "":
		e.Type, e.Reasons["environment_type"] = v.get("PLATFORM_ENVIRONMENT_TYPE"), "PLATFORM_ENVIRONMENT_TYPE"
	case e.Phase == Runtime && branch != "" && branch == e.ID:
		e.Type = ProductionType
		e.Reasons["environment_type"] = "PLATFORM_ENVIRONMENT_TYPE is not set; PLATFORM_BRANCH is the CRONAGENT_PRODUCTION_BRANCH"
	default:
		e.Reasons["environment_type"] = "PLATFORM_ENVIRONMENT_TYPE is not set"
		if e.Phase == Runtime {
			e.Warnings = append(e.Warnings, "PLATFORM_ENVIRONMENT_TYPE is not set, so this is not taken for production; redeploy, or set CRONAGENT_PRODUCTION_BRANCH to the name of the production branch")
		}
	}
	e.Production = e.Phase == Runtime && e.Type == ProductionType
	switch {
	case e.Production:
		e.Reasons["production"] = e.Reasons["environment_type"]
	case e.Phase == Runtime && e.Type == "":
		e.Reasons["production"] = e.Reasons["environment_type"]
	case e.Phase == Runtime:
		e.Reasons["production"] = "the environment type is " + e.Type
	default:
		e.Reasons["production"] = "the phase is " + string(e.Phase)
	}
	return nil
}

func setOrNot(name, value string) string {
	if value == "" {
		return name + " is not set"
	}
	return name
}

// CheckID refuses what cannot be the id of a project or an environment, because
// in a URL it would name something else. Source names where id came from.
func CheckID(source, id string) error {
	if id == "." || id == ".." || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return &Error{Variable: source, Problem: fmt.Sprintf("%q cannot be an id", id)}
	}
	return nil
}

// readVariables decodes the variables that hold base64 of JSON. All of them are
// read at once, so that a broken one is found in the daytime by `cronagent env`
// and not by the first command that needs it. The relationships are returned, since
// they hold passwords.
func (e *Environment) readVariables(v variables) (relationships map[string]json.RawMessage, err error) {
	application, err := object(v, "PLATFORM_APPLICATION")
	if err != nil {
		return nil, err
	}
	if application != nil {
		e.Application, _ = decode(v, "PLATFORM_APPLICATION")
		e.application = application
	}
	if e.Variables, err = object(v, "PLATFORM_VARIABLES"); err != nil {
		return nil, err
	}
	if relationships, err = object(v, "PLATFORM_RELATIONSHIPS"); err != nil {
		return nil, err
	}
	e.Passwords = passwords(relationships, e.App, e.ID)
	e.Reasons["config_source"] = "to be looked for in files"
	if e.Phase == Runtime && e.Application != nil {
		e.ConfigSource = "PLATFORM_APPLICATION"
		e.Reasons["config_source"] = "PLATFORM_APPLICATION is set at run time"
	}
	return relationships, nil
}

// leastPassword is the length, in bytes, from which a password is masked. Shorter
// ones ("main", "user") are words that any output is full of.
const leastPassword = 8

// passwords finds the passwords of relationships, but for those that are a name
// of something else: masking them would turn all output into stars.
func passwords(relationships map[string]json.RawMessage, names ...string) []string {
	var found []string
	for _, definition := range relationships {
		for _, endpoint := range endpoints(definition) {
			names = append(names, text(endpoint["username"]), text(endpoint["path"]))
			if password := text(endpoint["password"]); len(password) >= leastPassword {
				found = append(found, password)
			}
		}
	}
	found = slices.DeleteFunc(found, func(password string) bool { return slices.Contains(names, password) })
	slices.Sort(found)
	return slices.Compact(found)
}

func decode(v variables, name string) ([]byte, error) {
	text := v.get(name)
	if text == "" {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, &Error{Variable: name, Problem: "is not base64: " + err.Error(),
			Hint: "the platform sets this variable; look at it with: echo \"$" + name + "\" | base64 -d"}
	}
	return data, nil
}

// object decodes a variable that holds a JSON object. The platform's serialiser
// writes an empty object as an empty list. Nil: the variable is not set. Values
// are never quoted in errors, since PLATFORM_VARIABLES may hold secrets.
func object(v variables, name string) (map[string]json.RawMessage, error) {
	data, err := decode(v, name)
	if data == nil || err != nil {
		return nil, err
	}
	m := map[string]json.RawMessage{}
	if string(bytes.Join(bytes.Fields(data), nil)) == "[]" {
		return m, nil
	}
	if err := json.Unmarshal(data, &m); err != nil || m == nil {
		problem := "does not hold a JSON object"
		if syntax, ok := err.(*json.SyntaxError); ok {
			problem = fmt.Sprintf("is not JSON: byte %d: %v", syntax.Offset, syntax)
		}
		return nil, &Error{Variable: name, Problem: problem,
			Hint: "the platform sets this variable; look at it with: echo \"$" + name + "\" | base64 -d"}
	}
	return m, nil
}

// detectEndpoints takes our own variables first, then those with which the
// vendor's tool is pointed elsewhere.
func (e *Environment) detectEndpoints(v variables) error {
	prefixes := []string{e.Vendor.Prefix}
	if own := strings.TrimSuffix(e.TokenVariable, "TOKEN"); own != "" && own != e.Vendor.Prefix {
		prefixes = append(prefixes, own)
	}
	api, auth := []string{"CRONAGENT_API_URL"}, []string{"CRONAGENT_AUTH_URL"}
	for _, prefix := range prefixes {
		api = append(api, prefix+"API_URL", prefix+"API_BASE_URL")
		auth = append(auth, prefix+"AUTH_URL", prefix+"API_AUTH_URL", prefix+"OAUTH2_TOKEN_URL")
		if skip := v.get(prefix + "SKIP_SSL"); skip != "" && skip != "0" {
			e.Warnings = append(e.Warnings, prefix+"SKIP_SSL is ignored: certificates are always verified")
		}
	}
	var err error
	if e.APIURL, e.Reasons["api_url"], err = endpoint(v, api, e.Vendor.APIURL); err != nil {
		return err
	}
	e.AuthURL, e.Reasons["auth_url"], err = endpoint(v, auth, e.Vendor.AuthURL)
	return err
}

func endpoint(v variables, names []string, fallback string) (base, reason string, err error) {
	for _, name := range names {
		value := v.get(name)
		if value == "" {
			continue
		}
		base, found := strings.CutSuffix(strings.TrimRight(value, "/"), "/oauth2/token")
		if strings.HasSuffix(name, "OAUTH2_TOKEN_URL") && !found {
			return "", "", &Error{Variable: name, Problem: "does not end in /oauth2/token", Hint: "set CRONAGENT_AUTH_URL to the part before /oauth2/token"}
		}
		if problem := checkBase(base); problem != "" {
			return "", "", &Error{Variable: name, Problem: problem}
		}
		return base, name, nil
	}
	return fallback, "the vendor's", nil
}

// checkBase says what is wrong with the base URL of a server that will be sent
// credentials. The URL is not quoted: it could hold a password.
func checkBase(base string) string {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "is no https:// address"
	// Looked for in the text: url.Parse does not tell of an empty query or
	// fragment, and either would swallow the path that is put behind it.
	case u.User != nil || strings.ContainsAny(base, "?#"):
		return "must be a plain address, without user, query or fragment"
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "plain http is for loopback only; use https"
	}
	return ""
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// detectState finds the folder of the file ledger: the one that was asked for,
// else a mount named .cronagent, which outlives deployments, else the temporary
// folder, which does not. With a ledger in a database it is where locks and output
// are.
func (e *Environment) detectState(v variables, opts Options) {
	mounts := e.mounts()
	mount := filepath.Join(e.AppDir, ".cronagent")
	switch dir := v.get("CRONAGENT_STATE_DIR"); {
	case dir != "":
		e.StateDir, e.StateLasts = dir, e.Phase == Local
		e.Reasons["state_dir"] = "CRONAGENT_STATE_DIR"
		if !filepath.IsAbs(dir) {
			e.StateProblem = "CRONAGENT_STATE_DIR must be an absolute path"
		}
	case mounts[mount] != "":
		e.StateDir, e.Reasons["state_dir"] = mount, "the mount .cronagent"
		// Another folder would be another ledger, which knows nothing of what this
		// one has claimed, and so would fire it again.
		if opts.Writable != nil && !opts.Writable(mount) {
			e.StateProblem = "the mount .cronagent is defined, but cannot be written to here"
		}
	default:
		tmp := v.get("TMPDIR")
		if !filepath.IsAbs(tmp) {
			tmp = "/tmp"
		}
		e.StateDir, e.Reasons["state_dir"] = filepath.Join(tmp, "cronagent"), "there is no mount .cronagent"
	}
	for path, source := range mounts {
		if !within(path, e.StateDir) {
			continue
		}
		switch source {
		case "tmp", "temporary":
		case "storage", "service":
			e.StateProblem = fmt.Sprintf("the mount %s has the source %s, which containers share over a network, where locks cannot be relied on; use the source local (Platform.sh) or instance (Upsun)", path, source)
		default:
			e.StateLasts = true
		}
	}
	if root := v.get("PLATFORM_DOCUMENT_ROOT"); root != "" && within(root, e.StateDir) {
		e.StateProblem = "it lies under the document root " + root + ", where the web server may show it to anyone"
	}
	if e.Phase == Runtime && !e.StateLasts && e.StateProblem == "" && e.Database == nil {
		e.StateWarning = "state directory " + e.StateDir + ": it does not outlive a deployment, which may then lose what is due just then; define a mount named .cronagent"
	}
}

// mounts returns the folders of the app's mounts with their sources.
func (e *Environment) mounts() map[string]string {
	var mounts map[string]json.RawMessage
	if e.AppDir == "" || json.Unmarshal(e.application["mounts"], &mounts) != nil {
		return nil
	}
	folders := make(map[string]string, len(mounts))
	for path, definition := range mounts {
		// An older form is a plain string, "shared:files/x", which lasts.
		mount := struct {
			Source string `json:"source"`
		}{"local"}
		_ = json.Unmarshal(definition, &mount)
		folders[filepath.Join(e.AppDir, path)] = mount.Source
	}
	return folders
}

// within tells whether path is dir or lies below it.
func within(dir, path string) bool {
	rel, err := filepath.Rel(filepath.Clean(dir), filepath.Clean(path))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
