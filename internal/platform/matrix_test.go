package platform_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// The fault matrix: every fault at every request that Fire makes. A cell says how
// many operations the platform accepted in the end, with all that lay in its queue;
// what Fire said; and when:
//
//	1 found 22.5s         accepted once; Fire found it among the activities, after exactly 22.5 s
//	0 uncertain 28s..30s  accepted never; Fire could not know that, and said so in this time
//
// "fired" is the platform's own word. The others are the kind of the error and,
// after a slash, its reason. Faults last for ever, except for those that are "once".
//
// The GETs that verify, of the activities and of our user, are sent only when a POST
// was lost: so in their columns the platform acts on the POST, whose connection is
// then dropped, and the fault is the GET's. An operation that is asked about among
// such faults is uncertain although it was taken, since nobody could know.
//
// The rows that end by a draw (of the waits between tries) give the time that they
// may take; all others are exact.
const matrixDeadline = 30 * time.Second

const matrix = `
fault                           | token                            | POST                           | activities             | me

drop before acting              | 0 unavailable/noConnection ..30s | 0 uncertain 29s                | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
drop after acting               | 0 unavailable/noConnection ..30s | 1 found 0s                     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
drop after acting, once         | 1 fired ..1s                     | 1 found 0s                     | 1 found ..1s           | 1 found ..1s
drop, acts 5 s later            | 0 unavailable/noConnection ..30s | 1 found 8.125s                 | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
drop, acts 45 s later           | 0 unavailable/noConnection ..30s | 1 uncertain 29s                | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
drop, acts 5 min later          | 0 unavailable/noConnection ..30s | 1 uncertain 29s                | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
time-out before acting          | 0 unavailable/noConnection ..30s | 0 uncertain 29s                | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
time-out before acting, once    | 1 fired 10s..11s                 | 0 uncertain 29s                | 1 found 10s..11s       | 1 found 10s..11s
time-out after acting           | 0 unavailable/noConnection ..30s | 1 found 22.5s                  | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
time-out, acts 5 s later        | 0 unavailable/noConnection ..30s | 1 found 22.5s                  | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
400                             | 0 unauthorized/tokenRefused 0s   | 0 failed 0s                    | 1 uncertain 29s        | 1 uncertain 29s
401 once                        | 0 unauthorized/tokenRefused 0s   | 1 fired 0s                     | 1 found 0s             | 1 found 0s
401 always                      | 0 unauthorized/tokenRefused 0s   | 0 unauthorized/tokenRefused 0s | 1 uncertain 29s        | 1 uncertain 29s
401 with a page                 | 0 failed/notFromAPI 0s           | 0 unauthorized/tokenRefused 0s | 1 uncertain 29s        | 1 uncertain 29s
401 step-up                     | 0 unauthorized/tokenRefused 0s   | 0 unauthorized/stepUp 0s       | 1 uncertain 29s        | 1 uncertain 29s
402                             | 0 failed 0s                      | 0 failed 0s                    | 1 uncertain 29s        | 1 uncertain 29s
403                             | 0 unauthorized/tokenRefused 0s   | 0 forbidden 0s                 | 1 uncertain 29s        | 1 uncertain 29s
404                             | 0 failed 0s                      | 0 failed 0s                    | 1 uncertain 29s        | 1 uncertain 29s
404 once                        | 0 failed 0s                      | 1 fired 0s                     | 1 found 1s             | 1 found 1s
405                             | 0 failed 0s                      | 0 failed 0s                    | 1 uncertain 29s        | 1 uncertain 29s
408                             | 0 unavailable ..30s              | 0 uncertain 29s                | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
408 with a page, acted          | 0 unavailable/notFromAPI ..30s   | 1 found 0s                     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
409                             | 0 failed 0s                      | 0 failed 0s                    | 1 uncertain 29s        | 1 uncertain 29s
429                             | 0 unavailable ..30s              | 0 unavailable ..30s            | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
429 once                        | 1 fired ..1s                     | 1 fired ..1s                   | 1 found ..1s           | 1 found ..1s
429 with Retry-After: 5         | 0 unavailable 5s..30s            | 0 unavailable 5s..30s          | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
429 with Retry-After: 5, once   | 1 fired 5s..10s                  | 1 fired 5s..10s                | 1 found 5s..10s        | 1 found 5s..10s
429 with Retry-After: 3600      | 0 unavailable 0s                 | 0 unavailable 0s               | 1 uncertain 29s        | 1 uncertain 29s
500 not acted                   | 0 unavailable ..30s              | 0 uncertain 29s                | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
500 acted                       | 0 unavailable ..30s              | 1 found 0s                     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
500 with a page, not acted      | 0 unavailable/notFromAPI ..30s   | 0 uncertain/notFromAPI 29s     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
502 with a page, not acted      | 0 unavailable/notFromAPI ..30s   | 0 uncertain/notFromAPI 29s     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
502 with a page, acted          | 0 unavailable/notFromAPI ..30s   | 1 found 0s                     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
502 with a page, acted, once    | 1 fired ..1s                     | 1 found 0s                     | 1 found ..1s           | 1 found ..1s
502 with Retry-After: 0         | 0 unavailable ..30s              | 0 uncertain 29s                | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
503 in the API's JSON           | 0 unavailable ..30s              | 0 unavailable ..30s            | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
503 in the API's JSON, once     | 1 fired ..1s                     | 1 fired ..1s                   | 1 found ..1s           | 1 found ..1s
503 in another's JSON, acted    | 0 unavailable ..30s              | 1 found 0s                     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
503 without a body, not acted   | 0 unavailable/notFromAPI ..30s   | 0 uncertain/notFromAPI 29s     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
503 with a page, not acted      | 0 unavailable/notFromAPI ..30s   | 0 uncertain/notFromAPI 29s     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
503 with a page, acted          | 0 unavailable/notFromAPI ..30s   | 1 found 0s                     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
504 with a page, not acted      | 0 unavailable/notFromAPI ..30s   | 0 uncertain/notFromAPI 29s     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
504 with a page, acted          | 0 unavailable/notFromAPI ..30s   | 1 found 0s                     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
504 with a page, acts 5 s later | 0 unavailable/notFromAPI ..30s   | 1 found 8.125s                 | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
504 in the API's JSON           | 0 unavailable ..30s              | 0 uncertain 29s                | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
200 empty, not acted            | 0 unavailable/notFromAPI ..30s   | 0 uncertain/notFromAPI 29s     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
202 empty, acted                | 0 unavailable/notFromAPI ..30s   | 1 found 0s                     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
204 empty, acted                | 0 unavailable/notFromAPI ..30s   | 1 found 0s                     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
200 with a page, not acted      | 0 unavailable/notFromAPI ..30s   | 0 uncertain/notFromAPI 29s     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
202 with a page, acted          | 0 unavailable/notFromAPI ..30s   | 1 found 0s                     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
302 to another host             | 0 failed/redirected 0s           | 0 failed/redirected 0s         | 1 uncertain 29s        | 1 uncertain 29s
307 to another host             | 0 failed/redirected 0s           | 0 failed/redirected 0s         | 1 uncertain 29s        | 1 uncertain 29s
2xx with no activity            | 1 fired 0s                       | 1 fired 0s                     | 1 found 0s             | 1 found 0s
2xx with one activity           | 1 fired 0s                       | 1 fired 0s                     | 1 found 0s             | 1 found 0s
2xx with three activities       | 1 fired 0s                       | 1 fired 0s                     | 1 found 0s             | 1 found 0s
2xx with an empty object        | 0 failed/notFromAPI 0s           | 1 fired 0s                     | 1 uncertain 29s        | 1 uncertain 29s
2xx with a list                 | 0 failed/notFromAPI 0s           | 0 uncertain/notFromAPI 29s     | 1 uncertain 29s        | 1 uncertain 29s
2xx with null                   | 0 failed/notFromAPI 0s           | 0 uncertain/notFromAPI 29s     | 1 uncertain 29s        | 1 uncertain 29s
2xx with more than JSON         | 0 unavailable/notFromAPI ..30s   | 0 uncertain/notFromAPI 29s     | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
three activities, and a drop    | 0 unavailable/noConnection ..30s | 1 uncertain 0s                 | 1 uncertain 28.5s..30s | 1 uncertain 28.5s..30s
`

