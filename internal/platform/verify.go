package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/operation"
)

// How often verify looks: at once, then slower and slower, and a last time when
// just enough is left for one answer.
const (
	firstLook = time.Second
	lastLook  = time.Second
)

// verifyLimit is how long verify looks if the context has no deadline.
const verifyLimit = 30 * time.Second

// slack is how far the clocks of the platform's own servers may be apart: that of
// the gateway that dates an answer, and that of whoever dates an activity.
const slack = 2 * time.Second

// verify finds out what became of a POST that the platform may have taken, by
// reading the environment's activities until the deadline, and never by sending it
// again. doubt is what happened to it, and began when it was begun.
//
// It was taken if exactly one activity is of its type, was created since, and is
// by our user. None proves nothing, since the request may lie in a queue; and of
// two nobody knows which one is ours. Then doubt is returned, with what was found.
func (c *Client) verify(ctx context.Context, t Target, r operation.Request, began time.Time, doubt *Error) (Accepted, *Error) {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, verifyLimit)
		defer cancel()
	}
	s := search{client: c, target: t, request: r, began: began, known: c.Known}
	for gap := firstLook; ; gap = gap * 3 / 2 {
		found, finding, final := s.look(ctx)
		if found != nil && !c.fires.take(t, r, found.ID) {
			found, finding = nil, "another fire of the same kind is under way, and the activity that there is may be its"
		}
		if found != nil {
			note := fmt.Sprintf("the answer was lost (%s), but this activity is ours", doubt.said())
			return Accepted{Activities: []Activity{*found}, Note: note}, nil
		}
		deadline, _ := ctx.Deadline()
		wait := min(gap, time.Until(deadline)-lastLook)
		if final || wait < firstLook/2 || !sleep(ctx, wait) {
			doubt.Detail = join(doubt.Detail, finding)
			return Accepted{}, doubt
		}
	}
}

// Find lists the activities that the platform made of r for our user within the
// last ago, by the platform's clock, the oldest first, also those that came of
// requests which Known tells of, but without those of the client's other fires: while one
// of the same kind is under way, it waits for that to end if there is anything to tell
// apart. Doubtful is how many more there are of which it does not tell whose they are or
// since when. All errors are *Error.
func (c *Client) Find(ctx context.Context, t Target, r operation.Request, ago time.Duration) (ours []Activity, doubtful int, err error) {
	s := search{client: c, target: t, request: r, began: time.Now().Add(-ago)}
	found, e := s.read(ctx)
	if e != nil {
		return nil, 0, e
	}
	if len(found) > 0 && !c.fires.settle(ctx, t, r) {
		return nil, 0, &Error{Kind: Unavailable, Reason: Unexplained, Op: "read the activities of " + t.Environment,
			Detail: "another fire of the same kind is under way, and an activity that there is may be its"}
	}
	for _, l := range slices.Backward(found) {
		switch {
		case c.fires.taken(l.ID):
		case l.doubtful():
			doubtful++
		default:
			ours = append(ours, l.Activity)
		}
	}
	return ours, doubtful, nil
}

// search looks for the activities that a request became.
type search struct {
	client  *Client
	target  Target
	request operation.Request
	began   time.Time       // of the request, by our clock; only what has passed since is used
	known   func() []string // ids that came of other requests; nil if the caller tells them apart
	user    string          // our user's id, once it was needed and read
	renewed bool            // the access token was renewed once, which is not done at each look
}

