package platform

import (
	"context"
	"net/url"
	"time"
)

// The pace at which Wait asks: slower with time, since backups take minutes.
const (
	firstPoll = time.Second
	slowPoll  = 10 * time.Second
)

// Wait follows an activity until it has ended (complete or cancelled) or is
// staged, which only a person can end, and returns it as it is then. Changed is
// called for each new state. It waits as long as ctx lets it, and forgives an
// API that does not answer for a while. All errors are *Error.
func (c *Client) Wait(ctx context.Context, project string, a Activity, changed func(Activity)) (Activity, error) {
	path := "/projects/" + url.PathEscape(project) + "/activities/" + url.PathEscape(a.ID)
	for pause := firstPoll; ; pause = min(pause*5/4, slowPoll) {
		switch a.State {
		case "complete", "cancelled", "staged":
			return a, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return a, &Error{Kind: Failed, Op: "wait for activity " + a.ID, Detail: "interrupted; it goes on without us"}
		case <-timer.C:
		}
		var now Activity
		readCtx, cancel := context.WithTimeout(ctx, time.Minute)
		err := c.read(readCtx, "read activity "+a.ID, path, &now)
		cancel()
		if e, ok := err.(*Error); ok && e.Kind != Unavailable {
			return a, e
		} else if ok || now.State == a.State {
			continue
		}
		a = now
		changed(a)
	}
}
