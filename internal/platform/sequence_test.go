package platform_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// How many random sequences are tried. CRONAGENT_LONG=yes takes the second;
// CRONAGENT_SEQUENCE=N tries only the one with that number, and tells all of it.
const (
	sequences     = 10_000
	longSequences = 100_000
)

// TestRandomFaults fires among random faults, each time at a fake platform of its
// own, and holds what Fire said against what that platform knows. Each sequence is
// drawn from its number alone, waits included, so it can be repeated.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	first, last := 1, sequences
	if os.Getenv("CRONAGENT_LONG") == "yes" {
		last = longSequences
	}
	if one := os.Getenv("CRONAGENT_SEQUENCE"); one != "" {
		n, err := strconv.Atoi(one)
		require.NoError(t, err, "CRONAGENT_SEQUENCE")
		first, last = n, n
	}
	var kinds []sandbox.Fault
	faults := matrixFaults()
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		kinds = append(kinds, faults[name])
	}
	// One test for each processor: a test for each sequence would be slow.
	workers := runtime.GOMAXPROCS(0)
	told := make([]map[string]int, workers)
	t.Run("all", func(t *testing.T) {
		for w := range workers {
			told[w] = map[string]int{}
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				wrong := 0
				for n := first + w; n <= last && wrong < 5; n += workers {
					synctest.Test(t, func(t *testing.T) {
						s := draw(t, n, kinds)
						s.run()
						told[w][s.got.said()]++
						if problems := s.problems(); len(problems) > 0 || first == last {
							t.Log(s)
							for _, p := range problems {
								t.Error(p)
							}
							wrong += min(len(problems), 1)
						}
					})
				}
			})
		}
	})
	if first == last {
		return
	}
	// A mistake in the drawing may make a test of nothing.
	all := map[string]int{}
	for _, some := range told {
		for said, n := range some {
			all[said] += n
		}
	}
	for _, said := range []string{"fired", "found", "uncertain", "unavailable", "unavailable/noConnection", "unauthorized/tokenRefused", "failed", "forbidden"} {
		require.Greater(t, all[said], sequences/500, "how often Fire said %q, of %v", said, all)
	}
	t.Log(all)
}

// sequence is one Fire with all that goes wrong meanwhile.
type sequence struct {
	t        *testing.T
	number   int
	random   *rand.Rand
	request  operation.Request
	deadline time.Duration
	ahead    time.Duration // the server's clock, of ours
	faults   []sandbox.Fault
	severed  []severed
	events   []sandbox.Event

	server *sandbox.Server
	client *platform.Client
	last   sandbox.Request // that the server has settled

	trips    []trip
	got      end
	returned time.Time // by the server's clock
}

// severed is a fault that keeps a connection from being made.
type severed struct {
	place place
	times int
	err   error
}

// trip is one request as it went, with times by the server's clock.
type trip struct {
	what       string
	began      time.Time
	ended      time.Time
	connected  bool
	status     int  // 0: there was no answer
	turnedAway bool // by the API itself, so that surely nothing was done
	clean      bool // no fault was involved
}

func (r trip) String() string {
	return fmt.Sprintf("%s %s..%s connected=%t status=%d turnedAway=%t clean=%t", r.what,
		r.began.UTC().Format("15:04:05.000"), r.ended.UTC().Format("15:04:05.000"), r.connected, r.status, r.turnedAway, r.clean)
}

func draw(t *testing.T, number int, kinds []sandbox.Fault) *sequence {
	s := &sequence{t: t, number: number, random: rand.New(rand.NewPCG(uint64(number), 0))}
	words := [][]string{{"backup:create"}, {"redeploy"}, {"source-operation:run", "update"}}
	s.request = request(t, words[s.random.IntN(len(words))]...)
	s.deadline = s.between(5*time.Second, 40*time.Second)
	s.ahead = s.between(-10*time.Minute, 10*time.Minute)
	for range 1 + s.random.IntN(6) {
		p := places[[...]int{0, 0, 1, 1, 1, 1, 2, 2, 2, 3}[s.random.IntN(10)]]
		if s.random.IntN(10) == 0 {
			s.severed = append(s.severed, severed{p, 1 + s.random.IntN(3), s.disconnection()})
			continue
		}
		s.faults = append(s.faults, s.fault(p, kinds))
	}
	for range s.random.IntN(5) {
		s.events = append(s.events, s.event())
	}
	return s
}

func (s *sequence) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.random.Int64N(int64(most-least)))
}

