package platform_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// whoseDeadline is long enough for verify to look several times.
const whoseDeadline = 30 * time.Second

// lose makes the platform take the POST, or not, and drop the connection.
func lose(taken bool) sandbox.Fault {
	return sandbox.Fault{On: "post", Times: 1, Drop: true, Act: taken}
}

// TestWhoseItWas: the answer to our POST is lost, and there is an activity that may
// have come of it. In every row it is tried with our operation taken, when ours must
// be found among them, and not taken, when none must be held for ours.
func TestWhoseItWas(t *testing.T) {
	t.Parallel()
	const us, second = sandbox.DefaultUser, time.Second
	for name, test := range map[string]struct {
		words string
		// other is somebody's activity, and at when it is made, seen from our POST.
		other sandbox.Event
		at    time.Duration
	}{
		"nobody's":                               {other: sandbox.Event{By: us, Type: "environment.push"}},
		"the platform's automated backup before": {other: sandbox.Event{By: sandbox.Platform}, at: -second},
		"the platform's, at the same time":       {other: sandbox.Event{By: sandbox.Platform}},
		"the platform's, later":                  {other: sandbox.Event{By: sandbox.Platform}, at: second / 2},
		"a colleague's before":                   {other: sandbox.Event{By: sandbox.Colleague}, at: -second},
		"a colleague's, at the same time":        {other: sandbox.Event{By: sandbox.Colleague}},
		"a colleague's, later":                   {other: sandbox.Event{By: sandbox.Colleague}, at: second / 2},
		"our token's, an hour ago":               {other: sandbox.Event{By: us}, at: -time.Hour},
		"our token's, 3 s ago":                   {other: sandbox.Event{By: us}, at: -3 * second},
		"our token's, on another environment":    {other: sandbox.Event{By: us, Environment: "staging"}},
		"our token's, of another type":           {other: sandbox.Event{By: us, Type: "environment.redeploy"}},
		"our token's source operation":           {other: sandbox.Event{By: us, Type: "environment.source-operation"}},
		"our token's backup, and a redeploy":     {words: "redeploy", other: sandbox.Event{By: us}},
	} {
		for _, ahead := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
			for _, taken := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, server %s ahead, taken %t", name, ahead, taken), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						time.Sleep(700 * time.Millisecond) // dates are in whole seconds
						now := func() time.Time { return time.Now().Add(ahead) }
						server, c := fake(t, sandbox.Options{Now: now}, lose(taken))
						other := test.other
						other.At = now().Add(test.at)
						require.NoError(t, server.Happen(other))
						words := "backup:create"
						if test.words != "" {
							words = test.words
						}
						got := fire(c, server, whoseDeadline, request(t, words))
						time.Sleep(time.Hour)
						want := cell{accepted: 0, said: "uncertain", earliest: 29 * time.Second, latest: 29 * time.Second}
						if taken {
							want = cell{accepted: 1, said: "found"}
						}
						want.check(t, server, got)
					})
				})
			}
		}
	}
}

// TestOursIsFoundLateAmongOthers: others keep making activities of our type, and ours
// comes out of a queue.
func TestOursIsFoundLateAmongOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, c := fake(t, sandbox.Options{}, sandbox.Fault{On: "post", Drop: true, ActAfter: 12 * time.Second})
		for i := range 20 {
			by := []string{sandbox.Platform, sandbox.Colleague}[i%2]
			require.NoError(t, server.Happen(sandbox.Event{By: by, At: time.Now().Add(time.Duration(i) * time.Second)}))
		}
		got := fire(c, server, whoseDeadline, request(t, "backup:create"))
		cell{accepted: 1, said: "found", earliest: 12 * time.Second, latest: 21 * time.Second}.check(t, server, got)
	})
}

