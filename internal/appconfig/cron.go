package appconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/nearest"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/schedule"
)

var environmentTypes = EnvironmentTypes()

const (
	maxTimeout = 86400
	// maxRetries, maxWithin (a year, in seconds) and maxName bound what can only be
	// a mistake.
	maxRetries = 100
	maxWithin  = 366 * 86400
	maxName    = 255
)

// platformCrons reads the app's crons:. What is wrong with all of them is in
// r.errs then.
func (r *reader) platformCrons(all []entry, in zones) []Cron {
	e, ok := find(all, "crons")
	if !ok {
		return nil
	}
	s := scope{reader: r, errs: &r.errs}
	return s.crons(e.value.below("crons"), Platform, in)
}

// crons reads a map of crons.
func (s scope) crons(v value, by Scheduler, in zones) []Cron {
	v, ok := s.resolve(v)
	if !ok || null(v.Node) {
		return nil
	}
	all, _ := s.entries(v, "crons")
	crons := make([]Cron, 0, len(all))
	for i := 0; i < len(all); {
		e := all[i]
		i++
		var stray []entry
		if misplaced(e) {
			stray = all[i-1 : i]
		}
		for i < len(all) && misplaced(all[i]) {
			stray = append(stray[:len(stray):len(stray)], all[i])
			i++
		}
		if misplaced(e) {
			s.strays(stray, "the cron that it belongs to")
			continue
		}
		name := e.name
		e.key, e.value = e.key.below(name), e.value.below(name)
		one := scope{reader: s.reader, cron: name, errs: s.errs}
		var own Errors
		if by == Platform {
			one.errs = &own
		}
		c := Cron{Name: name, Scheduler: by, Position: e.key.position()}
		if null(e.value.Node) && len(stray) > 0 {
			one.strays(stray, fmt.Sprintf("%q", name))
		} else {
			s.strays(stray, "the cron that it belongs to")
			one.readCron(&c, e, in)
		}
		if e.twice && by == Platform {
			one.fail(e.key, "remove one of them", "it is there twice, and which one counts is not known")
		}
		own.sort()
		c.Problem = own.err()
		crons = append(crons, c)
	}
	return crons
}

// misplaced tells whether a key of a cron stands one level too high, where the
// names of crons do: the commonest slip of indentation that is still YAML.
func misplaced(e entry) bool {
	if !slices.Contains(agentKeys, e.name) {
		return false
	}
	switch n := e.value.Node; n.Kind {
	case yaml.ScalarNode:
		return !null(n) && n.Tag != includeTag
	case yaml.MappingNode:
		return e.name == "commands" && len(n.Content) > 0 &&
			(n.Content[0].Value == "start" || n.Content[0].Value == "stop")
	default:
		return n.Kind == yaml.SequenceNode
	}
}

func (s scope) strays(stray []entry, owner string) {
	for _, e := range stray {
		s.fail(e.key, "indent it below "+owner, "%q stands where the name of a cron is expected", e.name)
	}
}

// job is what a cron has to do, while it is being read.
type job struct {
	fire, command  bool
	cmd, start     string
	cmdAt, startAt value
}

// readCron reads one cron into c.
func (s scope) readCron(c *Cron, e entry, in zones) {
	c.Timeout, c.ShutdownTimeout, c.Enabled = DefaultTimeout, DefaultShutdownTimeout, true
	keys := platformKeys
	if c.Scheduler == Agent {
		keys = agentKeys
		c.EnvironmentTypes = []string{"production"}
		c.Overlap, c.Missed, c.MissedWithin = OverlapSkip, MissedOnce, DefaultMissedWithin
	}
	if why := badName(e.name); why != "" {
		s.fail(e.key, "", "the name of a cron %s", why)
	}
	v, ok := s.resolve(e.value)
	if !ok {
		return
	}
	if null(v.Node) {
		s.fail(e.key, "give it a spec and something to do, or remove it", "it is empty")
		return
	}
	all, ok := s.entries(v, "a cron")
	if !ok {
		return
	}
	var do job
	var spec, zone *value
	c.keys = make([]keyPosition, 0, len(all)+2) // commands has two
	for _, k := range all {
		if null(k.value.Node) && (s.lenient || slices.Contains([]string{"commands", "cmd", "timeout", "shutdown_timeout"}, k.name)) {
			continue
		}
		if !slices.Contains(keys, k.name) {
			hint := suggest(k.name, keys, "the keys are "+strings.Join(keys, ", "))
			if c.Scheduler == Platform && slices.Contains(agentKeys, k.name) {
				hint = fmt.Sprintf("only crons below variables.%s.crons may have it", namespace)
			}
			s.fail(k.key, hint, "unknown key %q", clip(k.name))
			continue
		}
		c.keys = append(c.keys, keyPosition{k.name, k.value.position()})
		switch k.name {
		case "spec":
			spec = &k.value
		case "timezone":
			zone = &k.value
		default:
			s.readKey(c, &do, k)
		}
	}
	s.readJob(c, do)
	s.readSpec(c, e, spec, zone, in)
}

