package platform

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// MaxTries is how often one request is sent at most, the first time included.
// However overloaded a server is, a client of ours asks it for one thing no more
// often than that.
const MaxTries = 6

// The ceiling below which a wait is drawn: it doubles with each try.
const (
	firstBackoff = time.Second
	maxBackoff   = 16 * time.Second
)

// margin is what must be left of a deadline for another try to make sense.
const margin = 200 * time.Millisecond

// Backoff says how long to wait before a request that has been sent try+1 times is
// sent again, and whether that makes sense at all: not after MaxTries, and not
// beyond left, which is how much time there is.
//
// The wait is drawn by random from nothing up to a ceiling that doubles, so that
// many who failed together do not come back together. What the server asked for
// (Retry-After; zero: nothing) is waited first, and then as much again is drawn
// from as time allows, since it asks everybody for the same. Random returns a
// number from 0 up to its argument, which is positive; rand.N is one.
func Backoff(try int, asked, left time.Duration, random func(time.Duration) time.Duration) (wait time.Duration, ok bool) {
	if try+1 >= MaxTries || asked >= left {
		return 0, false
	}
	ceiling := min(firstBackoff<<min(try, 8), maxBackoff)
	wait = asked + random(max(ceiling, min(asked, (left-asked)/2)))
	return wait, wait < left
}

// pause waits before a request that was sent try+1 times is sent again. It
// returns false at once if it should not be.
func (c *Client) pause(ctx context.Context, try int, asked time.Duration) bool {
	left := time.Duration(1<<63 - 1)
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline) - margin
	}
	random := rand.N[time.Duration]
	if c.random != nil {
		random = c.random
	}
	wait, ok := Backoff(try, asked, left, random)
	return ok && sleep(ctx, wait)
}

// sleep waits; false means that ctx has ended.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retryAfter is how long the server asks to wait; 0 if it does not. A date is
// meant by the server's clock, which its answer tells.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(at.Sub(now), 0)
}