func (s *sequence) disconnection() error {
	return [...]error{
		&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")},
		&net.DNSError{Err: "no such host", Name: "localhost", IsNotFound: true},
		errors.New("tls: handshake failure"),
		&tls.CertificateVerificationError{Err: errors.New("unknown authority")},
	}[s.random.IntN(4)]
}

// fault draws one of the matrix's faults, with delays that the matrix has not. What
// would be a lie of the platform is left out: it does not refuse and yet act.
func (s *sequence) fault(p place, kinds []sandbox.Fault) sandbox.Fault {
	f := kinds[s.random.IntN(len(kinds))]
	f.On, f.Times = p.on, 1+s.random.IntN(3)
	lost := f.Drop || f.Act || f.ActAfter > 0
	if lost && f.Body != "{}" && s.random.IntN(3) == 0 {
		f.Act, f.ActAfter = false, s.between(1, 60*time.Second)
	}
	if f.DelayBefore == 0 && s.random.IntN(4) == 0 {
		f.DelayBefore = s.between(0, 20*time.Second)
	}
	if f.DelayAfter == 0 && s.random.IntN(4) == 0 {
		f.DelayAfter = s.between(0, 20*time.Second)
	}
	return f
}

// event draws something that others do. An activity that is like ours in all, after
// our attempt began, is left out: see TestWhatNobodyCanTellApart. Before means more
// than verify's allowance for clocks that are apart, and for dates in whole seconds.
func (s *sequence) event() sandbox.Event {
	now := time.Now().Add(s.ahead)
	e := sandbox.Event{Type: s.request.Activity, By: sandbox.DefaultUser, At: now.Add(s.between(-10*time.Minute, time.Minute))}
	switch s.random.IntN(6) {
	case 0, 1:
		e.By = sandbox.Platform
	case 2:
		e.By = sandbox.Colleague
	case 3:
		e.At = now.Add(s.between(-10*time.Minute, -3*time.Second))
	case 4:
		e.Environment = "staging"
	case 5:
		e.Type = "environment.push"
	}
	return e
}

func (s *sequence) now() time.Time { return time.Now().Add(s.ahead) }

func (s *sequence) run() {
	s.server, s.client = fake(s.t, sandbox.Options{Now: s.now, OnRequest: func(r sandbox.Request) { s.last = r }}, s.faults...)
	s.client.SetRandom(func(n time.Duration) time.Duration { return time.Duration(s.random.Int64N(int64(n))) })
	s.client.HTTP.Transport = roundTripper(s.roundTrip)
	for _, e := range s.events {
		require.NoError(s.t, s.server.Happen(e))
	}
	s.got = fire(s.client, s.server, s.deadline, s.request)
	s.got.sent = len(s.trips)
	s.returned = s.now()
	time.Sleep(10 * time.Minute) // whatever is queued happens
}

func (s *sequence) roundTrip(r *http.Request) (*http.Response, error) {
	this := trip{what: "another", began: s.now()}
	for _, p := range places {
		if p.is(r) {
			this.what = p.name
		}
	}
	defer func() {
		this.ended = s.now()
		s.trips = append(s.trips, this)
	}()
	for i := range s.severed {
		if c := &s.severed[i]; c.times > 0 && c.place.is(r) {
			c.times--
			return nil, c.err
		}
	}
	this.connected = true
	// The fake platform records headers without secrets, which takes longer than all
	// the rest: so it gets only those that it goes by.
	r = r.WithContext(r.Context())
	r.Header = http.Header{"Authorization": r.Header["Authorization"], "Content-Type": r.Header["Content-Type"]}
	response, err := transport(s.server)(r)
	this.clean = err == nil && !s.last.Faulty
	if err != nil {
		return nil, err
	}
	this.status = response.StatusCode
	body, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	this.turnedAway = this.status >= 300 && this.status < 500 && this.status != http.StatusRequestTimeout ||
		this.status == http.StatusServiceUnavailable && bytes.Contains(body, []byte(`"status":"error"`))
	return response, err
}