// matrixFaults are the matrix's faults by their names.
func matrixFaults() map[string]sandbox.Fault {
	const page, empty = sandbox.ContentHTML, sandbox.ContentEmpty
	none, one, three := 0, 1, 3
	header := func(name, value string) map[string]string { return map[string]string{name: value} }
	return map[string]sandbox.Fault{
		"drop before acting":              {Drop: true},
		"drop after acting":               {Drop: true, Act: true},
		"drop after acting, once":         {Drop: true, Act: true, Times: 1},
		"drop, acts 5 s later":            {Drop: true, ActAfter: 5 * time.Second},
		"drop, acts 45 s later":           {Drop: true, ActAfter: 45 * time.Second},
		"drop, acts 5 min later":          {Drop: true, ActAfter: 5 * time.Minute},
		"time-out before acting":          {DelayBefore: time.Hour},
		"time-out before acting, once":    {DelayBefore: time.Hour, Times: 1},
		"time-out after acting":           {DelayAfter: time.Hour},
		"time-out, acts 5 s later":        {DelayAfter: time.Hour, ActAfter: 5 * time.Second},
		"400":                             {Status: 400},
		"401 once":                        {Status: 401, Times: 1},
		"401 always":                      {Status: 401},
		"401 with a page":                 {Status: 401, Content: page},
		"401 step-up":                     {Status: 401, Header: header("WWW-Authenticate", `Bearer error="insufficient_user_authentication", max_age="5"`)},
		"402":                             {Status: 402},
		"403":                             {Status: 403},
		"404":                             {Status: 404},
		"404 once":                        {Status: 404, Times: 1},
		"405":                             {Status: 405},
		"408":                             {Status: 408},
		"408 with a page, acted":          {Status: 408, Content: page, Act: true},
		"409":                             {Status: 409},
		"429":                             {Status: 429},
		"429 once":                        {Status: 429, Times: 1},
		"429 with Retry-After: 5":         {Status: 429, Header: header("Retry-After", "5")},
		"429 with Retry-After: 5, once":   {Status: 429, Header: header("Retry-After", "5"), Times: 1},
		"429 with Retry-After: 3600":      {Status: 429, Header: header("Retry-After", "3600")},
		"500 not acted":                   {Status: 500},
		"500 acted":                       {Status: 500, Act: true},
		"500 with a page, not acted":      {Status: 500, Content: page},
		"502 with a page, not acted":      {Status: 502, Content: page},
		"502 with a page, acted":          {Status: 502, Content: page, Act: true},
		"502 with a page, acted, once":    {Status: 502, Content: page, Act: true, Times: 1},
		"502 with Retry-After: 0":         {Status: 502, Header: header("Retry-After", "0")},
		"503 in the API's JSON":           {Status: 503},
		"503 in the API's JSON, once":     {Status: 503, Times: 1},
		"503 in another's JSON, acted":    {Status: 503, Body: `{"message":"upstream","request_id":"x"}`, Act: true},
		"503 without a body, not acted":   {Status: 503, Content: empty},
		"503 with a page, not acted":      {Status: 503, Content: page},
		"503 with a page, acted":          {Status: 503, Content: page, Act: true},
		"504 with a page, not acted":      {Status: 504, Content: page},
		"504 with a page, acted":          {Status: 504, Content: page, Act: true},
		"504 with a page, acts 5 s later": {Status: 504, Content: page, ActAfter: 5 * time.Second},
		"504 in the API's JSON":           {Status: 504},
		"200 empty, not acted":            {Content: empty},
		"202 empty, acted":                {Content: empty, Act: true},
		"204 empty, acted":                {Status: 204, Content: empty, Act: true},
		"200 with a page, not acted":      {Content: page},
		"202 with a page, acted":          {Content: page, Act: true},
		"302 to another host":             {Status: 302, Header: header("Location", "https://other.invalid/")},
		"307 to another host":             {Status: 307, Header: header("Location", "https://other.invalid/")},
		"2xx with no activity":            {Activities: &none},
		"2xx with one activity":           {Activities: &one},
		"2xx with three activities":       {Activities: &three},
		"2xx with an empty object":        {Body: `{}`, Act: true},
		"2xx with a list":                 {Body: `[]`},
		"2xx with null":                   {Body: `null`},
		"2xx with more than JSON":         {Body: `{} {}`},
		"three activities, and a drop":    {Activities: &three, Drop: true, Act: true},
	}
}