// badName says what is wrong with a cron's name: it becomes part of log lines,
// listings and the ledger.
func badName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxName:
		return fmt.Sprintf("is longer than %d bytes", maxName)
	case strings.IndexFunc(name, unicode.IsControl) >= 0:
		return "holds a control character"
	case strings.TrimSpace(name) != name:
		return "begins or ends with a blank"
	}
	return ""
}

// readKey reads one key, other than those of when a cron is due.
func (s scope) readKey(c *Cron, do *job, k entry) {
	seconds := func(least, most int, into *time.Duration) {
		if n, ok := s.integer(k.value, k.name+", in seconds,", least, most); ok {
			*into = time.Duration(n) * time.Second
		}
	}
	switch k.name {
	case "fire":
		do.fire = true
		c.Fire = s.readFire(k.value)
	case "cmd":
		do.command = true
		do.cmd, do.cmdAt = s.command(k.value, k.name), k.value
	case "commands":
		s.readCommands(c, do, k.value)
	case "timeout":
		seconds(1, maxTimeout, &c.Timeout)
	case "shutdown_timeout":
		seconds(0, maxTimeout, &c.ShutdownTimeout)
	case "missed_within":
		seconds(0, maxWithin, &c.MissedWithin)
	case "retries":
		c.Retries, _ = s.integer(k.value, k.name, 0, maxRetries)
	case "overlap":
		c.Overlap = Overlap(s.choice(k.value, k.name, string(OverlapSkip), string(OverlapQueue), string(OverlapAllow)))
	case "missed":
		c.Missed = Missed(s.choice(k.value, k.name, string(MissedOnce), string(MissedSkip)))
	case "enabled":
		c.Enabled, _ = s.boolean(k.value, k.name)
	case "environment_types":
		c.EnvironmentTypes = s.readTypes(k.value)
	case "env":
		c.Env = s.readEnv(k.value)
	case "notify":
		c.Notify = s.notify(k.value)
	}
}

// readFire reads an operation: words in one string, or a list of them.
func (s scope) readFire(v value) *operation.Request {
	v, ok := s.resolve(v)
	if !ok {
		return nil
	}
	var words []string
	if v.Kind == yaml.SequenceNode {
		items, ok := s.texts(v, "fire")
		if !ok {
			return nil
		}
		for _, item := range items {
			words = append(words, item.Value)
		}
	} else {
		text, ok := s.text(v, "fire")
		if !ok {
			return nil
		}
		if strings.ContainsAny(text, `'"`) {
			s.fail(v, "give the words as a list, for example fire: [source-operation:run, update]",
				"fire is split at blanks and knows no quotes")
			return nil
		}
		words = strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) })
	}
	request, err := operation.Parse(words)
	if err != nil {
		hint := ""
		if unknown, ok := errors.AsType[*operation.UnknownError](err); ok {
			hint = nearest.Ask(operation.MeantOperations(unknown.Name), "")
		} else if option, ok := errors.AsType[*operation.OptionError](err); ok {
			hint = nearest.Ask(option.Meant, "")
		}
		s.add(&Error{Position: v.position(), Message: "fire: " + err.Error(), Hint: hint, cause: err})
		return nil
	}
	return &request
}