// String tells all of the sequence.
func (s *sequence) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sequence %d, to repeat with CRONAGENT_SEQUENCE=%d: %s, deadline %s, the server's clock ahead %s\n", s.number, s.number, s.request, s.deadline, s.ahead)
	for _, f := range s.faults {
		fmt.Fprintf(&b, "  fault      %+v\n", f)
	}
	for _, c := range s.severed {
		fmt.Fprintf(&b, "  severed    %s, %v\n", c.place.name, c.err)
	}
	for i, r := range s.trips {
		if i == s.got.sent {
			fmt.Fprintln(&b, "  Fire had returned")
		}
		fmt.Fprintf(&b, "  request    %s\n", r)
	}
	for _, a := range s.server.Activities() {
		fmt.Fprintf(&b, "  activity   %s %s %s on %s by %q\n", a.Created.UTC().Format("15:04:05.000"), a.ID, a.Type, a.Environment, a.By)
	}
	for _, a := range s.server.Accepted() {
		fmt.Fprintf(&b, "  accepted   %s %v\n", a.Time.UTC().Format("15:04:05.000"), a.Activities)
	}
	fmt.Fprintf(&b, "  Fire said  %s %s after %s: %+v %v", s.returned.UTC().Format("15:04:05.000"), s.got.said(), s.got.took, s.got.accepted, s.got.err)
	return b.String()
}

// problems are what Fire did or said that it should not have.
func (s *sequence) problems() (problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	accepted := s.server.Accepted()
	if len(accepted) > 1 {
		wrong("a duplicate: the platform accepted %d operations", len(accepted))
	}
	var ours []string // the activities
	acted := false    // by the time that Fire returned
	if len(accepted) > 0 {
		ours, acted = accepted[0].Activities, !accepted[0].Time.After(s.returned)
	}
	switch said := s.got.said(); {
	case said == "fired" || said == "found":
		if !acted {
			wrong("it said %s of what was not accepted by then", said)
		}
		for _, a := range s.got.accepted.Activities {
			if !slices.Contains(ours, a.ID) {
				wrong("it named activity %s, which is another's", a.ID)
			}
		}
		if said == "found" && len(s.got.accepted.Activities) != 1 {
			wrong("it found %d activities", len(s.got.accepted.Activities))
		}
	case strings.HasPrefix(said, "uncertain"):
		if why := s.couldHaveKnown(acted, len(ours)); why != "" {
			wrong("it said uncertain, but it could have known: %s", why)
		}
	case s.got.err == nil || strings.HasPrefix(said, "something"):
		wrong("it said %s", said)
	case len(accepted) > 0:
		wrong("it said %s of what was accepted", said)
	}
	if s.got.took > s.deadline {
		wrong("it was back %s too late", s.got.took-s.deadline)
	}
	if sent := len(s.trips); sent > s.got.sent {
		wrong("%d requests were sent after its return", sent-s.got.sent)
	}
	if n := len(s.sent("POST", func(r trip) bool { return r.connected && !r.turnedAway })); n > 1 {
		wrong("%d POSTs were sent that may have been taken", n)
	}
	if n := len(s.sent("POST", nil)); n > platform.MaxTries+2 {
		wrong("the POST was sent %d times", n)
	}
	if n := len(s.sent("token", nil)); n > 2*platform.MaxTries {
		wrong("the token was exchanged %d times", n)
	}
	return problems
}

// sent are the requests of a place for which which, if not nil, holds.
func (s *sequence) sent(what string, which func(trip) bool) (some []trip) {
	for _, r := range s.trips {
		if r.what == what && (which == nil || which(r)) {
			some = append(some, r)
		}
	}
	return some
}

// couldHaveKnown says by what Fire could have known what became of the operation;
// empty if by nothing. Acted tells whether the platform has acted on it, and ours how
// many activities it made of it.
func (s *sequence) couldHaveKnown(acted bool, ours int) string {
	clean := func(r trip) bool { return r.clean && r.status == http.StatusOK }
	taken := s.sent("POST", func(r trip) bool { return r.connected && !r.turnedAway })
	if len(taken) == 0 {
		return "every POST was surely turned away"
	}
	// Several activities of ours look like ours and another's.
	if acted && ours != 1 {
		return ""
	}
	looked := s.sent("activities", nil)
	if left := s.deadline - s.got.took; left > 2*time.Second {
		return fmt.Sprintf("there were %s left to look", left)
	}
	if len(looked) == 0 && s.deadline > 3*time.Second && taken[0].ended.Sub(taken[0].began) < s.deadline/2 {
		return "it never looked"
	}
	if !acted {
		return ""
	}
	when := s.server.Accepted()[0].Time
	seen := slices.ContainsFunc(looked, func(r trip) bool { return clean(r) && !r.began.Before(when) })
	me := s.sent("me", nil)
	switch {
	case seen && len(me) == 0:
		return "it saw the activity, but did not ask whose it is"
	case seen && slices.ContainsFunc(me, clean):
		return "it saw the activity and who we are"
	}
	return ""
}
