package main

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/schedule"
)

// What every scenario has in common.
const (
	roundTrip = 100 * time.Millisecond // from a request to its answer
	deadline  = 30 * time.Second       // of one fire, as in cmd/cronagent
	search    = deadline / 2           // of what a fire that was handed back begins with, as there
	margin    = 200 * time.Millisecond // what internal/platform leaves of the deadline
	tick      = 5 * time.Minute        // between two calls of tick
	startUp   = time.Second            // within this, all hosts' cron daemons start a job that is due
	horizon   = 2 * time.Hour          // how much of the morning is simulated
)

// begin is when the simulated morning begins. Its date means nothing.
var begin = time.Date(2027, 1, 4, 5, 0, 0, 0, time.UTC)

// retry says how long to wait before a request that was refused try+1 times is
// sent again, and whether it is; platform.Backoff is one.
type retry func(try int, asked, left time.Duration, random func(time.Duration) time.Duration) (time.Duration, bool)

// scenario is one way in which all agents behave, and one in which the endpoint
// answers.
type scenario struct {
	name string
	spec string
	// every is how long it is from one tick to the next; what is due is acted on at
	// a tick only. Zero: at its due.
	every time.Duration
	// within is the time in which everybody's jobs of one instant start.
	within time.Duration
	retry  retry
	// handsBack: a fire that gives up is tried again later, as tick does. Otherwise
	// that was all until the next day.
	handsBack bool
	// retryAfter is what the endpoint asks for when it refuses. Zero: nothing.
	retryAfter time.Duration
}

// scenarios are the rows of the table.
func scenarios() []scenario {
	fixed := scenario{spec: "0 5 * * *", within: startUp}
	ours := scenario{spec: fixed.spec, every: tick, within: startUp, retry: platform.Backoff, handsBack: true}
	hashed := ours
	hashed.spec = "H 5 * * *"
	row := func(name string, s scenario, change func(*scenario)) scenario {
		s.name = name
		change(&s)
		return s
	}
	asIs := func(*scenario) {}
	return []scenario{
		row("fixed, again every second", fixed, func(s *scenario) { s.retry = everySecond }),
		row("fixed, doubling, no jitter", fixed, func(s *scenario) { s.retry = doubling }),
		row("fixed, ours", ours, asIs),
		row("fixed, ours, `Retry-After: 1`", ours, func(s *scenario) { s.retryAfter = time.Second }),
		row("fixed, ours, `Retry-After: 10`", ours, func(s *scenario) { s.retryAfter = 10 * time.Second }),
		row("fixed, ours, `Retry-After: 60`", ours, func(s *scenario) { s.retryAfter = time.Minute }),
		row("fixed, ours, ticks spread over 5 min", ours, func(s *scenario) { s.within = tick }),
		row("`H`, ours", hashed, asIs),
		row("`H`, ours, `Retry-After: 60`", hashed, func(s *scenario) { s.retryAfter = time.Minute }),
		row("`H`, ours, tick every minute", hashed, func(s *scenario) { s.every = time.Minute }),
	}
}

// everySecond and doubling are what people write around curl.
func everySecond(_ int, _, left time.Duration, _ func(time.Duration) time.Duration) (time.Duration, bool) {
	return time.Second, time.Second < left
}

func doubling(try int, _, left time.Duration, _ func(time.Duration) time.Duration) (time.Duration, bool) {
	wait := time.Second << min(try, 8)
	return wait, wait < left
}

// handBack is how long after its nth fire has given up an agent fires again at the
// earliest. It is backoff of internal/agent, with a seeded source; a test compares
// the two.
func handBack(n int, random func(time.Duration) time.Duration) time.Duration {
	return random(min(time.Minute<<min(n-1, 4), 15*time.Minute))
}

// spread is how long a fire waits before it asks for anything, if the agent has
// handed it back so many times. It is spread of internal/agent, with a seeded
// source; a test compares the two.
func spread(handedBack int, random func(time.Duration) time.Duration) time.Duration {
	if handedBack == 0 {
		return 0
	}
	return random(deadline / 2)
}

// client is the agent of one app, with one cron. Times are since begin.
type client struct {
	next  int32         // the client after it in its list, and 0 for none; they count from 1
	first time.Duration // its first request
	limit time.Duration // when the fire that it is in gives up
	tries int           // requests in this fire
	fires int
	most  int // requests in one fire, at most
	total int // requests in all fires
	done  time.Duration
}