// readCommands reads commands: a map, or kindly a string, which the platform's
// schema does not allow and its own template repository has.
func (s scope) readCommands(c *Cron, do *job, v value) {
	v, ok := s.resolve(v)
	if !ok {
		do.command = true
		return
	}
	if v.Kind == yaml.ScalarNode {
		do.command = true
		do.start, do.startAt = s.command(v, "commands"), v
		return
	}
	all, ok := s.entries(v, "commands")
	if !ok {
		do.command = true
		return
	}
	for _, k := range all {
		if null(k.value.Node) && (s.lenient || k.name == "stop") {
			continue
		}
		c.keys = append(c.keys, keyPosition{"commands." + k.name, k.value.position()})
		switch k.name {
		case "start":
			do.command = true
			do.start, do.startAt = s.command(k.value, "commands.start"), k.value
		case "stop":
			c.Stop = s.command(k.value, "commands.stop")
		default:
			s.fail(k.key, suggest(k.name, commandKeys, "the keys are "+strings.Join(commandKeys, " and ")), "unknown key %q of commands", clip(k.name))
		}
	}
	if _, ok := find(all, "start"); !ok && !s.lenient {
		do.command = true
		s.fail(v, "", "commands has no start")
	}
}

func (s scope) command(v value, what string) string {
	text, ok := s.text(v, what)
	if ok && strings.TrimSpace(text) == "" {
		s.fail(v, "", "%s is empty", what)
	}
	if strings.ContainsRune(text, 0) {
		s.fail(v, "", "%s holds a NUL character", what)
	}
	return text
}

// readJob settles what the cron does.
func (s scope) readJob(c *Cron, do job) {
	at := value{&yaml.Node{Line: c.Position.Line, Column: c.Position.Column},
		&document{name: c.Position.File, variable: c.Position.Line == 0}}
	c.Start = do.start
	if c.Start == "" {
		c.Start = do.cmd
	}
	switch {
	case do.fire && do.command:
		s.fail(at, "make two crons of it", "it has both fire and a command")
	case do.cmd != "" && do.start != "" && do.cmd != do.start:
		s.fail(do.cmdAt, "keep commands.start; cmd is its older name",
			"cmd and commands.start differ, and it is not documented which of them the platform runs")
	case !do.fire && !do.command && c.Scheduler == Agent:
		s.fail(at, "give it fire or commands.start", "it has nothing to do")
	case !do.fire && !do.command:
		s.fail(at, "give it commands.start", "it has no command")
	}
}

// readSpec reads when the cron is due.
func (s scope) readSpec(c *Cron, e entry, spec, own *value, in zones) {
	zone := s.zoneOf(c, e, own, in)
	if spec == nil {
		s.fail(e.key, "give it one, for example spec: '0 5 * * *'", "it has no spec")
		return
	}
	text, ok := s.text(*spec, "spec")
	if !ok {
		return
	}
	c.Spec = text
	// The platform draws its own H, and ours needs the project: off the platform it
	// would be another one than in production. A zero seed leaves it open.
	var seed schedule.Seed
	drawn := c.Scheduler == Agent && s.project != ""
	if drawn {
		seed = schedule.NewSeed(s.project, s.app, c.Name)
	}
	parsed, err := s.parse(timing{text, zone, drawn}, seed)
	if err != nil {
		hint := ""
		if wrong := (*schedule.Error)(nil); errors.As(err, &wrong) {
			hint = wrong.Hint
		}
		s.add(&Error{Position: spec.position(), Message: err.Error(), Hint: hint, cause: err})
		return
	}
	if _, every := parsed.Every(); every && c.Scheduler == Platform {
		s.fail(*spec, fmt.Sprintf("use five fields, or move the cron below variables.%s.crons", namespace), "only the agent knows @every")
		return
	}
	c.Schedule = parsed
}

func (s scope) parse(t timing, seed schedule.Seed) (*schedule.Schedule, error) {
	if known := s.parsed[t]; known != nil {
		return known, nil
	}
	parsed, err := schedule.Parse(t.spec, t.zone, seed)
	if err == nil && !(parsed.Hashed() && t.drawn) {
		s.parsed[t] = parsed
	}
	return parsed, err
}

