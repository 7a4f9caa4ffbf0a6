package platform

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/operation"
)

// explainLimit bounds the reading that explains a refusal: whoever waits for the
// refusal can do without the explanation.
const explainLimit = 5 * time.Second

// reading is the target's environment, read once and only if a refusal makes it
// necessary: to find another address, to explain the refusal, or both.
type reading struct {
	client  *Client
	target  Target
	done    bool
	env     Environment
	problem *Error
}

func (r *reading) look(ctx context.Context) {
	if !r.done {
		r.done = true
		r.env, r.problem = r.client.environment(ctx, r.target)
		if r.problem == nil && r.env.ID != "" {
			r.target.Environment = r.env.ID // it may have been a machine name
		}
	}
}

// address is that of an operation whose direct path the API does not know: the
// path of the link that the environment offers, on our own host. The link's host
// is another one, and must not get our token. Where no link is offered it is the
// direct path once more, if the environment was named by its machine name. Empty:
// there is none.
func (r *reading) address(ctx context.Context, request operation.Request) string {
	if request.Scope != operation.OfEnvironment {
		return ""
	}
	named := r.target.Environment
	r.look(ctx)
	if request.Link == "" {
		if r.problem != nil || r.target.Environment == named {
			return ""
		}
		return r.client.APIURL + r.target.of(request.Scope, request.Path)
	}
	link := request.Link
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

// explain finds out why the platform refused a request, and adds it to the
// refusal. Already is the state of the environment if that is what the request was
// to bring about. What cannot be read explains nothing: e stays as it is.
func (r *reading) explain(ctx context.Context, request operation.Request, e *Error) (already string) {
	switch e.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusConflict:
	default:
		return ""
	}
	if request.Scope != operation.OfEnvironment {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, explainLimit)
	defer cancel()
	r.look(ctx)
	if r.problem != nil {
		if r.problem.Reason == UnknownEnvironment || r.problem.Reason == UnknownProject {
			e.Reason, e.Detail, e.Names = r.problem.Reason, r.problem.Detail, r.problem.Names
		}
		return ""
	}
	because := func(reason Reason, format string, args ...any) {
		e.Kind, e.Reason, e.Detail = Forbidden, reason, join(e.Detail, fmt.Sprintf(format, args...))
	}
	env := r.env
	_, offered := env.Links[request.Link]
	switch {
	case request.Link == "" && e.Status != http.StatusForbidden:
		return "" // the API's own words must do
	case request.Link == "":
		offered = true
	case request.Already != "" && env.Status == request.Already:
		return env.Status
	case env.Status != "" && env.Status != "active" && env.Status != "dirty" && request.Already != "active":
		because(NotActive, "environment %s is %s", env.ID, env.Status)
		return ""
	case offered && e.Status != http.StatusForbidden && e.Status != http.StatusConflict:
		return ""
	}
	roles, whose := r.roles(ctx)
	busy := ""
	if e.Status != http.StatusForbidden {
		busy = r.busy(ctx)
	}
	switch {
	case roles != nil && !slices.Contains(roles, "admin") && !slices.Contains(roles, env.Type+":admin"):
		because(RoleTooSmall, "%s is %s on this project, but this needs admin on environments of type %s", whose, strings.Join(roles, ", "), env.Type)
	case busy != "":
		because(Busy, "environment %s is busy with %s", env.ID, busy)
	case env.HasStagedActivities:
		because(Staged, "changes on environment %s are staged and wait for a deployment by hand", env.ID)
	case e.Status == http.StatusForbidden && roles == nil:
		because(RoleTooSmall, "the token's user may not do this on %s, which is of type %s", env.ID, env.Type)
	case !offered:
		because(NotAvailable, "the platform does not offer %s on %s at present", request.Operation, env.ID)
	}
	return ""
}

// roles reads what our user may do on the project, as the API words it: "viewer",
// "production:admin"; nil if it cannot be read.
func (r *reading) roles(ctx context.Context) (roles []string, whose string) {
	me, err := r.client.Me(ctx)
	if err != nil {
		return nil, ""
	}
	var access struct {
		Permissions []string `json:"permissions"`
	}
	if _, e := r.client.read(ctx, "read our role", r.target.project("user-access/"+url.PathEscape(me.ID)), &access); e != nil || len(access.Permissions) == 0 {
		return nil, ""
	}
	whose = "the token's user"
	if me.Username != "" {
		whose = "user " + me.Username
	}
	return access.Permissions, whose
}

// busy says what the environment is occupied with; empty if nothing is known. A
// cron is an activity too, and often the one that we were called from.
func (r *reading) busy(ctx context.Context) string {
	query := url.Values{"state": {"in_progress", "pending"}, "count": {"20"}}
	var all []listed
	if _, e := r.client.read(ctx, "read the activities of "+r.target.Environment, r.target.path("activities?"+query.Encode()), &all); e != nil {
		return ""
	}
	// The oldest one that runs is what the others wait for; they come newest first.
	for _, state := range []string{"in_progress", "pending"} {
		for _, l := range slices.Backward(all) {
			if l.State == state && l.Type != "environment.cron" {
				return fmt.Sprintf("%s (activity %s, %s since %s)", l.Type, l.ID, l.State, l.created.UTC().Format(time.RFC3339))
			}
		}
	}
	return ""
}
