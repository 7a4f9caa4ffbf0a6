package platform

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// The pace at which Wait asks: slower with time, since backups take minutes. A
// poll is one request for the activity and at most one for its log. Ten minutes
// are some forty polls. The vendor's own tool keeps a connection open for the log,
// and asks without a pause for the activity once the log has ended: thousands of
// times, if the activity takes some minutes more.
const (
	firstPoll   = time.Second
	slowestPoll = 20 * time.Second
)

// The limits of waiting for one answer and for none. A server that holds a log
// open until there is more is left after logLimit, with what it has sent.
const (
	stateLimit = 30 * time.Second
	logLimit   = 5 * time.Second
	// awayLimit is how long Wait forgives an API that does not answer.
	awayLimit = 15 * time.Minute
	// maxAsked bounds the pause that a server may ask for (Retry-After).
	maxAsked = 2 * time.Minute
)

// Progress is an activity with what is known of how it goes and how it ended.
type Progress struct {
	Activity
	// Percent says how much is done, from 0 to 100, as the platform reckons.
	Percent int
	// FailureReason is error or shell for an activity that failed, else empty.
	FailureReason string
	// Commands are the commands of the project that ran in it, such as hooks, as
	// far as the API tells of them.
	Commands []Command
}

// Command is a command of the project that an activity ran.
type Command struct {
	// App is the app that it belongs to, and Type what it is: a hook, a cron.
	App, Type string
	ExitCode  int
}

// Over tells whether waiting makes sense no more: the activity has ended (complete
// or cancelled), or is staged, which only a person can end.
func (p *Progress) Over() bool {
	return p.State == "complete" || p.State == "cancelled" || p.State == "staged"
}

