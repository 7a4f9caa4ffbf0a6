package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
)

// jump is a zone whose clock jumps, and what is due when, in seconds after that.
type jump struct {
	from, to string // what the clock shows at the jump, and then
	// by is how many seconds the clock jumps forward once more, again seconds later.
	again, by int
	due       map[string][]int // by spec
}

// Specs have a resolution of a minute. So that a test need not wait for three of
// them, most of these clocks jump a few seconds before a full minute to a few
// seconds before another, and once more before the next. That they have the names
// of real places shows that these files count, and neither the system's zones nor
// those that are built in.
var jumps = map[string]jump{
	"Europe/Paris": {from: "01:59:56", to: "02:59:57", again: 7, by: 50, due: map[string][]int{
		// 01:59:56 02:59:57 … 03:00:04 03:00:54 … 03:01:00
		"* * * * *":      {3, 13},
		"*/1 * * * *":    {3, 13},
		"0 3 * * *":      {3},
		"1 3 * * *":      {13},
		"30 2 * * *":     {3}, // is skipped, and made up for
		"0,30 2 * * *":   {3},
		"0 2,3 * * *":    {3},
		"0-59 2 * * *":   {3},
		"0 0-23 * * *":   {3},
		"0 * * * *":      {3},
		"*/15 2 * * *":   {}, // follows real time, in which there was none
		"*/15 2,3 * * *": {3},
		"30 1 * * *":     {}, // long before
		"30 3 * * *":     {}, // later
	}},
	"America/New_York": {from: "02:59:58", to: "01:59:57", due: map[string][]int{
		// 02:59:58 01:59:57 … 02:00:00
		"* * * * *":     {3},
		"* 2 * * *":     {3},
		"0 * * * *":     {3},
		"*/15 2 * * *":  {3},
		"0 2 * * *":     {}, // was due an hour ago
		"1 2 * * *":     {},
		"0,1 1-2 * * *": {},
		"0 0-23 * * *":  {},
		"59 1 * * *":    {},
		"0 3 * * *":     {}, // comes in an hour
	}},
	"Asia/Tokyo": {from: "03:00:05", to: "02:59:57", again: 9, by: 50, due: map[string][]int{
		// 03:00:00 … 03:00:05 02:59:57 … 03:00:06 03:00:56 … 03:01:00
		"* * * * *":    {-5, 3, 13},
		"0 3 * * *":    {-5}, // the first time
		"0 2-3 * * *":  {-5},
		"0,1 3 * * *":  {-5, 13},
		"0 * * * *":    {-5, 3},
		"0-1 * * * *":  {-5, 3, 13},
		"*/30 3 * * *": {-5, 3},
		"1 3 * * *":    {13},
		"59 2 * * *":   {},
	}},
	"Asia/Kolkata": {from: "02:00:05", to: "02:59:57", due: map[string][]int{
		// 02:00:00 … 02:00:05 02:59:57 … 03:00:00
		"* * * * *":    {-5, 3},
		"0 2 * * *":    {-5},
		"1 2 * * *":    {3},
		"0,59 2 * * *": {-5, 3},
		"0 2,3 * * *":  {-5, 3},
	}},
	"Australia/Sydney": {from: "02:00:00", to: "03:00:00", due: map[string][]int{
		"* * * * *":    {0},
		"0 3 * * *":    {0},
		"0 2,3 * * *":  {0},
		"59 2 * * *":   {0},
		"*/15 2 * * *": {},
		"0 * * * *":    {0},
		"1 3 * * *":    {},
	}},
	"America/Sao_Paulo": {from: "03:00:00", to: "02:00:00", due: map[string][]int{
		"* * * * *":    {0},
		"0 * * * *":    {0},
		"0 2 * * *":    {},
		"0 3 * * *":    {},
		"0 0-23 * * *": {},
	}},
}

// minutes are jumps as they are in real life, with the minutes before and after.
var minutes = map[string]jump{
	"Europe/Paris": {from: "02:00:00", to: "03:00:00", due: map[string][]int{
		"* * * * *":   {-60, 0, 60},
		"59 1 * * *":  {-60},
		"0 2 * * *":   {0},
		"30 2 * * *":  {0},
		"0 3 * * *":   {0},
		"0 * * * *":   {0},
		"*/5 2 * * *": {},
		"1 3 * * *":   {60},
	}},
	"America/New_York": {from: "03:00:00", to: "02:00:00", due: map[string][]int{
		"* * * * *":   {-60, 0, 60},
		"59 2 * * *":  {-60},
		"* 2 * * *":   {-60, 0, 60},
		"0 2 * * *":   {},
		"1 2 * * *":   {},
		"0 * * * *":   {0},
		"*/5 2 * * *": {0},
	}},
}

// TestClocksJumpWhileItRuns: zones whose clocks jump are handed to a real agent, and
// they do so while it runs.
func TestClocksJumpWhileItRuns(t *testing.T) {
	t.Parallel()
	jumpsIn(t, jumps, 15*time.Second, 16*time.Second)
}