// wireMatrix holds the faults that are none without a real connection. The time in a
// cell is the deadline: short where Fire uses it up, and else long, since a machine can
// be busy. The last of several tries may be cut off by it, whatever the fault is: then
// any reason will do.
const wireMatrix = `
fault                         | token                            | POST                             | activities     | me

no connection                 | 0 unavailable/noConnection 3s    | 0 unavailable/noConnection 3s    | 1 uncertain 3s | 1 uncertain 3s
name not resolved             | 0 unavailable/noConnection 3s    | 0 unavailable/noConnection 3s    | 1 uncertain 3s | 1 uncertain 3s
TLS: unknown authority        | 0 unavailable/badCertificate 20s | 0 unavailable/badCertificate 20s | 1 uncertain 3s | 1 uncertain 3s
TLS: not spoken               | 0 unavailable/noConnection 3s    | 0 unavailable/noConnection 3s    | 1 uncertain 3s | 1 uncertain 3s
drop before acting            | 0 unavailable/noConnection 3s    | 0 uncertain 3s                   | 1 uncertain 3s | 1 uncertain 3s
drop after acting             | 0 unavailable/noConnection 3s    | 1 found 20s                      | 1 uncertain 3s | 1 uncertain 3s
drop, acts at once after it   | 0 unavailable/noConnection 3s    | 1 found 20s                      | 1 uncertain 3s | 1 uncertain 3s
drop, acts 5 min later        | 0 unavailable/noConnection 3s    | 1 uncertain 3s                   | 1 uncertain 3s | 1 uncertain 3s
time-out before acting        | 0 unavailable/noConnection 3s    | 0 uncertain 3s                   | 1 uncertain 3s | 1 uncertain 3s
time-out after acting         | 0 unavailable/noConnection 3s    | 1 found 4s                       | 1 uncertain 3s | 1 uncertain 3s
a body of 100 MB, not acted   | 0 unavailable/* 3s               | 0 uncertain/notFromAPI 3s        | 1 uncertain 3s | 1 uncertain 3s
a body of 100 MB, acted       | 0 unavailable/* 3s               | 1 found 20s                      | 1 uncertain 3s | 1 uncertain 3s
a body without end, not acted | 0 unavailable/* 3s               | 0 uncertain/notFromAPI 3s        | 1 uncertain 3s | 1 uncertain 3s
a body without end, acted     | 0 unavailable/* 3s               | 1 found 20s                      | 1 uncertain 3s | 1 uncertain 3s
1 MB of space and JSON, acted | 0 unavailable/* 3s               | 1 found 20s                      | 1 uncertain 3s | 1 uncertain 3s
a cut body, acted             | 0 unavailable/* 3s               | 1 found 20s                      | 1 uncertain 3s | 1 uncertain 3s
a stalled body, acted         | 0 unavailable/* 3s               | 1 found 4s                       | 1 uncertain 3s | 1 uncertain 3s
502 with a page, acted        | 0 unavailable/* 3s               | 1 found 20s                      | 1 uncertain 3s | 1 uncertain 3s
307 to another host           | 0 failed/redirected 20s          | 0 failed/redirected 20s          | 1 uncertain 3s | 1 uncertain 3s
`