// UnmarshalJSON reads an activity from the API. Of what it does not know the
// shape of, only the activity itself is needed.
func (p *Progress) UnmarshalJSON(data []byte) error {
	*p = Progress{}
	if err := p.Activity.UnmarshalJSON(data); err != nil {
		return err
	}
	var raw struct {
		CompletionPercent json.RawMessage `json:"completion_percent"`
		FailureReason     json.RawMessage `json:"failure_reason"`
		Commands          json.RawMessage `json:"commands"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	var percent float64
	if json.Unmarshal(raw.CompletionPercent, &percent) == nil {
		p.Percent = int(min(max(percent, 0), 100))
	}
	_ = json.Unmarshal(raw.FailureReason, &p.FailureReason)
	var commands []struct {
		App      string `json:"app"`
		Type     string `json:"type"`
		ExitCode int    `json:"exit_code"`
	}
	if json.Unmarshal(raw.Commands, &commands) == nil {
		for _, command := range commands {
			p.Commands = append(p.Commands, Command(command))
		}
	}
	return nil
}

// Event is something that Wait has learned.
type Event struct {
	// Now is the activity as it is known to be.
	Now Progress
	// Log are the lines that its log has got since the last event that had some,
	// without line ends and bounded in length. They are text from outside.
	Log []string
	// Away is why the API has no answer at present; Wait goes on asking. Nil: it
	// answers.
	Away *Error
}

// Wait follows an activity until it is over, and returns it as it is then. Tell is
// called, from the same goroutine, when its state or percentage has changed, when
// its log has got longer, and when the API stops or begins to answer; the event
// of its end comes last.
//
// The state alone decides. A log that cannot be read, and a state that is not
// known, end nothing. Wait forgives an API that does not answer for a quarter of an
// hour, and otherwise waits as long as ctx lets it: the caller must end ctx if it
// wants a limit. An activity that is known to have succeeded, or to be staged, is
// returned at once.
//
// All errors are *Error, and none of them says anything about the activity, which
// goes on without us: Unauthorized and Forbidden, Failed for an activity that is
// not there (404) and for a ctx that has ended, Unavailable for an API that was
// away too long.
func (c *Client) Wait(ctx context.Context, project string, a Activity, tell func(Event)) (Progress, error) {
	now := Progress{Activity: a}
	op := "follow activity " + a.ID
	if a.ID == "" || a.ID == "." || a.ID == ".." {
		return now, &Error{Kind: Failed, Op: "follow an activity", Detail: "the platform has not said which one it is"}
	}
	if now.State == "staged" || now.State == "complete" && now.Result == "success" {
		return now, nil
	}
	f := following{client: c, op: op, activity: a,
		url: c.APIURL + "/projects/" + url.PathEscape(project) + "/activities/" + url.PathEscape(a.ID)}
	var asked time.Duration // by the server
	away := false
	answered := time.Now()
	for pace := firstPoll; ; pace = min(pace*4/3, slowestPoll) {
		if !sleep(ctx, max(pace, asked)) {
			return now, ended(ctx, op)
		}
		next, e := f.state(ctx)
		switch {
		case e != nil && ctx.Err() != nil:
			return now, ended(ctx, op)
		case e != nil && (!e.passes() || time.Since(answered) > awayLimit):
			return now, e
		case e != nil:
			asked = min(e.retryAfter, maxAsked)
			// A first 401 is the end of an access token, and no news.
			if !away && e.Status != http.StatusUnauthorized {
				away = true
				tell(Event{Now: now, Away: e})
			}
			continue
		}
		changed := away || next.State != now.State || next.Percent != now.Percent
		now, asked, away, answered = next, 0, false, time.Now()
		if changed && !now.Over() {
			tell(Event{Now: now})
		}
		if now.State == "pending" || now.State == "scheduled" {
			continue // nothing has been logged
		}
		// After the state: what had been logged before the end is read before it is
		// told.
		sealed := f.log.over
		lines := f.readLog(ctx)
		if now.Over() {
			lines = append(lines, f.log.last()...)
		}
		if len(lines) > 0 {
			tell(Event{Now: now, Log: lines})
		}
		if now.Over() {
			tell(Event{Now: now})
			return now, nil
		}
		if f.log.over && !sealed {
			pace = firstPoll // the activity's end is near
		}
	}
}

// ended is the error for a ctx that has ended before the activity.
func ended(ctx context.Context, op string) *Error {
	detail := "interrupted; it goes on without us"
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		detail = "it has not ended in time; it goes on without us"
	}
	return &Error{Kind: Failed, Op: op, Detail: detail}
}

// passes tells whether a failure may pass by itself: nobody answers, or a gateway
// in between has no answer of the API's to give.
func (e *Error) passes() bool {
	return e.Reason != BadCertificate && (e.Kind == Unavailable || e.Reason == NotFromAPI)
}

// following is an activity that Wait follows. Each of its requests is sent once:
// the next poll is the next try.
type following struct {
	client   *Client
	op, url  string
	activity Activity
	refused  string // the Authorization that the last answer refused
	log      activityLog
}

// state asks for the activity.
func (f *following) state(ctx context.Context) (Progress, *Error) {
	ctx, cancel := context.WithTimeout(ctx, stateLimit)
	defer cancel()
	auth, e := f.client.authorize(ctx, f.refused)
	if e != nil {
		return Progress{}, e
	}
	// The activity holds its log once more, hence the limit of lists.
	r := call{op: f.op, method: http.MethodGet, url: f.url, auth: auth, limit: maxList}
	a, e := f.client.send(ctx, r)
	if e != nil {
		if e.Kind == Uncertain {
			e.Kind, e.Reason = Unavailable, NoConnection
		}
		return Progress{}, e
	}
	if a.status < 200 || a.status > 299 {
		e := f.client.refusal(r, a)
		switch {
		case e.Reason == StepUp:
		case a.status == http.StatusUnauthorized && f.refused == "":
			f.refused, e.Kind = auth, Unavailable
		case a.status == http.StatusUnauthorized:
			e.Kind, e.Reason = Unauthorized, TokenRefused
		case a.status == http.StatusForbidden:
			e.Kind = Forbidden
		case a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout || a.status >= 500:
			e.Kind = Unavailable
		}
		return Progress{}, e
	}
	f.refused = ""
	var p Progress
	if a.err != nil || json.Unmarshal(a.body, &p) != nil || p.ID != f.activity.ID || p.State == "" {
		return Progress{}, &Error{Kind: Unavailable, Reason: NotFromAPI, Op: f.op, Host: hostOf(r.url), Status: a.status, Detail: "the answer is not the activity"}
	}
	return p, nil
}
