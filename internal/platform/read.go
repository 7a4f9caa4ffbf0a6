package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/cronagent/cronagent/internal/operation"
)

// Read reads what is at a path below t's environment or project, or of the token's
// user, as the API has it. Path is escaped and may have a query. An environment
// may be named by its machine name. All errors are *Error: an environment or a
// project that is not there is said to be so, and everything else that is not there
// is Failed with the status 404.
func (c *Client) Read(ctx context.Context, t Target, scope operation.Scope, path string) (json.RawMessage, error) {
	op := "read " + t.of(scope, path)
	if err := t.checkFor(scope, op); err != nil {
		return nil, err
	}
	var raw json.RawMessage
	_, e := c.read(ctx, op, t.of(scope, path), &raw)
	if e == nil {
		return raw, nil
	}
	if scope != operation.OfEnvironment || e.Status != http.StatusNotFound && e.Status != http.StatusForbidden {
		return nil, e
	}
	// What is not there may be the environment itself, or have another name.
	env, problem := c.environment(ctx, t)
	switch {
	case problem != nil && (problem.Reason == UnknownEnvironment || problem.Reason == UnknownProject):
		problem.Op = op
		return nil, problem
	case problem != nil || env.ID == "" || env.ID == t.Environment || e.Status == http.StatusForbidden:
		return nil, e
	}
	t.Environment = env.ID
	if _, e = c.read(ctx, op, t.of(scope, path), &raw); e != nil {
		return nil, e
	}
	return raw, nil
}

// Address is where the thing is that a link of the API leads to, on our own host;
// empty if it leads nowhere.
func (c *Client) Address(href string) string {
	base, err := url.Parse(c.APIURL)
	path := linkPath(href)
	if err != nil || path == "" {
		return ""
	}
	return base.Scheme + "://" + base.Host + path
}

// DefaultEnvironment is the id of the project's default environment. All errors are
// *Error.
func (c *Client) DefaultEnvironment(ctx context.Context, project string) (string, error) {
	op := "read project " + project
	t := Target{Project: project}
	if err := t.checkFor(operation.OfProject, op); err != nil {
		return "", err
	}
	var p struct {
		DefaultBranch string `json:"default_branch"`
	}
	if _, e := c.read(ctx, op, t.of(operation.OfProject, ""), &p); e != nil {
		return "", e
	}
	if p.DefaultBranch == "" {
		return "", &Error{Kind: Failed, Op: op, Detail: "it does not tell its default environment"}
	}
	return p.DefaultBranch, nil
}

// LogItem is a message in the log of an activity, which may be a part of a line, or
// several.
type LogItem struct {
	// Timestamp is as the API writes it.
	Timestamp string
	// Message is text from outside.
	Message string
}

// logPage is how many items of a log are asked for at once.
const logPage = 1000

// ActivityLog reads the log of an activity from its item number start on, counted from 0.
// Sealed says that there will be no more. All errors are *Error.
func (c *Client) ActivityLog(ctx context.Context, project, activity string, start int) (items []LogItem, sealed bool, err error) {
	op := "read the log of activity " + activity
	t := Target{Project: project, Environment: activity}
	if err := t.check(op); err != nil {
		return nil, false, err
	}
	renewed := false
	for {
		query := url.Values{"start_at": {strconv.Itoa(start + len(items))}, "max_items": {strconv.Itoa(logPage)}, "max_delay": {"0"}}
		auth, e := c.authorize(ctx, "")
		if e != nil {
			return items, false, e
		}
		r := call{op: op, method: http.MethodGet, url: c.APIURL + t.project("activities/"+url.PathEscape(activity)+"/log?"+query.Encode()), auth: auth, limit: maxList}
		a, e := c.send(ctx, r)
		switch {
		case e != nil:
			e.Kind, e.Reason = Unavailable, NoConnection
			return items, false, e
		case a.status == http.StatusUnauthorized && !renewed:
			renewed = true
			if _, e := c.authorize(ctx, auth); e != nil {
				return items, false, e
			}
			continue
		case a.status < 200 || a.status > 299:
			e := c.refusal(r, a)
			if a.status == http.StatusForbidden {
				e.Kind = Forbidden
			}
			return items, false, e
		}
		page, sealed, ok := readItems(a.body)
		items = append(items, page...)
		if !ok {
			return items, false, &Error{Kind: Failed, Reason: NotFromAPI, Op: op, Host: hostOf(r.url), Status: a.status, Detail: "the answer is no log"}
		}
		if sealed || len(page) < logPage {
			return items, sealed, nil
		}
	}
}

// readItems reads one JSON object on each line; ok is false if none of them is one.
func readItems(body []byte) (items []LogItem, sealed, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	ok = len(body) == 0
	for {
		var item struct {
			Data *LogItem `json:"data"`
			Seal bool     `json:"seal"`
		}
		if decoder.Decode(&item) != nil {
			return items, sealed, ok
		}
		ok = true
		if item.Data != nil {
			items = append(items, *item.Data)
		}
		sealed = sealed || item.Seal
	}
}

// maxReferences bounds how many links to users are followed.
const maxReferences = 20

// Members are the users of a project by their email address, as far as the API tells who they
// are. All errors are *Error.
func (c *Client) Members(ctx context.Context, project string) (map[string]string, error) {
	t := Target{Project: project}
	op := "read who is on project " + project
	if err := t.checkFor(operation.OfProject, op); err != nil {
		return nil, err
	}
	var access struct {
		Links map[string]link `json:"_links"`
	}
	if _, e := c.read(ctx, op, t.project("user-access?page%5Bsize%5D=200"), &access); e != nil {
		return nil, e
	}
	members := map[string]string{}
	for i := 0; ; i++ {
		// The API names users by their ids, and has a link to who they are.
		// A link's path begins at the root of the host, even if our base does not.
		address := c.Address(access.Links[fmt.Sprintf("ref:users:%d", i)].Href)
		path, ours := strings.CutPrefix(address, c.APIURL)
		if address == "" || !ours || i == maxReferences {
			return members, nil
		}
		var users map[string]*User
		if _, e := c.read(ctx, op, path, &users); e != nil {
			return nil, e
		}
		for id, user := range users {
			if user != nil && user.Email != "" {
				members[user.Email] = id
			}
		}
	}
}

// linkPath is the path of a link with its query, to be put on our own host: the
// link's may be another one, and must not get our token. Empty: it has none.
func linkPath(href string) string {
	ref, err := url.Parse(href)
	if err != nil || !strings.HasPrefix(ref.EscapedPath(), "/") {
		return ""
	}
	return (&url.URL{Path: ref.Path, RawPath: ref.RawPath, RawQuery: ref.RawQuery}).RequestURI()
}