// wireFaults are the faults of wireMatrix that the server makes.
func wireFaults() map[string]sandbox.Fault {
	const huge, endless = sandbox.ContentHuge, sandbox.ContentEndless
	all := map[string]sandbox.Fault{
		"drop, acts at once after it":   {Drop: true, ActAfter: time.Nanosecond},
		"a body of 100 MB, not acted":   {Content: huge},
		"a body of 100 MB, acted":       {Content: huge, Act: true},
		"a body without end, not acted": {Content: endless},
		"a body without end, acted":     {Content: endless, Act: true},
		"1 MB of space and JSON, acted": {Body: strings.Repeat(" ", 1<<20) + "{}", Act: true},
		"a cut body, acted":             {Content: sandbox.ContentCut, Act: true},
		"a stalled body, acted":         {Content: sandbox.ContentStalled, Act: true},
	}
	for _, name := range []string{
		"drop before acting", "drop after acting", "drop, acts 5 min later", "time-out before acting", "time-out after acting",
		"502 with a page, acted", "307 to another host",
	} {
		all[name] = matrixFaults()[name]
	}
	return all
}

// nowhere are addresses for the faults of wireMatrix that keep a connection from
// being made.
func nowhere(t *testing.T) map[string]string {
	secured, plain := sandbox.New(sandbox.Options{}), sandbox.New(sandbox.Options{})
	securedURL, _, err := secured.StartTLS()
	require.NoError(t, err)
	plainURL, err := plain.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, errors.Join(secured.Close(), plain.Close())) })
	return map[string]string{
		"no connection":          "http://" + closedPort(t),
		"name not resolved":      "http://api.cronagent.invalid",
		"TLS: unknown authority": securedURL,
		"TLS: not spoken":        "https://" + strings.TrimPrefix(plainURL, "http://"),
	}
}