// TestClocksJumpAtFullHours does not hide what takes minutes.
func TestClocksJumpAtFullHours(t *testing.T) {
	if os.Getenv("CRONAGENT_LONG") == "" {
		return // the other test says the same, in less time
	}
	t.Parallel()
	jumpsIn(t, minutes, 75*time.Second, 64*time.Second)
}

// jumpsIn runs an agent with crons in all these zones, from lead before they jump to
// some time after it.
func jumpsIn(t *testing.T, zones map[string]jump, lead, after time.Duration) {
	at := time.Now().Truncate(time.Second).Add(lead)
	type cron struct {
		Spec     string `json:"spec"`
		Timezone string `json:"timezone"`
		Fire     string `json:"fire,omitempty"`
		Cmd      string `json:"cmd,omitempty"`
	}
	crons, source, want := map[string]cron{}, "", []string{}
	expect := func(name string, due []int) {
		for _, seconds := range due {
			want = append(want, fmt.Sprintf("%s at %+d", name, seconds))
		}
	}
	for zone, jump := range zones {
		source += jump.zone(t, zone, at)
		for spec, due := range jump.due {
			name := zone + ": " + spec
			crons[name] = cron{Spec: spec, Timezone: zone, Cmd: "true"}
			expect(name, due)
		}
	}
	crons["backup"] = cron{Spec: "30 2 * * *", Timezone: "Europe/Paris", Fire: "backup:create"}
	expect("backup", zones["Europe/Paris"].due["30 2 * * *"])
	config, err := json.Marshal(crons)
	require.NoError(t, err)
	folder := t.TempDir()
	compile(t, folder, source)
	s := newStage(t, application(strings.Trim(string(config), "{}")+"}"), map[string]string{"ZONEINFO": folder, "TZ": "Europe/Paris"})
	l := s.live("run")
	s.until("its first line", func() bool { return strings.Contains(l.out.String(), "msg=running") })
	require.Greater(t, time.Until(at), 6*time.Second, "the machine is too slow")
	time.Sleep(time.Until(at.Add(after)))
	l.signal(syscall.SIGTERM)
	require.Equal(t, exitDone, l.wait(), "%s", l.out.String())

	var got []string
	for _, run := range s.newest() {
		got = append(got, fmt.Sprintf("%s at %+d", run.Cron, int(run.Due.Sub(at).Seconds())))
		require.Contains(t, []ledger.Outcome{ledger.Succeeded, ledger.Fired}, run.Outcome, run.Cron)
		assert.Less(t, run.Started.Sub(*run.Due), 5*time.Second, "%s was late", run.Cron)
	}
	slices.Sort(want)
	slices.Sort(got)
	assert.Equal(t, want, got)
	assert.Len(t, s.server.Accepted(), 1)
	// A line for each run and for each beginning, and no loop that spins.
	assert.Less(t, len(l.out.String()), 500*(len(want)+len(crons)+10))
	busy := l.cmd.ProcessState.UserTime() + l.cmd.ProcessState.SystemTime()
	t.Logf("%d crons, %d runs, %d bytes of log, %s of CPU", len(crons), len(got), len(l.out.String()), busy)
	assert.Less(t, busy, 8*time.Second)
}

// zone is the zone in the language of zic.
func (j jump) zone(t *testing.T, name string, at time.Time) string {
	clock := func(wall string) time.Duration {
		parsed, err := time.Parse(time.TimeOnly, wall)
		require.NoError(t, err)
		return parsed.Sub(parsed.Truncate(24 * time.Hour))
	}
	at = at.UTC()
	offset := clock(j.from) - at.Sub(at.Truncate(24*time.Hour))
	if offset < -12*time.Hour {
		offset += 24 * time.Hour
	}
	stretch := func(offset time.Duration, until string) string {
		sign := ""
		if offset < 0 {
			sign = "-"
		}
		return fmt.Sprintf("%s%s - LMT%s\n", sign, time.Time{}.Add(offset.Abs()).Format(time.TimeOnly), until)
	}
	const until = " 2006 Jan _2 15:04:05u"
	text := "Zone " + name + " " + stretch(offset, at.Format(until))
	offset += clock(j.to) - clock(j.from)
	if j.by > 0 {
		text += stretch(offset, at.Add(time.Duration(j.again)*time.Second).Format(until))
		offset += time.Duration(j.by) * time.Second
	}
	return text + stretch(offset, "")
}

// compile makes files of zones, as the system has them.
func compile(t *testing.T, folder, source string) {
	zic, err := exec.LookPath("zic")
	if err != nil {
		zic = "/usr/sbin/zic" // is not in everybody's PATH
	}
	file := filepath.Join(t.TempDir(), "zones")
	require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
	out, err := exec.Command(zic, "-d", folder, file).CombinedOutput()
	require.NoError(t, err, "%s\n%s", out, source)
}
