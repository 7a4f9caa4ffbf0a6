// Package notify tells people and their monitors: by mail, by a webhook, by the
// pings of the healthchecks.io convention, and by a page of metrics. It decides
// nothing: the agent decides what is told and when, main from which configuration.
// Nothing that it sends or says holds a secret: its Sender masks what is sent, and
// no error holds an address but its host.
package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// The ways of telling.
const (
	Mail    = "mail"
	Webhook = "webhook"
	Ping    = "ping"
)

// Limit is how long one way of telling may take, with everything that belongs to
// it.
const Limit = 5 * time.Second

// Sender tells one circle of people. A way that is not set up is none of its ways.
// It is safe for concurrent use.
type Sender struct {
	// SMTP is the mail server, as host or host:port; the port is 25 by default. It is
	// spoken to in plain text and without a password. Empty: there is no mail.
	SMTP string
	// From and To are addresses as in a mail's header. Without To there is no mail.
	From string
	To   []string
	// Webhook gets a POST of a Message as JSON, and Ping is the address of a check,
	// to which /start, /fail and the like are added. Both are secrets. Empty: none.
	Webhook, Ping string
	// UserAgent names us to the servers.
	UserAgent string
	// Mask puts stars in the place of secrets. Nil changes nothing.
	Mask func(string) string
}

// Ways are those by which it tells, in no particular order.
func (s *Sender) Ways() []string {
	var ways []string
	if s.SMTP != "" && len(s.To) > 0 {
		ways = append(ways, Mail)
	}
	if s.Webhook != "" {
		ways = append(ways, Webhook)
	}
	if s.Ping != "" {
		ways = append(ways, Ping)
	}
	return ways
}

// Send tells by all of these ways at once, each for at most Limit. Left are the
// ways by which nobody was told, to be tried again. Why is empty if everybody was
// told, else it says in one line why not; it may be that not everybody was told by
// a way that is not left.
func (s *Sender) Send(ctx context.Context, m Message, ways []string) (left []string, why string) {
	m = s.masked(m)
	var mu sync.Mutex
	var errs []string
	var sending sync.WaitGroup
	for _, way := range s.Ways() {
		if !slices.Contains(ways, way) {
			continue
		}
		sending.Go(func() {
			ctx, cancel := context.WithTimeoutCause(ctx, Limit, fmt.Errorf("no answer within %s", Limit))
			defer cancel()
			err := s.by(ctx, way, m)
			if err == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, way+": "+s.clean(err.Error()))
			if _, some := errors.AsType[*refusedError](err); !some {
				left = append(left, way)
			}
		})
	}
	sending.Wait()
	slices.Sort(left)
	slices.Sort(errs)
	return left, strings.Join(errs, "; ")
}

// clean makes what others have said fit for our own words.
func (s *Sender) clean(text string) string {
	if s.Mask != nil {
		text = s.Mask(text)
	}
	return line(text)
}

func (s *Sender) by(ctx context.Context, way string, m Message) error {
	switch way {
	case Mail:
		return s.mail(ctx, m)
	case Webhook:
		return s.webhook(ctx, m)
	}
	return s.ping(ctx, m)
}

// Start tells a check that a run begins.
func (s *Sender) Start(ctx context.Context, runID string) error {
	if s.Ping == "" {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, Limit, fmt.Errorf("no answer within %s", Limit))
	defer cancel()
	return s.signal(ctx, "start", runID, "")
}

// Beat tells a check that the agent is well: it asks for the address and does not
// look at the answer's content.
func Beat(ctx context.Context, address, userAgent string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, Limit, fmt.Errorf("no answer within %s", Limit))
	defer cancel()
	return send(ctx, address, userAgent, "", nil)
}