// place is a request that Fire makes; on is its name for a sandbox.Fault.
type place struct{ name, on string }

var places = [...]place{
	{"token", "token"},
	{"POST", "POST /projects/*/environments/*/*"},
	{"activities", "GET /projects/*/environments/*/activities"},
	{"me", "GET /users/me"},
}

// verifies tells that the request is only made once the POST is lost.
func (p place) verifies() bool { return strings.HasPrefix(p.on, "GET") }

// faults are what the server needs for this fault to strike here.
func (p place) faults(f sandbox.Fault) []sandbox.Fault {
	f.On = p.on
	if p.verifies() {
		return []sandbox.Fault{{On: "post", Drop: true, Act: true}, f}
	}
	return []sandbox.Fault{f}
}

func (p place) is(r *http.Request) bool {
	if p.on == "token" {
		return r.URL.Path == exchanges
	}
	match, err := path.Match(p.on, r.Method+" "+strings.TrimPrefix(r.URL.EscapedPath(), "/api"))
	return err == nil && match
}

var kinds = map[platform.Kind]string{
	platform.Failed: "failed", platform.Unauthorized: "unauthorized", platform.Forbidden: "forbidden",
	platform.Unavailable: "unavailable", platform.Uncertain: "uncertain",
}

var reasons = map[platform.Reason]string{
	platform.TokenRefused: "tokenRefused", platform.StepUp: "stepUp", platform.NoConnection: "noConnection",
	platform.BadCertificate: "badCertificate", platform.NotFromAPI: "notFromAPI", platform.Redirected: "redirected",
	platform.RoleTooSmall: "roleTooSmall", platform.Busy: "busy",
}

// end is how one Fire ended.
type end struct {
	accepted platform.Accepted
	err      error
	took     time.Duration
	sent     int // how many requests had been sent by then
}