// TestASecondApp has the same token and makes the same request by itself while our
// answer is lost.
func TestASecondApp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		words string        // what it does
		wait  time.Duration // after our POST
		taken bool          // ours
		want  cell
	}{
		"both taken: two candidates, and nobody knows":            {"backup:create", 0, true, cell{2, "uncertain", 0, 0}},
		"both taken, and its is older by more than clocks differ": {"backup:create", -4 * time.Second, true, cell{2, "found", 0, 0}},
		"both taken, but another operation":                       {"redeploy", 0, true, cell{2, "found", 0, 0}},
		"ours not taken, and another operation":                   {"redeploy", 0, false, cell{1, "uncertain", 29 * time.Second, 29 * time.Second}},
		"ours not taken, and its is older":                        {"backup:create", -4 * time.Second, false, cell{1, "uncertain", 29 * time.Second, 29 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, c := fake(t, sandbox.Options{})
				second := inside(server)
				act := func() {
					_, err := second.Fire(within(t, time.Minute), onMain, request(t, test.words))
					require.NoError(t, err)
				}
				c.HTTP.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
					response, err := transport(server)(r)
					if places[1].is(r) && test.wait == 0 {
						act()
					}
					return response, err
				})
				if test.wait < 0 {
					act()
					time.Sleep(-test.wait)
				}
				require.NoError(t, server.Fault(lose(test.taken))) // the next POST is ours
				got := fire(c, server, whoseDeadline, request(t, "backup:create"))
				time.Sleep(time.Hour)
				accepted := server.Accepted()
				require.Len(t, accepted, test.want.accepted)
				require.Equal(t, test.want.said, got.said(), "%v", got.err)
				assert.GreaterOrEqual(t, got.took, test.want.earliest)
				assert.LessOrEqual(t, got.took, test.want.latest)
				switch got.said() {
				case "found":
					ours := accepted[0]
					if test.wait < 0 {
						ours = accepted[1]
					}
					assert.Equal(t, ours.Activities[0], got.accepted.Activities[0].ID)
				case "uncertain":
					if test.taken {
						for _, a := range accepted {
							assert.Contains(t, got.err.Error(), a.Activities[0], "both are named")
						}
					}
				}
			})
		})
	}
}

// TestTwoSourceOperations of one token are of one type, and told apart by their names.
func TestTwoSourceOperations(t *testing.T) {
	t.Parallel()
	for _, taken := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			server, c := fake(t, sandbox.Options{SourceOperations: []string{"update", "cleanup"}},
				sandbox.Fault{On: "post", Times: 1}, lose(taken))
			_, err := inside(server).Fire(within(t, time.Minute), onMain, request(t, "source-operation:run", "cleanup"))
			require.NoError(t, err)
			got := fire(c, server, whoseDeadline, request(t, "source-operation:run", "update"))
			if !taken {
				assert.Equal(t, "uncertain", got.said(), "%v", got.err)
				return
			}
			require.Equal(t, "found", got.said(), "%v", got.err)
			assert.Equal(t, server.Accepted()[1].Activities[0], got.accepted.Activities[0].ID)
		})
	}
}

// TestWhatNobodyCanTellApart is the limit of it all, and here so that it is known: the
// platform does not take our backup, and within the same seconds, or up to two before,
// somebody makes one with the same token. It looks like ours in all that the API tells,
// and is said to be. Were ours taken as well, it would be uncertain.
func TestWhatNobodyCanTellApart(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Duration{-2 * time.Second, 0, 10 * time.Second} {
		for _, taken := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				server, c := fake(t, sandbox.Options{}, lose(taken))
				require.NoError(t, server.Happen(sandbox.Event{By: sandbox.DefaultUser, At: time.Now().Add(at)}))
				got := fire(c, server, whoseDeadline, request(t, "backup:create"))
				if taken && at <= 0 {
					assert.Equal(t, "uncertain", got.said())
					return
				}
				// Ours is there at the first look, if it was taken.
				assert.Equal(t, taken, len(server.Accepted()) == 1)
				assert.Equal(t, "found", got.said())
			})
		}
	}
}

