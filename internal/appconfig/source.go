package appconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/nearest"
)

// Options say which app is read, and for whom.
type Options struct {
	// App is the name of the app. What follows a "--" names a worker and is
	// ignored: a worker is the same app. Empty: the only app there is.
	App string
	// Project is the project's id. H is drawn from it; without it, H stands open.
	Project string
}

// Source is where apps are configured: files that were found or named, or the
// variables of a container. It has been parsed; App checks one app of it.
type Source struct {
	apps []appEntry
	// index is where in apps an app is, by its name.
	index map[string]int
	// place is where the files lie; nil if there are none.
	place *place
	// overrides are the cronagent: variables of PLATFORM_VARIABLES.
	overrides map[string]json.RawMessage
	// upsun is as Upsun has it.
	upsun bool
	// roots are as Roots has them, and beside as Beside.
	roots  []value
	beside string
}

type appEntry struct {
	name  string
	file  string
	value value
	// inConfigDir says that several apps are configured in one directory, so that
	// source.root tells where the app is.
	inConfigDir bool
}

// physical is a directory without symbolic links, and what it was called: empty is the
// working directory.
func physical(start string) (called, path string, err error) {
	if start == "" {
		start = "."
	}
	if path, err = filepath.Abs(start); err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return start, "", Errors{{Position: Position{File: start}, Message: reason(err), cause: err}}
	}
	return start, path, nil
}

// Find looks for the configuration in the directory start and then in each
// directory above it, up to one that holds a Git repository: .platform.app.yaml,
// .platform/applications.yaml, .upsun/*.yaml, whichever comes first. Positions
// are relative to the working directory if start is. If there is none, the
// error matches fs.ErrNotExist.
func Find(start string) (*Source, error) {
	start, bottom, err := physical(start)
	if err != nil {
		return nil, err
	}
	for dir := bottom; ; dir = filepath.Dir(dir) {
		typed := ""
		if filepath.IsAbs(start) {
			typed = dir
		}
		source, err := findIn(dir, typed)
		if source != nil || err != nil {
			return source, err
		}
		if exists(filepath.Join(dir, ".git")) || dir == filepath.Dir(dir) {
			return nil, notFound(bottom, start)
		}
	}
}

func findIn(dir, typed string) (*Source, error) {
	for _, name := range []string{appFile, filepath.Join(platformDir, applicationsFile)} {
		_, err := os.Stat(filepath.Join(dir, name))
		if err == nil {
			return read(dir, typed, []string{name}, "")
		}
		if !absent(err) {
			p := newPlace(dir, typed)
			at := Position{File: p.show(filepath.Join(p.base, name))}
			return nil, Errors{{Position: at, Message: reason(err), cause: err}}
		}
	}
	// The platform merges all files of the first level, those in subdirectories
	// only where a tag includes them.
	names, err := filepath.Glob(filepath.Join(escapeGlob(dir), upsunDir, "*.yaml"))
	if err != nil || len(names) == 0 {
		return nil, nil
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = filepath.Join(upsunDir, filepath.Base(name))
	}
	return read(dir, typed, names, "")
}

func notFound(dir, start string) error {
	e := &Error{
		Position: Position{File: start},
		Message: fmt.Sprintf("no app configuration is here or above: neither %s nor %s/%s nor %s/*.yaml",
			appFile, platformDir, applicationsFile, upsunDir),
		Hint:  "go to the app's directory, or name the file with --file",
		cause: fs.ErrNotExist,
	}
	// Typical for a repository with several apps, looked at from its top.
	if below, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*", appFile)); len(below) > 0 {
		rel, _ := filepath.Rel(dir, below[0])
		e.Hint = fmt.Sprintf("there are some below: name one with --file, for example %s", filepath.Join(start, rel))
	}
	return Errors{e}
}