// zoneOf finds the zone of a cron: its own, else the settings', else the app's.
// It returns UTC if that cannot be told, and has said so.
func (s scope) zoneOf(c *Cron, e entry, own *value, in zones) *time.Location {
	c.Zone = time.UTC
	switch {
	case own != nil:
		if name, ok := s.text(*own, "timezone"); ok {
			if zone, ok := s.zone(*own, name); ok {
				c.Zone = zone
			}
		}
	case in.settings != nil:
		c.Zone = in.settings
	case in.appProblem != nil:
		s.add(&Error{Position: in.appProblem.Position, Hint: in.appProblem.Hint, Message: "the app's timezone: " + in.appProblem.Message})
	case c.Scheduler == Agent && !in.appKnown:
		s.fail(e.key, fmt.Sprintf("set variables.%s.timezone, or timezone in the cron, for example to UTC", namespace),
			`its time zone is not known: the app's configuration in this container has no key "timezone"`)
	default:
		c.Zone = in.app
	}
	return c.Zone
}

// choice reads one of a few words.
func (s scope) choice(v value, what string, words ...string) string {
	text, ok := s.text(v, what)
	if ok && !slices.Contains(words, text) {
		s.fail(v, suggest(text, words, ""), "%s must be %s or %s, not %q", what, strings.Join(words[:len(words)-1], ", "), words[len(words)-1], clip(text))
	}
	return text
}

func (s scope) readTypes(v value) []string {
	v, ok := s.resolve(v)
	if !ok {
		return nil
	}
	if v.Kind != yaml.SequenceNode {
		hint := ""
		if v.Kind == yaml.ScalarNode && !null(v.Node) {
			hint = fmt.Sprintf("write environment_types: [%s]", clip(v.Value))
		}
		s.fail(v, hint, "environment_types must be a list, not %s", describe(v.Node))
		return nil
	}
	items, ok := s.texts(v, "environment_types")
	if ok && len(items) == 0 {
		s.fail(v, "to switch a cron off, write enabled: false", "environment_types is an empty list")
	}
	var types []string
	for _, item := range items {
		if !slices.Contains(environmentTypes, item.Value) {
			s.fail(item, suggest(item.Value, environmentTypes, "the types are "+strings.Join(environmentTypes, ", ")),
				"unknown environment type %q", clip(item.Value))
		} else if !slices.Contains(types, item.Value) {
			types = append(types, item.Value)
		}
	}
	return types
}

var (
	envName = pattern(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// reserved are variables that say where the agent is and who it is.
	reserved = pattern(`^(PLATFORM_.*|CRONAGENT_.*|PLATFORMSH_CLI_TOKEN|UPSUN_CLI_TOKEN|OVHCLOUD_WEBPAAS_CLI_TOKEN)$`)
)

// readEnv reads the command's own environment. Its values may be secrets and are
// in no message.
func (s scope) readEnv(v value) map[string]string {
	v, ok := s.resolve(v)
	if !ok {
		return nil
	}
	if v.Kind == yaml.ScalarNode {
		s.fail(v, "", "env must be a map, not %s", kindOf(v.Node))
		return nil
	}
	all, ok := s.entries(v, "env")
	if !ok {
		return nil
	}
	env := make(map[string]string, len(all))
	for _, e := range all {
		v, ok := s.resolve(e.value)
		switch {
		case !ok:
		case !envName().MatchString(e.name):
			s.fail(e.key, "letters, digits and _, no digit first", "env: %q is not the name of a variable", clip(e.name))
		case reserved().MatchString(e.name):
			s.fail(e.key, "choose another name", "env: %s is the platform's or the agent's own", clip(e.name))
		case v.Kind != yaml.ScalarNode || v.ShortTag() != "!!str":
			s.fail(v, "put it in quotes", "env: the value of %s must be a string, not %s", clip(e.name), kindOf(v.Node))
		case strings.ContainsRune(v.Value, 0):
			s.fail(v, "", "env: the value of %s holds a NUL character", clip(e.name))
		default:
			env[e.name] = v.Value
		}
	}
	return env
}
