package appconfig

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/nearest"
)

// namespace is where the agent's settings stand below variables:, and what its
// variables' names begin with.
const namespace = "cronagent"

// zones are what a cron without a timezone of its own falls back to.
type zones struct {
	// settings is variables.cronagent.timezone; nil if that is not set, and for the
	// platform's crons, which it does not concern.
	settings *time.Location
	// app is the app's timezone, UTC if it has none; appKnown and appProblem as in
	// App and as found.
	app        *time.Location
	appKnown   bool
	appProblem *Error
}

// readApp reads what is needed of an app. Problems of the agent's part go to
// r.errs, those of the platform's into the app.
func (r *reader) readApp(chosen appEntry, source *Source) *App {
	s := scope{reader: r, errs: &r.errs}
	app := &App{Name: r.app, File: chosen.file, Zone: time.UTC}
	all, ok := s.entries(chosen.value, "the app")
	if !ok {
		return app
	}
	r.findDir(app, chosen, all, source.place)

	var in zones
	in.app, in.appKnown = time.UTC, !r.lenient
	if e, ok := find(all, "timezone"); ok {
		in.appKnown = true
		if !null(e.value.Node) {
			in.app, in.appProblem = r.appZone(e.value.below("timezone"))
		}
	}
	app.Zone, app.ZoneKnown = in.app, in.appKnown

	s.agent(app, all, source.overrides, in)

	// From here on nothing may keep the agent from working.
	rest := *r
	rest.errs, rest.spent, rest.budget = nil, nil, maxEntries
	platform := rest.platformCrons(all, in)
	if e, ok := find(all, "cron"); ok && platform == nil {
		scope{reader: &rest, errs: &rest.errs}.fail(e.key, "write crons:", "the app has the key cron, and no crons")
	}
	if rest.spent != nil {
		rest.errs, platform = Errors{rest.spent}, nil
	}
	app.Problem = rest.errs.err()
	if len(platform) > 0 {
		app.Crons = append(platform, app.Crons...)
	}
	rest.budget = maxEntries
	rest.others(app, all)
	return app
}

// findDir finds the app's directory, which is also where includes begin.
func (r *reader) findDir(app *App, chosen appEntry, all []entry, p *place) {
	quiet := scope{reader: r, errs: new(Errors)}
	if p == nil {
		if e, ok := find(all, "app_dir"); ok {
			app.Dir, _ = quiet.text(e.value, "app_dir")
		}
		return
	}
	r.appDir = p.base
	if e, ok := find(all, "source"); ok && chosen.inConfigDir {
		if keys, ok := quiet.entries(e.value, "source"); ok {
			if root, ok := find(keys, "root"); ok {
				text, _ := quiet.text(root.value, "source.root")
				// Rooted at the repository, it cannot lead out of it.
				r.appDir = filepath.Join(p.base, filepath.Clean("/"+text))
			}
		}
	}
	app.Dir = p.show(r.appDir)
}

// appZone reads the app's own timezone. The problem is not reported yet: it
// concerns only crons that need that zone.
func (r *reader) appZone(v value) (*time.Location, *Error) {
	var errs Errors
	s := scope{reader: r, errs: &errs}
	name, ok := s.text(v, "timezone")
	if ok {
		if found, ok := s.zone(v, name); ok {
			return found, nil
		}
	}
	if len(errs) == 0 {
		return time.UTC, nil
	}
	return time.UTC, errs[0]
}

// agent reads variables.cronagent, and what variables of the environment put in
// its place.
func (s scope) agent(app *App, all []entry, overrides map[string]json.RawMessage, in zones) {
	var settings []entry
	if variables, ok := find(all, "variables"); ok && !null(variables.value.Node) {
		if spaces, ok := s.entries(variables.value, "variables"); ok {
			if own, ok := find(spaces, namespace); ok && !null(own.value.Node) {
				settings, _ = s.entries(own.value, "variables."+namespace)
			}
		}
	}
	for i, e := range settings {
		path := "variables." + namespace + "." + e.name
		settings[i].key, settings[i].value = e.key.below(path), e.value.below(path)
	}
	settings = s.override(settings, overrides)

	for _, e := range settings {
		if s.lenient && null(e.value.Node) {
			continue
		}
		switch e.name {
		case "timezone":
			if name, ok := s.text(e.value, "timezone"); ok {
				in.settings, _ = s.zone(e.value, name)
				app.Settings.Timezone = name
			}
			if in.settings == nil {
				in.settings = time.UTC // said already; the specs are to be checked all the same
			}
		case "ledger":
			var ok bool
			if app.Settings.Ledger, ok = s.text(e.value, "ledger"); ok && strings.TrimSpace(app.Settings.Ledger) == "" {
				s.fail(e.value, "", "ledger is empty")
			}
		case "ledger_output":
			app.Settings.LedgerOutput, _ = s.boolean(e.value, "ledger_output")
		case "notify":
			app.Settings.Notify = s.notify(e.value)
		case "heartbeat":
			app.Settings.Heartbeat = s.readURL(e.value, "heartbeat")
		case "crons":
		default:
			s.fail(e.key, suggest(e.name, settingKeys, "the settings are "+strings.Join(settingKeys, ", ")),
				"unknown setting %q of %s", e.name, namespace)
		}
	}
	if e, ok := find(settings, "crons"); ok {
		app.Crons = s.crons(e.value, Agent, in)
	}
}

