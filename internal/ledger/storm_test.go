package ledger_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
)

// In the storm, processes that claim, record and compact without a pause are
// killed. Each cron gets at most stormRuns occurrences, so that compaction must
// keep all of them.
const (
	stormCrons = 100
	stormRuns  = 90
	stormFloor = 4 << 10
)

func stormKey(n int) ledger.Key {
	key := backup
	key.Cron = fmt.Sprintf("cron-%02d", n)
	return key
}

// storm claims the next occurrence of two crons, and records each several times,
// over and over. It prints what was acknowledged.
func storm(dir string) error {
	ctx := context.Background()
	l, err := ledger.OpenFileWith(ctx, dir, stormFloor, 1)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) error {
		_, err := fmt.Printf(format+"\n", args...)
		return err
	}
	for round := 0; ; round++ {
		keys := []ledger.Key{stormKey(rand.N(stormCrons)), stormKey(rand.N(stormCrons))}
		states, err := l.Load(ctx, keys)
		if err != nil {
			return err
		}
		var claims []ledger.Claim
		for i, key := range keys {
			next := max(0, int(states[i].Watermark.Sub(started)/time.Minute)) + 1
			if next > stormRuns || i == 1 && keys[0] == keys[1] {
				continue
			}
			claim := minute(key, next)
			claim.ID = fmt.Sprintf("%d-%d-%s-%d", os.Getpid(), round, key.Cron, next)
			claims = append(claims, claim)
		}
		won, err := l.Claim(ctx, claims)
		if err != nil {
			return err
		}
		var errs = make(chan error, 2*len(won))
		for _, claim := range won {
			if err := say("claim %s %s %d", claim.ID, claim.Cron, int(claim.Due.Sub(started)/time.Minute)); err != nil {
				return err
			}
			go func() { // so that some of them share a write
				for _, outcome := range []ledger.Outcome{ledger.Uncertain, ledger.Fired, ledger.Fired, ledger.Succeeded} {
					run := ended(claim, outcome)
					run.Pending = outcome == ledger.Fired
					if err := l.Record(ctx, run); err != nil {
						errs <- err
						return
					}
				}
				errs <- say("record %s %s", claim.ID, claim.Cron)
			}()
		}
		for range won {
			if err := <-errs; err != nil {
				return err
			}
		}
	}
}

func TestNothingAcknowledgedIsLostInAStormOfKills(t *testing.T) {
	t.Parallel()
	kills := 90
	if os.Getenv("CRONAGENT_LONG") == "yes" {
		kills = 600 // a few claims each: not more than there are occurrences
	}
	dir := t.TempDir()
	var mu sync.Mutex
	claims := map[string]string{} // occurrence to run
	recorded := map[string]bool{}
	compactions, killed := 0, 0
	var last os.FileInfo
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range kills / 3 {
				cmd := child(t, "storm", dir)
				var complaint strings.Builder
				cmd.Stderr = &complaint
				pipe, err := cmd.StdoutPipe()
				if !assert.NoError(t, err) || !assert.NoError(t, cmd.Start()) {
					return
				}
				// Killed at some line, and a moment later than that; without a line, for
				// a process that hangs.
				limit := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
				defer limit.Stop()
				output := bufio.NewReader(pipe)
				for n := rand.N(30); ; n-- {
					if n == 0 {
						time.AfterFunc(rand.N(3*time.Millisecond), func() { cmd.Process.Kill() })
					}
					text, err := output.ReadString('\n')
					if err != nil {
						break
					}
					field := strings.Fields(text)
					mu.Lock()
					switch field[0] {
					case "claim":
						occurrence := field[2] + " " + field[3]
						assert.Empty(t, claims[occurrence], "%s was won twice", occurrence)
						claims[occurrence] = field[1]
					case "record":
						recorded[field[1]] = true
					}
					mu.Unlock()
				}
				io.Copy(io.Discard, output)
				cmd.Process.Kill()
				err = cmd.Wait()
				mu.Lock()
				if assert.ErrorContains(t, err, "killed", complaint.String()) {
					killed++
				}
				if info, err := os.Stat(dir + "/ledger.jsonl"); err == nil {
					if last != nil && !os.SameFile(info, last) {
						compactions++
					}
					last = info
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("%d kills, %d claims and %d records acknowledged, at least %d compactions", killed, len(claims), len(recorded), compactions)
	require.Equal(t, kills, killed)
	assert.Greater(t, compactions, kills/10)
	require.Greater(t, len(recorded), kills)

	l := open(t, dir)
	assert.LessOrEqual(t, l.Damaged(), kills, "at most one torn line for each kill")
	assert.Empty(t, l.Notes())
	runs, err := l.History(t.Context(), ledger.Key{}, stormRuns+10)
	require.NoError(t, err)
	outcomes := map[string]ledger.Outcome{}
	for _, run := range runs {
		outcomes[run.ID] = run.Outcome
	}
	for id := range recorded {
		assert.Equal(t, ledger.Succeeded, outcomes[id], id)
	}
	open := map[string]bool{}
	for n := range stormCrons {
		state := load(t, l, stormKey(n))
		for _, claim := range state.Open {
			open[claim.ID] = true
		}
		for minute := 1; minute <= stormRuns; minute++ {
			if claims[stormKey(n).Cron+" "+strconv.Itoa(minute)] != "" {
				assert.False(t, state.Watermark.Before(started.Add(time.Duration(minute)*time.Minute)))
			}
		}
	}
	for occurrence, id := range claims {
		assert.True(t, open[id] || outcomes[id] != "", "%s was claimed, and is neither open nor recorded", occurrence)
	}
}