// said is what Fire said, in the words of the matrix.
func (e end) said() string {
	failure, failed := errors.AsType[*platform.Error](e.err)
	switch {
	case failed && failure.Reason == platform.Unexplained:
		return kinds[failure.Kind]
	case failed && reasons[failure.Reason] != "":
		return kinds[failure.Kind] + "/" + reasons[failure.Reason]
	case e.err != nil || e.accepted.Already:
		return fmt.Sprintf("something else: %+v, %v", e.accepted, e.err)
	case strings.HasPrefix(e.accepted.Note, "the answer was lost ("):
		return "found"
	}
	return "fired" + e.accepted.Note
}

func fire(c *platform.Client, server *sandbox.Server, deadline time.Duration, r operation.Request) end {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	began := time.Now()
	accepted, err := c.Fire(ctx, onMain, r)
	return end{accepted, err, time.Since(began), len(server.Requests())}
}

// cell is one cell of a matrix.
type cell struct {
	accepted         int
	said             string
	earliest, latest time.Duration
}

func readCell(t *testing.T, text string) cell {
	t.Helper()
	words := strings.Fields(text)
	require.Len(t, words, 3, text)
	accepted, err := strconv.Atoi(words[0])
	require.NoError(t, err, text)
	from, to, isRange := strings.Cut(words[2], "..")
	if from == "" {
		from = "0s"
	}
	if !isRange {
		to = from
	}
	earliest, err := time.ParseDuration(from)
	require.NoError(t, err, text)
	latest, err := time.ParseDuration(to)
	require.NoError(t, err, text)
	return cell{accepted, words[1], earliest, latest}
}

// readMatrix calls row for each row, with its cells in the order of places.
func readMatrix(t *testing.T, table string, row func(fault string, cells []cell)) {
	t.Helper()
	seen := map[string]bool{}
	for line := range strings.Lines(table) {
		columns := strings.Split(strings.TrimSpace(line), "|")
		fault := strings.TrimSpace(columns[0])
		if fault == "" || fault == "fault" {
			continue
		}
		require.Len(t, columns, 1+len(places), line)
		require.False(t, seen[fault], "%q is there twice", fault)
		seen[fault] = true
		cells := make([]cell, len(places))
		for i := range cells {
			cells[i] = readCell(t, columns[i+1])
		}
		row(fault, cells)
	}
}

// check holds how a Fire ended against a cell. The server must have had the time to
// do what lay in its queue.
func (want cell) check(t *testing.T, server *sandbox.Server, got end) {
	t.Helper()
	accepted := server.Accepted()
	assert.Len(t, accepted, want.accepted, "what the platform accepted")
	match, err := path.Match(want.said, got.said())
	require.NoError(t, err)
	assert.True(t, match, "want %q, Fire said %q: %v", want.said, got.said(), got.err)
	assert.GreaterOrEqual(t, got.took, want.earliest)
	assert.LessOrEqual(t, got.took, want.latest)
	if got.err != nil {
		assert.Empty(t, got.accepted)
		assert.NotContains(t, got.err.Error(), "<html")
		return
	}
	assert.NotContains(t, got.accepted.Note, "<html")
	if want.said == "found" && assert.Len(t, accepted, 1) && assert.Len(t, got.accepted.Activities, 1) {
		assert.Equal(t, accepted[0].Activities[0], got.accepted.Activities[0].ID)
	}
	if strings.HasPrefix(want.said, "uncertain") || want.said == "found" {
		assert.Equal(t, 1, count(server, http.MethodPost, posts), "one POST and no second")
	}
}

