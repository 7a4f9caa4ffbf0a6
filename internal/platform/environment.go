package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Environment is what the API tells of an environment, as far as it decides or
// explains a fire.
type Environment struct {
	ID          string `json:"id"`
	MachineName string `json:"machine_name"`
	// Type is production, staging or development.
	Type string `json:"type"`
	// Status is active, inactive, paused, dirty or deleting.
	Status string `json:"status"`
	// HasStagedActivities says that changes wait for a deployment by hand.
	HasStagedActivities bool `json:"has_staged_activities"`
	// Deployment is nil if nothing was deployed.
	Deployment *Deployment     `json:"deployment_state"`
	Sizing     Sizing          `json:"sizing"`
	Links      map[string]link `json:"_links"`
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
	if err := t.check("read environment " + t.Environment); err != nil {
		return Environment{}, err
	}
	env, e := c.environment(ctx, t)
	if e != nil {
		return Environment{}, e
	}
	return env, nil
}

// environment reads one environment, by its id or by its machine name, which
// people have in PLATFORM_ENVIRONMENT.
func (c *Client) environment(ctx context.Context, t Target) (Environment, *Error) {
	var env Environment
	op := "read environment " + t.Environment
	_, e := c.read(ctx, op, t.path(""), &env)
	// Whoever is not on the project gets 403 or 404 for all that is in it.
	if e == nil || e.Status != http.StatusNotFound && e.Status != http.StatusForbidden {
		return env, e
	}
	var all []Environment
	if _, listError := c.read(ctx, op, t.project("environments"), &all); listError != nil {
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

// get reads one resource into a value. The answer is for those who want to know
// its header.
func (c *Client) get(ctx context.Context, auth, op, path string, into any) (answer, *Error) {
	r := call{op: op, method: http.MethodGet, url: c.APIURL + path, auth: auth, limit: maxList}
	a, e := c.repeat(ctx, r)
	if e != nil {
		return answer{}, e
	}
	if a.status < 200 || a.status > 299 {
		return answer{}, c.refusal(r, a)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return answer{}, &Error{Kind: Failed, Reason: NotFromAPI, Op: op, Host: hostOf(r.url), Status: a.status, Detail: "the answer has an unexpected shape"}
	}
	return a, nil
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

const mePath = "/users/me"

// Me reads whose token it is. All errors are *Error.
func (c *Client) Me(ctx context.Context) (User, error) {
	var user User
	if _, e := c.read(ctx, "read the token's user", mePath, &user); e != nil {
		return User{}, e
	}
	return user, nil
}

// Activity reads how an activity stands. All errors are *Error.
func (c *Client) Activity(ctx context.Context, project, id string) (Activity, error) {
	op := "read activity " + id
	t := Target{Project: project, Environment: id}
	if err := t.check(op); err != nil {
		return Activity{}, err
	}
	var a Activity
	if _, e := c.read(ctx, op, t.project("activities/"+url.PathEscape(id)), &a); e != nil {
		return Activity{}, e
	}
	return a, nil
}

// read is get with authorization: with a new access token, once, if the one that
// we have is refused.
func (c *Client) read(ctx context.Context, op, path string, into any) (answer, *Error) {
	return c.readRenewing(ctx, new(bool), op, path, into)
}

// readRenewing is read for several in a row, which renew the access token once
// together.
func (c *Client) readRenewing(ctx context.Context, renewed *bool, op, path string, into any) (answer, *Error) {
	auth, e := c.authorize(ctx, "")
	if e != nil {
		return answer{}, e
	}
	a, e := c.get(ctx, auth, op, path, into)
	if e != nil && e.Status == http.StatusUnauthorized && e.Reason != StepUp && !*renewed {
		*renewed = true
		if auth, e = c.authorize(ctx, auth); e != nil {
			return answer{}, e
		}
		a, e = c.get(ctx, auth, op, path, into)
	}
	if e == nil {
		return a, nil
	}
	switch {
	case e.Status == http.StatusUnauthorized && e.Reason != StepUp:
		e.Kind, e.Reason = Unauthorized, TokenRefused
	case e.Status == http.StatusForbidden:
		e.Kind = Forbidden
	}
	return answer{}, e
}
