package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/operation"
)

// Target is the environment that a request is for, by the ids of the API.
type Target struct {
	Project, Environment string
}

// project is an address below the project's.
func (t Target) project(below string) string {
	return "/projects/" + url.PathEscape(t.Project) + "/" + below
}

// path is below the base of the API. Each id is one segment: a branch may hold
// slashes.
func (t Target) path(below string) string {
	p := "/projects/" + url.PathEscape(t.Project) + "/environments/" + url.PathEscape(t.Environment)
	if below != "" {
		p += "/" + below
	}
	return p
}

// of is an address below what a scope says.
func (t Target) of(scope operation.Scope, below string) string {
	switch scope {
	case operation.OfAccount:
		return "/" + below
	case operation.OfProject:
		return strings.TrimSuffix(t.project(below), "/")
	}
	return t.path(below)
}

// checkFor is check for what a scope needs.
func (t Target) checkFor(scope operation.Scope, op string) error {
	switch scope {
	case operation.OfAccount:
		return nil
	case operation.OfProject:
		return Target{t.Project, "none"}.check(op)
	}
	return t.check(op)
}

// check refuses ids that would make an address of something else.
func (t Target) check(op string) error {
	for _, id := range []string{t.Project, t.Environment} {
		if id == "" || id == "." || id == ".." {
			return &Error{Kind: Failed, Op: op, Detail: fmt.Sprintf("%q cannot be the id of a project or an environment", id)}
		}
	}
	return nil
}

// Activity is what the platform makes of an accepted operation.
type Activity struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	State  string `json:"state"`
	Result string `json:"result"`
	// BackupName is the name of the backup that a backup activity makes; it may be
	// empty as long as the platform has not settled it.
	BackupName string `json:"backup_name,omitempty"`
}

// UnmarshalJSON reads an activity from the API, where result may be null and the
// backup's name lies in the payload. What it does not know it leaves alone.
func (a *Activity) UnmarshalJSON(data []byte) error {
	var raw struct {
		ID      string  `json:"id"`
		Type    string  `json:"type"`
		State   string  `json:"state"`
		Result  *string `json:"result"`
		Payload json.RawMessage
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*a = Activity{ID: raw.ID, Type: raw.Type, State: raw.State}
	if raw.Result != nil {
		a.Result = *raw.Result
	}
	var payload struct {
		BackupName string `json:"backup_name"`
	}
	if json.Unmarshal(raw.Payload, &payload) == nil {
		a.BackupName = payload.BackupName
	}
	return nil
}

// Accepted is what is known of an operation that the platform has taken.
type Accepted struct {
	// Activities are what the platform made of it: none, one or several.
	Activities []Activity
	// Note says in words what is out of the ordinary, such as that the answer was
	// lost and the activity found among those of the environment. Mostly empty.
	Note string
	// Entity is what was created, as the API tells it; nil if it tells nothing.
	Entity json.RawMessage
	// Already says that nothing had to be done, because the environment was already
	// as the operation would have made it. Note says how.
	Already bool
}

// Preview is the one request that Fire would send after the token exchange, for
// people: its headers hold no credentials.
type Preview struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	Body   string `json:"body"`
}

// Preview says what Fire would send, and sends nothing.
func (c *Client) Preview(t Target, r operation.Request) Preview {
	return Preview{Method: method(r), URL: c.APIURL + t.of(r.Scope, r.Path), Body: string(r.Body)}
}

func method(r operation.Request) string {
	if r.Method == "" {
		return http.MethodPost
	}
	return r.Method
}