// TestWhatTheAPIDoesNotTell: our operation was taken, its activity is there, and one
// of the facts by which we know it is not.
func TestWhatTheAPIDoesNotTell(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	noUser := func(a object) {
		a["description"] = "somebody created a backup"
		delete(a["parameters"].(object), "user")
		delete(a["payload"].(object), "user")
	}
	for name, test := range map[string]struct {
		change func(a object)
		date   string // the answer's; empty: as it is
		said   string
		text   string // of the error
	}{
		"all is told":                    {func(object) {}, "", "found", ""},
		"no user":                        {noUser, "", "uncertain", "does not tell whose it is or since when"},
		"the user in parameters only":    {func(a object) { delete(a["payload"].(object), "user"); delete(a, "description") }, "", "found", ""},
		"the user in the payload only":   {func(a object) { delete(a["parameters"].(object), "user"); delete(a, "description") }, "", "found", ""},
		"the user in the text only":      {func(a object) { delete(a["parameters"].(object), "user"); delete(a["payload"].(object), "user") }, "", "found", ""},
		"no parameters":                  {func(a object) { a["parameters"] = nil }, "", "found", ""},
		"a payload that is a list":       {func(a object) { a["payload"] = []string{} }, "", "found", ""},
		"parameters that are a list":     {func(a object) { a["parameters"] = []string{} }, "", "found", ""},
		"neither parameters nor payload": {func(a object) { delete(a, "parameters"); delete(a, "payload") }, "", "found", ""},
		"no time":                        {func(a object) { delete(a, "created_at") }, "", "uncertain", "does not tell whose it is or since when"},
		"a time that is none":            {func(a object) { a["created_at"] = "yesterday" }, "", "uncertain", "does not tell whose it is or since when"},
		"a time with another offset":     {func(a object) { a["created_at"] = "2000-01-01T02:00:00.7+02:00" }, "", "found", ""},
		"a time in whole seconds":        {func(a object) { a["created_at"] = "2000-01-01T00:00:00Z" }, "", "found", ""},
		"no environments":                {func(a object) { delete(a, "environments"); delete(a["parameters"].(object), "environment") }, "", "found", ""},
		"another environment": {func(a object) {
			a["environments"] = []string{"staging"}
			delete(a["parameters"].(object), "environment")
		}, "", "uncertain", "none of its activities is ours"},
		"another type, although we asked": {func(a object) { a["type"] = "environment.push" }, "", "uncertain", "none of its activities is ours"},
		"no date":                         {func(object) {}, "none", "uncertain", "the answer has no date"},
		"a date that is none":             {func(object) {}, "yesterday", "uncertain", "the answer has no date"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(700 * time.Millisecond)
				server, c := fake(t, sandbox.Options{}, lose(true))
				c.HTTP.Transport = transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !strings.HasSuffix(r.URL.Path, "/activities") {
						server.ServeHTTP(w, r)
						return
					}
					recorder := httptest.NewRecorder()
					server.ServeHTTP(recorder, r)
					var all []object
					assert.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &all))
					for _, a := range all {
						test.change(a)
					}
					w.Header().Set("Date", recorder.Header().Get("Date"))
					switch test.date {
					case "":
					case "none":
						w.Header().Del("Date")
					default:
						w.Header().Set("Date", test.date)
					}
					assert.NoError(t, json.NewEncoder(w).Encode(all))
				}))
				got := fire(c, server, whoseDeadline, request(t, "backup:create"))
				require.Equal(t, test.said, got.said(), "%v", got.err)
				if got.err != nil {
					assert.Contains(t, got.err.Error(), test.text)
					assert.Equal(t, platform.Uncertain, platformError(t, got.err).Kind)
					return
				}
				assert.Equal(t, server.Accepted()[0].Activities[0], got.accepted.Activities[0].ID)
			})
		})
	}
}

// TestTheServersClockCounts however slow the answers are, since what has passed here
// since the attempt is known exactly: an older backup of the same token, made just
// before, is never ours.
func TestTheServersClockCounts(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		for _, late := range []time.Duration{0, time.Second, 6 * time.Second} {
			for _, taken := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s ahead, answers after %s, taken %t", ahead, late, taken), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						now := func() time.Time { return time.Now().Add(ahead) }
						server, c := fake(t, sandbox.Options{Now: now}, lose(taken), sandbox.Fault{On: "get", DelayBefore: late})
						for _, before := range []time.Duration{4 * time.Second, time.Minute, 11 * time.Minute} {
							require.NoError(t, server.Happen(sandbox.Event{By: sandbox.DefaultUser, At: now().Add(-before)}))
						}
						got := fire(c, server, whoseDeadline, request(t, "backup:create"))
						if taken {
							require.Equal(t, "found", got.said(), "%v", got.err)
							assert.Equal(t, server.Accepted()[0].Activities[0], got.accepted.Activities[0].ID)
							return
						}
						assert.Equal(t, "uncertain", got.said(), "%v", got.err)
					})
				})
			}
		}
	}
}

// TestATokenIsRenewedOnceForAllLooks: a revoked token must not be exchanged at
// each of them.
func TestATokenIsRenewedOnceForAllLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, c := fake(t, sandbox.Options{},
			sandbox.Fault{On: "post", Drop: true, Act: true}, sandbox.Fault{On: "get", Status: 401})
		_, err := c.Fire(within(t, 30*time.Second), onMain, request(t, "backup:create"))
		assert.Equal(t, platform.Uncertain, platformError(t, err).Kind)
		assert.Equal(t, 2, count(server, "POST", exchanges))
		assert.Greater(t, count(server, "GET", "/activities"), 4)
	})
}