// ReadFile reads the one file that a person named. Its name, or else what is in
// it, tells whether it configures one app or several.
func ReadFile(path string) (*Source, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, Errors{{Position: Position{File: path}, Message: reason(err), cause: err}}
	}
	dir, name, typed := filepath.Dir(abs), filepath.Base(abs), filepath.Dir(path)
	if parent := filepath.Base(dir); parent == platformDir || parent == upsunDir {
		dir, name, typed = filepath.Dir(dir), filepath.Join(parent, name), filepath.Join(typed, "..")
	}
	return read(dir, typed, []string{name}, path)
}

// read parses the files of one directory, typed as newPlace takes it. A single
// file that a person named is called in messages what they called it.
func read(dir, typed string, names []string, called string) (*Source, error) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	p := newPlace(dir, typed)
	t, err := p.open()
	if err != nil {
		at := Position{File: p.show(filepath.Join(p.base, names[0]))}
		if called != "" {
			at.File = called
		}
		return nil, Errors{{Position: at, Message: reason(err), cause: err}}
	}
	defer t.close()
	r := newReader(t)
	s := scope{reader: r, errs: &r.errs}
	source := &Source{place: p, index: map[string]int{}}
	if len(names) == 1 {
		source.beside = besideApps[names[0]]
	}
	for _, name := range names {
		doc := &document{name: p.show(filepath.Join(p.base, name)), dir: filepath.Dir(filepath.Join(p.base, name)),
			path: filepath.Join(p.base, name)}
		if called != "" {
			doc.name = called
		}
		data, err := readRegular(os.OpenFile, filepath.Join(dir, name), maxFile)
		if err != nil {
			r.errs = append(r.errs, &Error{Position: Position{File: doc.name}, Message: reason(err), cause: err})
			continue
		}
		doc.text = data
		node := t.parse(data, doc.name, &r.errs)
		if node == nil {
			continue
		}
		root := value{node, doc}
		// Of several files some may be empty, or hold only services or routes.
		if null(node) && len(names) == 1 && source.beside == "" {
			s.fail(root, "", "the file is empty, or all of it is commented out")
			continue
		}
		source.roots = append(source.roots, root)
		if source.beside == "" {
			s.apps(source, root, name)
		}
	}
	if len(r.errs) == 0 && len(source.apps) == 0 && source.beside == "" {
		at := Position{File: p.show(filepath.Join(p.base, filepath.Dir(names[0])))}
		if len(names) == 1 {
			at = Position{File: p.show(filepath.Join(p.base, names[0])), Line: 1, Column: 1}
			if called != "" {
				at.File = called
			}
		}
		r.errs = append(r.errs, &Error{
			Position: at,
			Message:  "no app is configured: there is no key applications with an app in it",
			Hint:     source.misnamed("write applications: and below it the name of the app, with its type and its crons"),
		})
	}
	if errs := r.result(); len(errs) > 0 {
		return nil, errs
	}
	return source, nil
}

// besideApps are the files of Platform.sh and OVH Web PaaS that configure what is beside
// the apps of a project.
var besideApps = map[string]string{
	filepath.Join(platformDir, "routes.yaml"): "routes", filepath.Join(platformDir, "services.yaml"): "services",
}

// Beside is "routes" or "services" for a source that has these and no app, in a file of
// their own.
func (s *Source) Beside() string { return s.beside }

// misnamed is a hint: that one of the keys was probably meant to be applications, then
// rest.
func (s *Source) misnamed(rest string) string {
	for _, root := range s.Roots() {
		for _, k := range root.Keys() {
			if k.Name != "applications" && len(nearest.Words(k.Name, []string{"applications"})) > 0 {
				return suggest(k.Name, []string{"applications"}, rest)
			}
		}
	}
	return rest
}

