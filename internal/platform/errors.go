package platform

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Kind says what an error means for whoever asked. It decides the exit code.
type Kind int

// The kinds of failure.
const (
	// Failed: the platform refused for good; the same request will fail again.
	Failed Kind = iota
	// Unauthorized: there is no token, or the platform refuses it.
	Unauthorized
	// Forbidden: the token's user may not do this, or the operation is not
	// available in the environment's present state.
	Forbidden
	// Unavailable: given up for now. Surely nothing was accepted; the same
	// request may be sent again.
	Unavailable
	// Uncertain: the platform may or may not have accepted the request.
	Uncertain
)

// Reason is the cause of an error as far as it is known, for the hint.
type Reason int

// The reasons that have a hint of their own.
const (
	Unexplained Reason = iota
	NoToken
	TokenRefused
	SessionExpired
	StepUp
	RoleTooSmall
	ProjectRoleTooSmall
	NotActive
	Busy
	Staged
	NotAvailable
	UnknownProject
	UnknownEnvironment
	NoConnection
	BadCertificate
	NotFromAPI
	Redirected
)

// Error is a call that did not end as it should.
type Error struct {
	Kind   Kind
	Reason Reason
	// Op is what was tried, in words: "exchange the API token",
	// "backup:create on main".
	Op string
	// Host is the server that was asked; empty if none was.
	Host string
	// Status is the HTTP status of its answer; 0 if there was none.
	Status int
	// Detail is what the server or the network said, on one line, without secrets.
	// It is text from outside.
	Detail string
	// Names are the environments that exist, for UnknownEnvironment.
	Names []string

	retryAfter time.Duration // 0: the server did not say
}

func (e *Error) Error() string { return join(e.Op, e.said()) }

// said is what the server or the network said.
func (e *Error) said() string {
	var parts []string
	if e.Status != 0 {
		parts = append(parts, fmt.Sprintf("%d %s from %s", e.Status, http.StatusText(e.Status), e.Host))
	}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	return strings.Join(parts, ": ")
}

// NotFound tells whether what was asked for is not there, though the project and the
// environment are.
func (e *Error) NotFound() bool { return e.Status == http.StatusNotFound && e.Reason == Unexplained }

// Conflict tells whether the platform has it already.
func (e *Error) Conflict() bool { return e.Status == http.StatusConflict }

var (
	errTooLong  = errors.New("the answer is too long")
	errNoObject = errors.New("the answer is no JSON object")
)

// maxDetail bounds what is repeated of a server's words, in bytes.
const maxDetail = 300

// complaint is the union of the error bodies that the platform's APIs send; its
// clients look for the same words.
type complaint struct {
	Status           any             `json:"status"`
	Code             json.RawMessage `json:"code"`
	Message          string          `json:"message"`
	Detail           json.RawMessage `json:"detail"`
	Title            string          `json:"title"`
	Error            string          `json:"error"`
	ErrorDescription string          `json:"error_description"`
	ErrorHint        string          `json:"error_hint"`
}

// readComplaint decodes an error body; ok is false if it is no JSON object.
func readComplaint(body []byte) (c complaint, ok bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return complaint{}, false
	}
	// A field of an unexpected type leaves the others readable.
	for name, target := range map[string]any{
		"status": &c.Status, "code": &c.Code, "message": &c.Message, "detail": &c.Detail, "title": &c.Title,
		"error": &c.Error, "error_description": &c.ErrorDescription, "error_hint": &c.ErrorHint,
	} {
		if raw, exists := fields[name]; exists {
			_ = json.Unmarshal(raw, target)
		}
	}
	return c, true
}

// own tells whether the body has the shape of the project API's own errors, as
// opposed to those of a gateway in front of it, which may have passed the request on.
func (c complaint) own(status int) bool {
	return c.Status == "error" && string(c.Code) == strconv.Itoa(status)
}

// text puts the server's words on one line, which may be long.
func (c complaint) text() string {
	var parts []string
	add := func(s string) {
		if s = strings.Join(strings.Fields(s), " "); s != "" && !strings.Contains(strings.Join(parts, " "), s) {
			parts = append(parts, s)
		}
	}
	if c.ErrorDescription != "" {
		add(c.ErrorDescription)
	} else {
		add(c.Error)
	}
	add(c.ErrorHint)
	add(c.Title)
	add(c.Message)
	if len(c.Detail) > 0 && string(c.Detail) != "null" {
		var detail string
		if json.Unmarshal(c.Detail, &detail) != nil {
			detail = string(c.Detail)
		}
		if detail != "{}" && detail != "[]" {
			add(detail)
		}
	}
	return strings.Join(parts, ": ")
}

// join puts what is known in a row.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ": " + b
}

func shorten(text string) string {
	if len(text) <= maxDetail {
		return text
	}
	return strings.ToValidUTF8(text[:maxDetail], "") + "..."
}