// read lists the activities that may be of the request, the newest first: those of
// our user, and those of which it is not told whose they are. Our user is read
// only if there is something to tell apart.
func (s *search) read(ctx context.Context) ([]listed, *Error) {
	query := url.Values{"type": {s.request.Activity}, "count": {"50"}}
	op := "read the activities of " + s.target.Environment
	var all []listed
	a, e := s.client.readRenewing(ctx, &s.renewed, op, s.target.of(s.request.Scope, "activities?"+query.Encode()), &all)
	if e != nil {
		return nil, e
	}
	now, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return nil, &Error{Kind: Unavailable, Reason: NotFromAPI, Op: op, Host: hostOf(s.client.APIURL), Detail: "the answer has no date"}
	}
	// What the server's clock showed when the request was begun. Ours may be wrong
	// by any amount, but runs as fast.
	since := now.Add(-a.at.Sub(s.began) - slack)
	all = slices.DeleteFunc(all, func(l listed) bool { return !l.fits(s.target, s.request, since) || s.client.fires.taken(l.ID) })
	if len(all) > 0 && s.known != nil {
		// Asked each time: others may have been recorded since.
		known := s.known()
		all = slices.DeleteFunc(all, func(l listed) bool { return slices.Contains(known, l.ID) })
	}
	if len(all) > 0 && s.user == "" {
		var me User
		if _, e := s.client.readRenewing(ctx, &s.renewed, "read the token's user", mePath, &me); e != nil {
			return nil, e
		}
		if me.ID == "" {
			return nil, &Error{Kind: Unavailable, Reason: NotFromAPI, Op: op, Host: hostOf(s.client.APIURL), Detail: "the API does not tell who our user is"}
		}
		s.user = me.ID
	}
	return slices.DeleteFunc(all, func(l listed) bool { return l.user != "" && l.user != s.user }), nil
}

// look looks once. Without an activity that is surely ours, finding says what is
// known instead; final means that looking again would not better it.
func (s *search) look(ctx context.Context) (found *Activity, finding string, final bool) {
	if ctx.Err() != nil {
		return nil, "", true
	}
	all, e := s.read(ctx)
	switch {
	case e != nil:
		return nil, "what became of it could not be found out: " + e.Error(), false
	case len(all) == 0:
		return nil, "none of its activities is ours so far", false
	case len(all) > 1:
		ids := make([]string, len(all))
		for i, l := range all {
			ids[i] = l.ID
		}
		return nil, "several of its activities may be ours: " + strings.Join(ids, ", "), true
	case all[0].doubtful():
		return nil, fmt.Sprintf("activity %s may be ours, but the API does not tell whose it is or since when", all[0].ID), true
	}
	return &all[0].Activity, "", true
}

// listed is an activity in a list, with what tells whose it is. What the API does
// not tell is zero.
type listed struct {
	Activity
	created      time.Time
	user         string // its id
	environments []string
	source       string // the name of the source operation
}

// doubtful tells whether it is not known whose it is, or since when.
func (l *listed) doubtful() bool { return l.user == "" || l.created.IsZero() }

// UnmarshalJSON reads what it can: an entry that cannot be read may be the one
// that is looked for, so it must neither vanish nor hide the others. The user's id
// stands in three places in the vendor's examples.
func (l *listed) UnmarshalJSON(data []byte) error {
	*l = listed{}
	var raw struct {
		Created      string   `json:"created_at"`
		Environments []string `json:"environments"`
		Description  string   `json:"description"`
		Parameters   struct {
			User        string `json:"user"`
			Environment string `json:"environment"`
			Operation   string `json:"operation"`
		} `json:"parameters"`
		Payload struct {
			User struct {
				ID string `json:"id"`
			} `json:"user"`
		} `json:"payload"`
	}
	// A field of another type leaves the others readable.
	_ = json.Unmarshal(data, &raw)
	_ = json.Unmarshal(data, &l.Activity)
	l.created, _ = time.Parse(time.RFC3339Nano, raw.Created)
	l.environments = raw.Environments
	if raw.Parameters.Environment != "" {
		l.environments = append(l.environments, raw.Parameters.Environment)
	}
	l.source = raw.Parameters.Operation
	for _, id := range []string{raw.Parameters.User, raw.Payload.User.ID, describedUser(raw.Description)} {
		if l.user == "" {
			l.user = id
		}
	}
	return nil
}

// describedUser finds the user's id in an activity's description in HTML.
func describedUser(description string) string {
	_, rest, _ := strings.Cut(description, `<user data-id="`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// fits tells whether an activity may have come of the request, whoever made it.
func (l *listed) fits(t Target, r operation.Request, since time.Time) bool {
	switch {
	case l.Type != "" && l.Type != r.Activity:
	case r.Scope == operation.OfEnvironment && len(l.environments) > 0 && !slices.Contains(l.environments, t.Environment):
	case !l.created.IsZero() && l.created.Before(since):
	case l.source != "" && r.Argument != "" && l.source != r.Argument:
	default:
		return true
	}
	return false
}