// apps adds the apps of one file to the source. Of an app that is in two files,
// the platform takes the later file's, whole.
func (s scope) apps(source *Source, root value, name string) {
	root, ok := s.resolve(root)
	if !ok || null(root.Node) {
		return
	}
	if root.Kind == yaml.SequenceNode {
		s.appList(source, root)
		return
	}
	all, ok := s.entries(root, "the configuration")
	if !ok {
		return
	}
	many := filepath.Base(name) == applicationsFile && filepath.Dir(name) == platformDir
	if filepath.Dir(name) == upsunDir || !many && isUpsun(all) {
		apps, found := find(all, "applications")
		if !found {
			return
		}
		v, ok := s.resolve(apps.value)
		if !ok || null(v.Node) {
			return
		}
		if all, ok = s.entries(v, "applications"); !ok {
			return
		}
		many, source.upsun = true, true
	}
	if !many && !looksLikeApps(all) {
		app := appEntry{file: root.doc.name, value: root}
		if e, ok := find(all, "name"); ok {
			app.name, _ = s.text(e.value, "name")
		}
		source.add(app)
		return
	}
	for _, e := range all {
		// By custom, a key that starts with a dot holds anchors; it names no app.
		if strings.HasPrefix(e.name, ".") {
			continue
		}
		app := appEntry{name: e.name, file: e.key.doc.name, value: e.value, inConfigDir: true}
		source.add(app)
	}
}

// add puts an app in, in the place of an earlier one of that name.
func (s *Source) add(app appEntry) {
	if i, ok := s.index[app.name]; ok {
		s.apps[i] = app
		return
	}
	s.index[app.name] = len(s.apps)
	s.apps = append(s.apps, app)
}

// appList reads the older form of .platform/applications.yaml.
func (s scope) appList(source *Source, list value) {
	for _, item := range list.Content {
		v, ok := s.resolve(value{item, list.doc})
		if !ok {
			continue
		}
		all, ok := s.entries(v, "an app")
		if !ok {
			continue
		}
		name, ok := find(all, "name")
		if !ok {
			s.fail(v, "add name: to it", "this app has no name")
			continue
		}
		text, ok := s.text(name.value, "name")
		if !ok {
			continue
		}
		if _, twice := source.index[text]; twice {
			s.fail(name.value, "", "the app %q is there twice", text)
			continue
		}
		source.add(appEntry{name: text, file: list.doc.name, value: v, inConfigDir: true})
	}
}

// isUpsun tells by its one characteristic key whether a file has the form of
// .upsun/*.yaml.
func isUpsun(all []entry) bool {
	e, ok := find(all, "applications")
	return ok && (e.value.Kind == yaml.MappingNode || e.value.Kind == yaml.AliasNode || e.value.Tag == includeTag)
}

// looksLikeApps tells whether a file of any name maps app names to apps: all its
// values are maps, and at least one of them has what only an app has.
func looksLikeApps(all []entry) bool {
	apps := 0
	for _, e := range all {
		if e.value.Kind != yaml.MappingNode || slices.Contains([]string{"crons", "variables", "mounts", "hooks"}, e.name) {
			return false
		}
		for i := 0; i+1 < len(e.value.Content); i += 2 {
			if slices.Contains([]string{"type", "stack", "crons", "variables"}, e.value.Content[i].Value) {
				apps++
				break
			}
		}
	}
	return apps > 0
}

// FromVariables reads what a container is given: the JSON of
// PLATFORM_APPLICATION, and what PLATFORM_VARIABLES holds, by "namespace:name",
// both already decoded from base64. A variable cronagent:crons,
// cronagent:timezone, cronagent:ledger, cronagent:notify or cronagent:heartbeat
// replaces what the app's own configuration says.
func FromVariables(application []byte, variables map[string]json.RawMessage) (*Source, error) {
	doc := &document{name: "PLATFORM_APPLICATION", variable: true}
	node, err := jsonNode(application)
	if err == nil && node.Kind != yaml.MappingNode {
		err = errors.New("it is no object")
	}
	if err != nil {
		return nil, Errors{{Position: Position{File: doc.name}, Message: "not the JSON of an app: " + err.Error(), cause: err}}
	}
	r := newReader(nil)
	s := scope{reader: r, errs: &r.errs}
	app := appEntry{file: doc.name, value: value{node, doc}}
	all, _ := s.entries(app.value, "the app")
	if e, ok := find(all, "name"); ok && !null(e.value.Node) {
		app.name, _ = s.text(e.value, "name")
	}
	if errs := r.result(); len(errs) > 0 {
		return nil, errs
	}
	app.name = withoutWorker(app.name)
	source := &Source{index: map[string]int{}}
	source.add(app)
	source.Override(variables)
	return source, nil
}

