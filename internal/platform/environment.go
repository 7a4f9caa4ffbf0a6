package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/cronagent/cronagent/internal/operation"
)

// Environment is what the API tells of an environment, as far as it decides or
// explains a fire.
type Environment struct {
	ID          string `json:"id"`
	MachineName string `json:"machine_name"`
	// Type is production, staging or development.
	Type string `json:"type"`
	// Status is active, inactive, paused, dirty or deleting.
	Status string          `json:"status"`
	Links  map[string]link `json:"_links"`
}

type link struct {
	Href string `json:"href"`
}

// UnmarshalJSON of a link forgives what is no object: HAL allows lists of links,
// and none of those is an operation.
func (l *link) UnmarshalJSON(data []byte) error {
	var raw struct{ Href string }
	if json.Unmarshal(data, &raw) == nil {
		l.Href = raw.Href
	}
	return nil
}

// Environment reads the target's environment, which may be named by its machine
// name too. All errors are *Error; an environment or a project that does not
// exist is said to be so.
func (c *Client) Environment(ctx context.Context, t Target) (Environment, error) {
	var env Environment
	if err := t.check("read environment " + t.Environment); err != nil {
		return env, err
	}
	err := c.authorized(ctx, func(auth string) (e *Error) {
		env, e = c.environment(ctx, auth, t)
		return e
	})
	return env, err
}

// environment reads one environment, by its id or by its machine name, which
// people have in PLATFORM_ENVIRONMENT.
func (c *Client) environment(ctx context.Context, auth string, t Target) (Environment, *Error) {
	var env Environment
	op := "read environment " + t.Environment
	e := c.get(ctx, auth, op, t.path(""), &env)
	// Whoever is not on the project gets 403 or 404 for all that is in it.
	if e == nil || e.Status != http.StatusNotFound && e.Status != http.StatusForbidden {
		return env, e
	}
	var all []Environment
	list := "/projects/" + url.PathEscape(t.Project) + "/environments"
	if listError := c.get(ctx, auth, op, list, &all); listError != nil {
		if listError.Reason != NotFromAPI && (listError.Status == http.StatusNotFound || listError.Status == http.StatusForbidden) {
			listError.Reason, listError.Detail = UnknownProject, fmt.Sprintf("project %q does not exist, or this token's user is not on it", t.Project)
		}
		return Environment{}, listError
	}
	var names []string
	for _, env := range all {
		if env.MachineName == t.Environment && env.MachineName != "" {
			return env, nil
		}
		names = append(names, env.ID)
	}
	if e.Status == http.StatusForbidden {
		return Environment{}, e
	}
	e.Names = names
	e.Reason = UnknownEnvironment
	e.Detail = fmt.Sprintf("environment %q does not exist in project %q", t.Environment, t.Project)
	return Environment{}, e
}

func (c *Client) get(ctx context.Context, auth, op, path string, into any) *Error {
	r := call{op: op, method: http.MethodGet, url: c.APIURL + path, auth: auth, limit: maxList}
	a, err := c.repeat(ctx, r)
	if err != nil {
		return err.(*Error)
	}
	if a.status < 200 || a.status > 299 {
		return c.refusal(r, a)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return &Error{Kind: Failed, Reason: NotFromAPI, Op: op, Host: hostOf(r.url), Status: a.status, Detail: "the answer has an unexpected shape"}
	}
	return nil
}

// reading is the target's environment, read once and only if a refusal makes it
// necessary: to find another address, to explain the refusal, or both.
type reading struct {
	client  *Client
	target  Target
	done    bool
	env     Environment
	problem *Error
}

func (r *reading) look(ctx context.Context, auth string) {
	if !r.done {
		r.done = true
		r.env, r.problem = r.client.environment(ctx, auth, r.target)
	}
}

// address is that of an operation whose direct path the API does not know: the
// path of the link that the environment offers, on our own host. The link's host
// is another one, and must not get our token. Empty: there is none.
func (r *reading) address(ctx context.Context, auth, link string) string {
	r.look(ctx, auth)
	offered, err := url.Parse(r.env.Links[link].Href)
	if r.problem != nil || err != nil || !strings.HasPrefix(offered.EscapedPath(), "/") {
		return ""
	}
	// A link's path begins at the root of the host, even if our base does not.
	base, err := url.Parse(r.client.APIURL)
	if err != nil {
		return ""
	}
	return base.Scheme + "://" + base.Host + offered.EscapedPath()
}

// explain adds to a refusal what explains it. What cannot be read explains
// nothing: e stays as it is.
func (r *reading) explain(ctx context.Context, auth string, request operation.Request, e *Error) {
	switch e.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusConflict:
	default:
		return
	}
	r.look(ctx, auth)
	if r.problem != nil {
		if r.problem.Reason == UnknownEnvironment || r.problem.Reason == UnknownProject {
			e.Reason, e.Detail, e.Names = r.problem.Reason, r.problem.Detail, r.problem.Names
		}
		return
	}
	_, offered := r.env.Links[request.Link]
	switch {
	case r.env.Status != "" && r.env.Status != "active" && r.env.Status != "dirty":
		e.Kind, e.Reason = Forbidden, NotActive
		e.Detail = join(e.Detail, fmt.Sprintf("environment %s is %s", r.target.Environment, r.env.Status))
	case e.Status == http.StatusForbidden:
		e.Reason = RoleTooSmall
		e.Detail = join(e.Detail, fmt.Sprintf("the token's user may not do this on %s, which is of type %s", r.target.Environment, r.env.Type))
	case !offered:
		e.Kind, e.Reason = Forbidden, NotAvailable
		e.Detail = join(e.Detail, fmt.Sprintf("the platform does not offer %s on %s at present", request.Operation, r.target.Environment))
	}
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ": " + b
}

// User is the owner of the API token.
type User struct {
	ID                  string `json:"id"`
	Username            string `json:"username"`
	Email               string `json:"email"`
	FirstName           string `json:"first_name"`
	LastName            string `json:"last_name"`
	PhoneNumberVerified bool   `json:"phone_number_verified"`
}

// Me reads whose token it is. All errors are *Error.
func (c *Client) Me(ctx context.Context) (User, error) {
	var user User
	err := c.read(ctx, "read the token's user", "/users/me", &user)
	return user, err
}

// read is get with authorization.
func (c *Client) read(ctx context.Context, op, path string, into any) error {
	return c.authorized(ctx, func(auth string) *Error { return c.get(ctx, auth, op, path, into) })
}

// authorized runs do with an Authorization header, and a second time with a new
// one if the first is refused.
func (c *Client) authorized(ctx context.Context, do func(auth string) *Error) error {
	auth, err := c.authorize(ctx, "")
	if err != nil {
		return err
	}
	e := do(auth)
	if e != nil && e.Status == http.StatusUnauthorized && e.Reason != StepUp {
		if auth, err = c.authorize(ctx, auth); err != nil {
			return err
		}
		e = do(auth)
	}
	if e == nil {
		return nil
	}
	switch {
	case e.Status == http.StatusUnauthorized && e.Reason != StepUp:
		e.Kind, e.Reason = Unauthorized, TokenRefused
	case e.Status == http.StatusForbidden:
		e.Kind = Forbidden
	}
	return e
}