func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	faults := matrixFaults()
	readMatrix(t, matrix, func(name string, cells []cell) {
		fault, known := faults[name]
		require.True(t, known, "what is %q?", name)
		delete(faults, name)
		for i, p := range places {
			t.Run(name+", "+p.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server, c := fake(t, sandbox.Options{}, p.faults(fault)...)
					got := fire(c, server, matrixDeadline, request(t, "backup:create"))
					time.Sleep(time.Hour)
					cells[i].check(t, server, got)
					assert.Len(t, server.Requests(), got.sent, "nothing is sent after the return")
					if got.err != nil && !p.verifies() && fault.Status != 0 {
						assert.Equal(t, fault.Status, platformError(t, got.err).Status)
					}
					if got.err != nil && p.name != "token" {
						assert.ErrorContains(t, got.err, "backup:create on main: ")
					}
				})
			})
		}
	})
	assert.Empty(t, faults, "every fault has a row")
}

// TestFaultMatrixAtOtherDeadlines holds every row against what must hold of any fire.
func TestFaultMatrixAtOtherDeadlines(t *testing.T) {
	t.Parallel()
	for name, fault := range matrixFaults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, p := range places {
				deadlines := []time.Duration{100 * time.Millisecond, 4 * time.Second}
				if !p.verifies() { // the number of tries is bounded, however much time there is
					deadlines = append(deadlines, 10*time.Minute)
				}
				for _, deadline := range deadlines {
					synctest.Test(t, func(t *testing.T) {
						s := &sequence{t: t, random: rand.New(rand.NewPCG(0, 0)), request: request(t, "backup:create"), deadline: deadline, faults: p.faults(fault)}
						s.run()
						assert.Empty(t, s.problems(), "%s, %s", p.name, s)
					})
				}
			}
		})
	}
}

// TestFaultMatrixOverRealConnections waits for many rows at once, and has the machine
// to itself meanwhile, since it goes by the real clock. The long bodies keep it busy,
// so they come by themselves.
func TestFaultMatrixOverRealConnections(t *testing.T) {
	faults, nowhere := wireFaults(), nowhere(t)
	backup := request(t, "backup:create")
	type result struct {
		name   string
		want   cell
		server *sandbox.Server
		client *platform.Client
		got    end
	}
	var light, heavy []*result
	var later atomic.Int64 // what the servers' clocks are ahead
	now := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	readMatrix(t, wireMatrix, func(name string, cells []cell) {
		fault, made := faults[name]
		delete(faults, name)
		for i, p := range places {
			all := p.faults(fault)
			if !made {
				require.Contains(t, nowhere, name)
				all = all[:len(all)-1]
			}
			server, c := listen(t, sandbox.Options{Now: now}, all...)
			if !made {
				c.HTTP = astray(t, p, nowhere[name])
			}
			r := &result{name: name + ", " + p.name, want: cells[i], server: server, client: c}
			long := fault.Content == sandbox.ContentHuge || fault.Content == sandbox.ContentEndless || fault.Body != ""
			if long && p.name != "POST" { // which is sent once
				heavy = append(heavy, r)
			} else {
				light = append(light, r)
			}
		}
	})
	assert.Empty(t, faults, "every fault has a row")
	for _, batch := range [][]*result{light, heavy} {
		var wg sync.WaitGroup
		for _, r := range batch {
			wg.Go(func() { r.got = fire(r.client, r.server, r.want.latest, backup) })
		}
		wg.Wait()
	}
	later.Store(int64(time.Hour))
	for _, r := range slices.Concat(light, heavy) {
		t.Run(r.name, func(t *testing.T) {
			require.NoError(t, r.server.Close()) // it has read all that was sent
			// When exactly is told by the test in fake time; a loaded machine is slow.
			r.want.earliest, r.want.latest = 0, r.want.latest+5*time.Second
			r.want.check(t, r.server, r.got)
		})
	}
}

// astray sends the requests of one place to another address than it should.
func astray(t *testing.T, p place, address string) *http.Client {
	t.Helper()
	other, err := url.Parse(address)
	require.NoError(t, err)
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if p.is(r) {
			r = r.Clone(r.Context())
			r.URL.Scheme, r.URL.Host = other.Scheme, other.Host
		}
		return transport.RoundTrip(r)
	})}
}
