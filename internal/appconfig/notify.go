package appconfig

import (
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Notify says who is told of what, and how. One without a way tells nobody, which
// is how a cron keeps quiet where all others are told of.
type Notify struct {
	// Mail are the addresses that get a mail: addresses as in a mail's header, or the
	// name of a variable that holds some, with a $ before it.
	Mail []string
	// Webhook gets a JSON object for each message.
	Webhook URL
	// Ping gets the signals of the healthchecks.io convention for each run.
	Ping URL
	// On are the events that mail and webhook are for, never empty if there is a way.
	On []string
	// Position is where it stands.
	Position Position
}

// Quiet tells whether nobody is told of anything.
func (n *Notify) Quiet() bool {
	return n == nil || len(n.Mail) == 0 && n.Webhook.IsZero() && n.Ping.IsZero()
}

// Events are the words that On may hold. DefaultEvents are those that it holds if
// nothing is said.
func Events() []string {
	return []string{"failure", "uncertain", "missed", "recovered", "skipped", "success"}
}

// DefaultEvents are what people want to hear of.
func DefaultEvents() []string { return Events()[:4] }

// URL is where something is sent to, https or http, or $NAME for a variable that
// holds that. It may be a secret, so it does not print as what it is.
type URL struct{ text *string }

// NewURL wraps an address; an empty one is none.
func NewURL(text string) URL {
	if text == "" {
		return URL{}
	}
	return URL{&text}
}

// IsZero tells whether there is none.
func (u URL) IsZero() bool { return u.text == nil }

// Reveal is the address itself. It belongs into a request and nowhere else.
func (u URL) Reveal() string {
	if u.text == nil {
		return ""
	}
	return *u.text
}

// String is what may be shown: the name of the variable, or the host.
func (u URL) String() string {
	if u.text == nil {
		return ""
	}
	if strings.HasPrefix(*u.text, "$") {
		return *u.text
	}
	if parsed, err := url.Parse(*u.text); err == nil {
		return parsed.Host
	}
	return "an address"
}

// variable is how a value names the variable that holds it.
var variable = regexp.MustCompile(`^\$[A-Za-z_][A-Za-z0-9_]*$`)

// CheckURL says what keeps an address from being sent to; empty if nothing does. It
// never quotes the address.
func CheckURL(text string) string {
	parsed, err := url.Parse(text)
	switch {
	case err != nil || parsed.Scheme != "https" && parsed.Scheme != "http":
		return "is not an https or http URL"
	case parsed.Hostname() == "":
		return "is a URL without a host"
	case parsed.Fragment != "":
		return "is a URL with a fragment, which is never sent"
	}
	return ""
}

// notify reads whom to tell. Values are in no message: addresses of webhooks are
// secrets, and somebody may have put one into the wrong place.
func (s scope) notify(v value) *Notify {
	v, ok := s.resolve(v)
	if !ok {
		return nil
	}
	n := &Notify{Position: v.position()}
	if s.lenient && v.Kind == yaml.SequenceNode && len(v.Content) == 0 {
		return n
	}
	if v.Kind != yaml.MappingNode {
		s.fail(v, "for example notify: { mail: ops@example.com }", "notify must be a map, not %s", kindOf(v.Node))
		return nil
	}
	all, ok := s.entries(v, "notify")
	if !ok {
		return nil
	}
	begun := len(*s.errs)
	for _, k := range all {
		if s.lenient && null(k.value.Node) {
			continue
		}
		switch k.name {
		case "mail":
			n.Mail = s.readMail(k.value)
		case "webhook":
			n.Webhook = s.readURL(k.value, "webhook")
		case "ping":
			n.Ping = s.readURL(k.value, "ping")
		case "on":
			n.On = s.readEvents(k.value)
		default:
			s.fail(k.key, suggest(k.name, notifyKeys, "the keys are "+strings.Join(notifyKeys, ", ")), "unknown key %q of notify", clip(k.name))
		}
	}
	if n.Quiet() && len(all) > 0 && len(*s.errs) == begun {
		s.fail(v, "give it mail, webhook or ping; notify: {} tells nobody", "notify does not say how to tell")
	}
	if n.On == nil {
		n.On = DefaultEvents()
	}
	return n
}

// readURL reads where something is sent to.
func (s scope) readURL(v value, what string) URL {
	v, ok := s.resolve(v)
	if !ok || !s.known(v, what) {
		return URL{}
	}
	if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!str" {
		s.fail(v, "", "%s must be a string, not %s", what, kindOf(v.Node))
		return URL{}
	}
	if variable.MatchString(v.Value) {
		return NewURL(v.Value)
	}
	if problem := CheckURL(v.Value); problem != "" {
		s.fail(v, "write https://HOST/PATH, or $NAME to take it from the variable NAME", "%s %s", what, problem)
		return URL{}
	}
	return NewURL(v.Value)
}

// readMail reads one address or a list of them.
func (s scope) readMail(v value) []string {
	v, ok := s.resolve(v)
	if !ok || !s.known(v, "mail") {
		return nil
	}
	items := []value{v}
	if v.Kind == yaml.SequenceNode {
		items = nil
		for _, n := range v.Content {
			if item, ok := s.resolve(value{n, v.doc}); ok {
				items = append(items, item)
			}
		}
		if len(items) == 0 {
			s.fail(v, "to tell nobody, write notify: {}", "mail is an empty list")
		}
	}
	var addresses []string
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" {
			s.fail(item, "", "mail must be an address or a list of them, not %s", kindOf(item.Node))
			return nil
		}
		if _, err := mail.ParseAddress(item.Value); err != nil && !variable.MatchString(item.Value) {
			s.fail(item, "for example mail: [ops@example.com, $MAILTO]", "mail is not an address")
			return nil
		}
		addresses = append(addresses, item.Value)
	}
	return addresses
}

// readEvents reads a list of events, or one.
func (s scope) readEvents(v value) []string {
	v, ok := s.resolve(v)
	if !ok {
		return nil
	}
	items := []value{v}
	if v.Kind == yaml.SequenceNode {
		if items, ok = s.texts(v, "on"); !ok {
			return nil
		}
		if len(items) == 0 {
			s.fail(v, "to tell nobody, write notify: {}", "on is an empty list")
		}
	}
	var events []string
	for _, item := range items {
		word, ok := s.text(item, "on")
		if !ok {
			continue
		}
		if !slices.Contains(Events(), word) {
			s.fail(item, suggest(word, Events(), "the events are "+strings.Join(Events(), ", ")), "unknown event %q", clip(word))
		} else if !slices.Contains(events, word) {
			events = append(events, word)
		}
	}
	return events
}

// IsVariable tells whether a value names the variable that holds it: $NAME.
func IsVariable(text string) bool { return variable.MatchString(text) }