// result is what became of a scenario.
type result struct {
	requests, refused int
	// perFire is the most requests of one fire, and perAgent of one agent.
	perFire, perAgent int
	peak              int // requests in one second
	accepted          int // agents that are done
	// inMinute and inHalfHour count those that were done so soon after their first
	// request.
	inMinute, inHalfHour int
	last                 time.Duration // when the last one was done
	agents               []client
	perSecond            []load
}

// load is what the endpoint saw in one second.
type load struct{ requests, accepted int }

// simulate runs one scenario on simulated time, to the millisecond, with an agent
// for each of dues, which is when its cron is due first. The endpoint accepts as
// many requests as rate in each second, the first that come, and refuses the others
// with 429. The same seed gives the same result.
func simulate(s scenario, dues []time.Duration, rate int, seed uint64) result {
	source := rand.New(rand.NewPCG(seed, 0))
	random := func(below time.Duration) time.Duration { return time.Duration(source.Int64N(int64(below))) }
	agents, perSecond := make([]client, len(dues)+1), make([]load, horizon/time.Second)
	// An agent waits for one thing at a time, so that the requests of each
	// millisecond are a list through the agents. Here are their heads, for each
	// second in which there are any.
	pending := make([][]int32, horizon/time.Second)
	send := func(i int32, at time.Duration) {
		if at >= horizon {
			return
		}
		second := at / time.Second
		if pending[second] == nil {
			pending[second] = make([]int32, time.Second/time.Millisecond)
		}
		head := &pending[second][at%time.Second/time.Millisecond]
		agents[i].next, *head = *head, i
		perSecond[second].requests++
	}
	for i, due := range dues {
		c := &agents[i+1]
		c.first = c.start(s, due, random)
		send(int32(i+1), c.first)
	}
	for second := range pending {
		seen := &perSecond[second]
		for ms := range pending[second] {
			answered := time.Duration(second)*time.Second + time.Duration(ms)*time.Millisecond + roundTrip
			// What is sent while the list is walked comes later: an answer takes time.
			for i := pending[second][ms]; i != 0; {
				c := &agents[i]
				following := c.next
				c.tries++
				c.total++
				c.most = max(c.most, c.tries)
				if seen.accepted < rate {
					seen.accepted++
					c.done = answered
				} else if wait, ok := s.retry(c.tries-1, s.retryAfter, c.limit-margin-answered, random); ok {
					send(i, answered+wait)
				} else if s.handsBack {
					send(i, c.start(s, answered+handBack(c.fires, random), random))
				}
				i = following
			}
		}
	}
	return count(agents, perSecond)
}

// start starts a fire at the first tick from due on, and says when it asks first.
func (c *client) start(s scenario, due time.Duration, random func(time.Duration) time.Duration) time.Duration {
	if s.every > 0 {
		due = (due + s.every - 1).Truncate(s.every)
	}
	began := due + random(s.within) + spread(c.fires, random)
	c.limit = began + deadline
	if c.fires > 0 {
		// It asks first whether it was done already, and has no token to ask that.
		c.limit = began + search
	}
	c.tries = 0
	c.fires++
	return began
}

// firstDues are the first occurrences of n crons of one name, each in a project
// with a random id of the length that the platform gives.
func firstDues(spec string, n int, seed uint64) ([]time.Duration, error) {
	source := rand.New(rand.NewPCG(seed, 1)) // not the one of simulate
	dues := make([]time.Duration, n)
	for i := range dues {
		id := make([]byte, 13)
		for k := range id {
			id[k] = "abcdefghijklmnopqrstuvwxyz234567"[source.IntN(32)]
		}
		parsed, err := schedule.Parse(spec, time.UTC, schedule.NewSeed(string(id), "app", "backup"))
		if err != nil {
			return nil, err
		}
		dues[i] = parsed.Next(begin.Add(-time.Second)).Sub(begin)
		if !parsed.Hashed() {
			return slices.Repeat(dues[i:i+1], n), nil
		}
	}
	return dues, nil
}

// count sums up what the agents and the endpoint saw.
func count(agents []client, perSecond []load) result {
	r := result{agents: agents, perSecond: perSecond}
	for _, second := range perSecond {
		r.requests += second.requests
		r.peak = max(r.peak, second.requests)
	}
	for _, c := range agents[1:] {
		r.perFire = max(r.perFire, c.most)
		r.perAgent = max(r.perAgent, c.total)
		if c.done == 0 {
			continue
		}
		r.accepted++
		r.last = max(r.last, c.done)
		if c.done-c.first <= time.Minute {
			r.inMinute++
		}
		if c.done-c.first <= 30*time.Minute {
			r.inHalfHour++
		}
	}
	r.refused = r.requests - r.accepted
	return r
}