// TestFiresOfOneClientAreNotTakenForEachOther: two crons of one app fire the same
// operation in the same tick, and the answer of one of them is lost.
func TestFiresOfOneClientAreNotTakenForEachOther(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]sandbox.Fault{
		"not acted on":           {On: "post", Times: 1, Status: 502, Content: sandbox.ContentHTML},
		"acted on":               {On: "post", Times: 1, Status: 502, Content: sandbox.ContentHTML, Act: true},
		"the other answers late": {On: "post", Times: 1, Drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, c := fake(t, sandbox.Options{}, lost, sandbox.Fault{On: "post", DelayAfter: 3 * time.Second})
				var fires sync.WaitGroup
				var mu sync.Mutex
				var said []string
				for i := range 2 {
					fires.Go(func() {
						time.Sleep(time.Duration(i) * 100 * time.Millisecond)
						accepted, err := c.Fire(within(t, 30*time.Second), onMain, request(t, "backup:create"))
						if err == nil {
							mu.Lock()
							defer mu.Unlock()
							said = append(said, accepted.Activities[0].ID)
						}
					})
				}
				fires.Wait()
				require.Len(t, said, len(server.Accepted()))
				slices.Sort(said)
				assert.Len(t, slices.Compact(said), len(said), "each has one of its own")
			})
		})
	}
}

// TestAnotherServers503IsNotTheAPIsOwn: what stands in front of the API may have
// passed the request on before it gave up.
func TestAnotherServers503IsNotTheAPIsOwn(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"code":503,"message":"upstream timed out"}`, `{"code":14,"message":"unavailable"}`, `{"status":"error","message":"x"}`, `{"status":"error","code":502}`, `{"status":503,"code":503}`} {
		synctest.Test(t, func(t *testing.T) {
			server, c := fake(t, sandbox.Options{}, sandbox.Fault{On: "post", Times: 1, Status: 503, Act: true, Body: body})
			accepted, err := c.Fire(within(t, 30*time.Second), onMain, request(t, "backup:create"))
			require.NoError(t, err, body)
			assert.NotEmpty(t, accepted.Note, body)
			assert.Len(t, server.Accepted(), 1, body)
		})
	}
}

// TestFindWaitsForFiresUnderWay: what is seen while another fire of the same kind has no
// answer yet, or looks for what became of it, may be its.
func TestFindWaitsForFiresUnderWay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault sandbox.Fault
		first string
		limit time.Duration // of Find
		found int
		fails bool
	}{
		"its answer comes":              {fault: sandbox.Fault{On: "post", Times: 1, DelayAfter: 5 * time.Second}, limit: 15 * time.Second},
		"its answer is lost":            {fault: sandbox.Fault{On: "post", Times: 1, DelayAfter: 5 * time.Second, Drop: true, Act: true}, limit: 15 * time.Second},
		"its answer comes too late":     {fault: sandbox.Fault{On: "post", Times: 1, DelayAfter: 10 * time.Second}, limit: 5 * time.Second, fails: true},
		"it is one of another kind":     {fault: sandbox.Fault{On: "post", Times: 1, DelayAfter: 10 * time.Second}, first: "redeploy", limit: 5 * time.Second, found: 1},
		"somebody else did it meantime": {fault: sandbox.Fault{On: "post", Times: 1, DelayAfter: 5 * time.Second}, limit: 15 * time.Second, found: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, c := fake(t, sandbox.Options{}, test.fault)
				first := test.first
				if first == "" {
					first = "backup:create"
				}
				var under sync.WaitGroup
				under.Go(func() { fire(c, server, 30*time.Second, request(t, first)) })
				time.Sleep(time.Second)
				if test.found > 0 {
					require.NoError(t, server.Happen(sandbox.Event{By: sandbox.DefaultUser, At: time.Now()}))
				}
				ctx, cancel := context.WithTimeout(t.Context(), test.limit)
				defer cancel()
				found, doubtful, err := c.Find(ctx, onMain, request(t, "backup:create"), time.Hour)
				assert.Equal(t, test.fails, err != nil, "%v", err)
				assert.Len(t, found, test.found)
				assert.Zero(t, doubtful)
				under.Wait()
			})
		})
	}
}
