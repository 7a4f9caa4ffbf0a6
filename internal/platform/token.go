package platform

import (
	"encoding/json"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
)

// masked stands wherever a secret would have stood.
const masked = "********"

// Token is an API token. However it is printed, encoded or logged, alone or
// inside another value, it shows a mask: the secret is behind a pointer, which
// fmt does not follow in a field, and every method that fmt, slog and the
// encoders ask for is defined. The zero Token is no token.
type Token struct{ secret *string }

// NewToken takes the value of a token variable. A line break that was pasted
// with it is removed.
func NewToken(value string) Token {
	value = strings.TrimSpace(value)
	if value == "" {
		return Token{}
	}
	return Token{&value}
}

// IsZero tells whether there is no token.
func (t Token) IsZero() bool { return t.secret == nil }

func (t Token) String() string {
	if t.IsZero() {
		return ""
	}
	return masked
}

// GoString is for %#v.
func (t Token) GoString() string { return t.String() }

// LogValue is for slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText is for JSON and YAML.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

func (t Token) reveal() string {
	if t.IsZero() {
		return ""
	}
	return *t.secret
}

// Redact masks the token in text from outside, which may repeat what it was
// sent: as it is, or as it stands in a form, in JSON, or in quotes.
func (t Token) Redact(text string) string {
	if t.IsZero() {
		return text
	}
	inJSON, _ := json.Marshal(*t.secret) // a string can always be encoded
	for _, form := range []string{*t.secret, url.QueryEscape(*t.secret), string(inJSON[1 : len(inJSON)-1])} {
		text = strings.ReplaceAll(text, form, masked)
	}
	quoted := strconv.Quote(*t.secret)
	return strings.ReplaceAll(text, quoted[1:len(quoted)-1], masked)
}