// Fire asks the platform to do r for t, and returns the activities that it made
// of it, as soon as it has accepted. Everything together ends by ctx's deadline.
//
// There are two round trips: the exchange of the token and one POST (or PATCH, or
// DELETE) on the direct path. It is sent again only if it was surely not processed: there
// was no connection, or the API itself turned it away (429, its own 503, a first
// 401). Where its answer does not tell, the environment's activities are read until
// the deadline; if they do not tell either, the error is Uncertain. A refusal is
// explained by reading the environment.
// All errors are *Error.
func (c *Client) Fire(ctx context.Context, t Target, r operation.Request) (Accepted, error) {
	op := r.String() + " on " + t.Environment
	if r.Scope == operation.OfProject {
		op = r.String() + " on project " + t.Project
	}
	if err := t.checkFor(r.Scope, op); err != nil {
		return Accepted{}, err
	}
	auth, e := c.authorize(ctx, "")
	if e != nil {
		return Accepted{}, e
	}
	defer c.fires.enter(t, r)()
	post := call{op: op, method: method(r), url: c.APIURL + t.of(r.Scope, r.Path), auth: auth,
		kind: "application/json", body: r.Body, limit: maxAnswer, silent: r.Silent, secret: r.Secret}
	there := reading{client: c, target: t}
	renewed, resolved := false, false
	sent, cancel := outlast(ctx, c.Grace)
	defer cancel()
	for try := 0; ; try++ {
		began := time.Now()
		if ctx.Err() != nil {
			return Accepted{}, &Error{Kind: Unavailable, Reason: NoConnection, Op: op, Host: hostOf(post.url), Detail: c.describe(post, hostOf(post.url), ctx.Err())}
		}
		c.fires.begin(there.target, r)
		taken, e := c.post(sent, post)
		c.fires.end(there.target, r, taken.Activities)
		switch {
		case e == nil:
			return taken, nil
		case e.Kind == Uncertain && r.Activity == "":
			return Accepted{}, e // nothing tells what became of it
		case e.Kind == Uncertain:
			found, e := c.verify(sent, there.target, r, began, e)
			if e != nil {
				return Accepted{}, e
			}
			return found, nil
		case e.Status == http.StatusUnauthorized && e.Reason != StepUp && !renewed && try+1 < MaxTries:
			renewed = true
			if post.auth, e = c.authorize(ctx, post.auth); e != nil {
				return Accepted{}, e
			}
			continue
		case (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed) && !resolved && try+1 < MaxTries:
			resolved = true
			if address := there.address(ctx, r); address != "" && address != post.url {
				post.url = address
				continue
			}
		case e.Kind == Unavailable && e.Reason != BadCertificate && c.pause(ctx, try, e.retryAfter):
			continue
		}
		if e.Kind == Forbidden && e.Reason == Unexplained && r.Scope == operation.OfProject {
			e.Reason = ProjectRoleTooSmall
		}
		if e.Kind == Failed || e.Kind == Forbidden {
			if already := there.explain(ctx, r, e); already != "" {
				return Accepted{Already: true, Note: fmt.Sprintf("environment %s is already %s", there.env.ID, already)}, nil
			}
		}
		return Accepted{}, e
	}
}

// outlast returns a context with ctx's deadline that goes on for so long after ctx
// was cancelled.
func outlast(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	if grace <= 0 {
		return context.WithCancel(ctx)
	}
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if deadline, ok := ctx.Deadline(); ok {
		cancel()
		longer, cancel = context.WithDeadline(context.WithoutCancel(ctx), deadline)
	}
	timer := time.AfterFunc(1<<63-1, cancel)
	stop := context.AfterFunc(ctx, func() { timer.Reset(grace) })
	return longer, func() {
		stop()
		timer.Stop()
		cancel()
	}
}

// post sends the POST once, in at most three quarters of the time that is left,
// and says what the answer means.
func (c *Client) post(ctx context.Context, r call) (Accepted, *Error) {
	// A request that is cut off in the middle is Uncertain for nothing.
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < margin {
		return Accepted{}, &Error{Kind: Unavailable, Reason: NoConnection, Op: r.op, Host: hostOf(r.url), Detail: "there was no time left to send it"}
	}
	ctx, cancel := share(ctx, 3, 4, 0)
	defer cancel()
	a, e := c.send(ctx, r)
	if e != nil {
		return Accepted{}, e
	}
	if a.status >= 200 && a.status <= 299 {
		taken, err := accepted(a, r.silent)
		if err != nil {
			return Accepted{}, &Error{Kind: Uncertain, Reason: NotFromAPI, Op: r.op, Host: hostOf(r.url), Status: a.status, Detail: err.Error()}
		}
		return taken, nil
	}
	e = c.refusal(r, a)
	said, isJSON := readComplaint(a.body)
	switch {
	case a.status == http.StatusUnauthorized && e.Reason != StepUp:
		e.Kind, e.Reason = Unauthorized, TokenRefused
	case a.status == http.StatusForbidden:
		e.Kind = Forbidden
	case a.status == http.StatusTooManyRequests:
		e.Kind = Unavailable
	case a.status == http.StatusServiceUnavailable && isJSON && said.own(a.status):
		e.Kind = Unavailable
	case a.status >= 500 || a.status == http.StatusRequestTimeout:
		e.Kind = Uncertain
	}
	return Accepted{}, e
}

// accepted reads the body of a 2xx answer. Only a JSON object is the API's word,
// and 204 for what is accepted silently; a page of a gateway or any other empty
// answer is nobody's.
func accepted(a answer, silent bool) (Accepted, error) {
	if a.err != nil {
		return Accepted{}, fmt.Errorf("the answer broke off: %w", a.err)
	}
	if silent && a.status == http.StatusNoContent && len(a.body) == 0 {
		return Accepted{}, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(a.body, &object) != nil || object == nil {
		return Accepted{}, errNoObject
	}
	var embedded struct {
		Activities []Activity      `json:"activities"`
		Entity     json.RawMessage `json:"entity"`
	}
	// That it was accepted is sure by now; activities of another shape do not
	// make it less so.
	_ = json.Unmarshal(object["_embedded"], &embedded)
	return Accepted{Activities: embedded.Activities, Entity: embedded.Entity}, nil
}