// override puts the variables of the environment in the place of settings of
// the same name.
func (s scope) override(settings []entry, overrides map[string]json.RawMessage) []entry {
	for _, key := range slices.Sorted(maps.Keys(overrides)) {
		doc := &document{name: "PLATFORM_VARIABLES:" + namespace + ":" + key, variable: true, parent: &document{}}
		node, err := jsonNode(overrides[key])
		isMap := key == "crons" || key == "notify"
		if err == nil && isMap && node.Kind == yaml.ScalarNode && node.Tag == "!!str" {
			node, err = jsonNode([]byte(node.Value))
		}
		if node == nil {
			node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
		}
		v := value{node, doc}
		what := "a string"
		if isMap {
			what = "an object, or a string that holds one as JSON; {} means none"
		}
		settings = slices.DeleteFunc(settings, func(e entry) bool { return e.name == key })
		if err != nil {
			s.fail(v, "it must be "+what, "not JSON: %v", err)
			continue
		}
		empty := node.Kind == yaml.SequenceNode && len(node.Content) == 0
		if slices.Contains(settingKeys, key) && (null(node) || isMap && node.Kind != yaml.MappingNode && !empty) {
			s.fail(v, "", "it must be %s, not %s", what, kindOf(node))
			continue
		}
		settings = append(settings, entry{name: key, key: v, value: v})
	}
	return settings
}

var (
	// zoneName is the form of the names in the tz database.
	zoneName = pattern(`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$`)
	// notZones are names that lead to a file all the same: what "here" means on
	// one machine, and zones that count leap seconds.
	notZones = pattern(`^(Local|localtime|posixrules|Factory|(posix|right)/.*)$`)
)

// zone finds a time zone by its name in the tz database.
func (s scope) zone(at value, name string) (*time.Location, bool) {
	if found := s.loaded[name]; found != nil {
		return found, true
	}
	const hint = "it is a name of the tz database, such as Europe/Paris or UTC"
	if !zoneName().MatchString(name) || notZones().MatchString(name) {
		s.fail(at, hint, "%q is not the name of a time zone", clip(name))
		return nil, false
	}
	found, err := time.LoadLocation(name)
	if err != nil {
		better := hint
		// Each guess looks for a file. Somebody with a hundred wrong zones has understood
		// the first hints.
		if len(*s.errs) <= 100 {
			if meant := MeantZone(name); meant != nil {
				better = nearest.Ask(meant, "")
			}
		}
		s.fail(at, better, "unknown time zone %q", clip(name))
		return nil, false
	}
	s.loaded[name] = found
	return found, true
}

// MeantZone is the zone that may have been meant by a name that is none: the same in
// the letters that the tz database writes. None, if there is no such zone either.
func MeantZone(name string) []string {
	for _, guess := range []string{strings.ToUpper(name), capitalized(name)} {
		if _, err := time.LoadLocation(guess); err == nil && name != "" {
			return []string{guess}
		}
	}
	return nil
}

// capitalized writes a name as the tz database mostly does: europe/paris and
// EUROPE/PARIS as Europe/Paris.
func capitalized(name string) string {
	lower := []byte(strings.ToLower(name))
	for i := range lower {
		if (i == 0 || lower[i-1] == '/' || lower[i-1] == '_' || lower[i-1] == '-') && lower[i] >= 'a' && lower[i] <= 'z' {
			lower[i] -= 'a' - 'A'
		}
	}
	return string(lower)
}

// others takes of mounts, workers and operations what is easily understood, and leaves
// the rest: these are the platform's to check.
func (r *reader) others(app *App, all []entry) {
	s := scope{reader: r, errs: new(Errors)}
	read := func(from []entry, name string) []entry {
		e, ok := find(from, name)
		if !ok || null(e.value.Node) {
			return nil
		}
		keys, _ := s.entries(e.value, name)
		return keys
	}
	text := func(from []entry, name string) string {
		e, ok := find(from, name)
		if !ok {
			return ""
		}
		found, _ := s.text(e.value, name)
		return found
	}
	app.Mounts, app.Workers = map[string]Mount{}, map[string]string{}
	for _, e := range read(read(all, "source"), "operations") {
		app.SourceOperations = append(app.SourceOperations, e.name)
	}
	for _, e := range read(all, "operations") {
		app.Operations = append(app.Operations, e.name)
	}
	for _, e := range read(all, "mounts") {
		if v, ok := s.resolve(e.value); ok && v.Kind == yaml.ScalarNode {
			// The older form, "shared:files/uploads".
			kind, path, _ := strings.Cut(v.Value, ":")
			if kind == "shared" {
				kind = "local"
			}
			app.Mounts[e.name] = Mount{Source: kind, SourcePath: path}
		} else if keys, ok := s.entries(v, "a mount"); ok {
			app.Mounts[e.name] = Mount{text(keys, "source"), text(keys, "source_path"), text(keys, "service")}
		}
	}
	for _, e := range read(all, "workers") {
		if keys, ok := s.entries(e.value, "a worker"); ok {
			app.Workers[e.name] = text(read(keys, "commands"), "start")
		}
	}
}