// Override lets the variables of an environment, by "namespace:name", replace
// what an app's own configuration says: cronagent:crons and the other settings.
func (s *Source) Override(variables map[string]json.RawMessage) {
	s.overrides = map[string]json.RawMessage{}
	for name, text := range variables {
		if key, ok := strings.CutPrefix(name, namespace+":"); ok {
			s.overrides[key] = text
		}
	}
}

// Roots are the files as they are written; none if the source is a container's variables.
func (s *Source) Roots() []Written {
	all := make([]Written, len(s.roots))
	for i, v := range s.roots {
		all[i] = Written{v}
	}
	return all
}

// Apps returns the names of the apps that are configured, in the order of the
// files.
func (s *Source) Apps() []string {
	names := make([]string, len(s.apps))
	for i, app := range s.apps {
		names[i] = app.name
	}
	return names
}

// App reads and checks one app. The error, always an Errors, holds all problems
// of the settings and of the agent's crons; then there is no App.
func (s *Source) App(opts Options) (*App, error) {
	app, errs := s.app(opts)
	if len(errs) > 0 {
		return nil, errs
	}
	return app, nil
}

// Problems returns everything that is wrong with one app: what App would
// return as an error, and what it would carry in the platform's crons.
func (s *Source) Problems(opts Options) Errors {
	app, errs := s.app(opts)
	if app == nil {
		return errs
	}
	whole, _ := app.Problem.(Errors)
	errs = append(errs, whole...)
	for _, c := range app.Crons {
		own, _ := c.Problem.(Errors)
		errs = append(errs, own...)
	}
	errs.sort()
	return errs
}

// Inspect returns an app as far as it could be read, and what is wrong with the
// settings and the agent's crons. An app with errors is to be looked at and not to
// be acted on; some of its crons may have no Schedule. It is nil if there is no
// such app.
func (s *Source) Inspect(opts Options) (*App, Errors) { return s.app(opts) }

// app returns the app as far as it could be read, and what is wrong with it.
func (s *Source) app(opts Options) (*App, Errors) {
	chosen, err := s.pick(opts.App)
	if err != nil {
		return nil, Errors{err}
	}
	var t *tree
	if s.place != nil {
		var err error
		if t, err = s.place.open(); err != nil {
			return nil, Errors{{Position: Position{File: chosen.file}, Message: reason(err), cause: err}}
		}
		defer t.close()
	}
	r := newReader(t)
	r.project, r.app = opts.Project, chosen.name
	if r.app == "" {
		r.app = withoutWorker(opts.App)
	}
	app := r.readApp(chosen, s)
	return app, r.result()
}

func (s *Source) pick(name string) (appEntry, *Error) {
	if s.beside != "" {
		return appEntry{}, &Error{Position: s.Roots()[0].Position(), Message: "this file configures " + s.beside + ", and no app", Hint: "name the file of the app"}
	}
	if len(s.apps) == 1 && (name == "" || s.apps[0].name == "") {
		return s.apps[0], nil
	}
	if name != "" {
		for _, want := range []string{name, withoutWorker(name)} {
			if i, ok := s.index[want]; ok {
				return s.apps[i], nil
			}
		}
	}
	const most = 20
	var names []string
	for i, app := range s.apps {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(s.apps)-i))
			break
		}
		names = append(names, strconv.Quote(app.name))
	}
	const hint = "name one of them with --app"
	e := &Error{Position: Position{File: s.apps[0].file}, Hint: hint}
	if name == "" {
		e.Message = "several apps are configured: " + strings.Join(names, ", ")
	} else {
		e.Message = fmt.Sprintf("no app is named %q; there is %s", name, strings.Join(names, ", "))
		e.Hint = suggest(name, s.Apps(), hint)
	}
	return appEntry{}, e
}

// withoutWorker cuts the name of a worker's container down to the app's.
func withoutWorker(name string) string {
	app, _, _ := strings.Cut(name, "--")
	return app
}
