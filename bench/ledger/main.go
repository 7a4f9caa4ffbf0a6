// Command ledger measures what ledgers cost: the file, PostgreSQL and MariaDB, as
// real servers on loopback, with their data on this machine's disk. From the top of
// the checkout:
//
//	go run ./bench/ledger
//
// It needs the packages postgresql and mariadb-server of Debian, and takes some two
// minutes. What an instance is here is a ledger of its own, with its own connections;
// the instances share this process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cronagent/cronagent/internal/dbtest"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/ledger/database"
)

var (
	rounds = flag.Int("rounds", 10, "how often all instances race for what is due")
	single = flag.Int("single", 500, "how many occurrences one instance alone acts on")
	many   = flag.Int("crons", 10_000, "how many crons are due at once for one instance")
)

func main() {
	flag.Parse()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// opener opens one more instance's ledger.
type opener func() (ledger.Ledger, func(), error)

func run(ctx context.Context) error {
	for _, engine := range []string{"file", dbtest.Postgres, dbtest.MariaDB} {
		if err := measure(ctx, engine); err != nil {
			return fmt.Errorf("%s: %w", engine, err)
		}
	}
	return nil
}

func measure(ctx context.Context, engine string) error {
	var open opener
	if engine == "file" {
		dir, err := os.MkdirTemp("", "bench-ledger-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		open = func() (ledger.Ledger, func(), error) {
			l, err := ledger.OpenFile(ctx, dir)
			return l, func() { l.Close() }, err
		}
	} else {
		server, err := dbtest.Start(engine)
		if err != nil {
			return err
		}
		defer server.Close()
		name, err := server.Database()
		if err != nil {
			return err
		}
		config := database.Config{Engine: database.Engine(engine), Relationship: "database", Host: "127.0.0.1", Port: server.Port, User: dbtest.User, Password: dbtest.Password, Name: name}
		open = func() (ledger.Ledger, func(), error) {
			l, err := database.Open(config)
			if err != nil {
				return nil, nil, err
			}
			return l, func() { l.Close() }, nil
		}
	}
	fmt.Printf("\n%s\n", engine)
	if err := alone(ctx, open); err != nil {
		return err
	}
	if err := atOnce(ctx, open); err != nil {
		return err
	}
	for _, instances := range []int{20, 100, 300} {
		if err := race(ctx, open, instances); err != nil {
			return err
		}
	}
	return nil
}

func key(n int) ledger.Key {
	return ledger.Key{Project: "abcdefgh1234567", Environment: "main", App: "app", Cron: fmt.Sprintf("cron-%d", n)}
}

var start = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// alone: one instance takes what is due of one cron, one occurrence after the other.
func alone(ctx context.Context, open opener) error {
	l, done, err := open()
	if err != nil {
		return err
	}
	defer done()
	var load, claim, record []time.Duration
	k := key(0)
	if err := l.Begin(ctx, []ledger.Key{k}, start); err != nil {
		return err
	}
	began := time.Now()
	for n := range *single {
		at := time.Now()
		states, err := l.Load(ctx, []ledger.Key{k})
		if err != nil {
			return err
		}
		load = append(load, time.Since(at))
		at = time.Now()
		c := ledger.Claim{Key: k, ID: fmt.Sprintf("alone-%d", n), From: states[0].Watermark, Due: states[0].Watermark.Add(time.Second), Settle: time.Minute, Operation: "backup:create"}
		won, err := l.Claim(ctx, []ledger.Claim{c})
		if err != nil {
			return err
		}
		if len(won) != 1 {
			return errors.New("lost a claim that nobody else wanted")
		}
		claim = append(claim, time.Since(at))
		at = time.Now()
		if err := l.Record(ctx, ledger.Run{ID: c.ID, Key: k, Operation: c.Operation, Outcome: ledger.Fired, Due: &c.Due, Count: 1}); err != nil {
			return err
		}
		record = append(record, time.Since(at))
	}
	whole := time.Since(began)
	fmt.Printf("  one instance, %d occurrences one after the other: %.0f a second\n", *single, float64(*single)/whole.Seconds())
	tell("load", load)
	tell("claim", claim)
	tell("record", record)
	return nil
}

// atOnce: one instance takes what is due of many crons with one call.
func atOnce(ctx context.Context, open opener) error {
	l, done, err := open()
	if err != nil {
		return err
	}
	defer done()
	keys := make([]ledger.Key, *many)
	claims := make([]ledger.Claim, *many)
	runs := make([]ledger.Run, *many)
	for n := range keys {
		keys[n] = key(n + 1)
		due := start.Add(time.Second)
		claims[n] = ledger.Claim{Key: keys[n], ID: fmt.Sprintf("many-%d", n), Due: due, Settle: time.Minute}
		runs[n] = ledger.Run{ID: claims[n].ID, Key: keys[n], Outcome: ledger.Succeeded, Due: &due, Count: 1}
	}
	var told []any
	for _, do := range []func() error{
		func() error { return l.Begin(ctx, keys, start) },
		func() error { _, err := l.Load(ctx, keys); return err },
		func() error { _, err := l.Claim(ctx, claims); return err },
		func() error { return l.Record(ctx, runs...) },
		func() error {
			_, err := l.Unsettled(ctx, ledger.Key{Project: keys[0].Project, Environment: "main", App: "app"})
			return err
		},
	} {
		at := time.Now()
		if err := do(); err != nil {
			return err
		}
		told = append(told, milliseconds(time.Since(at)))
	}
	fmt.Printf("  one instance, %d crons with one call: begin %.0f ms, load %.0f ms, claim %.0f ms, record %.0f ms; to look what is unsettled %.1f ms\n", append([]any{*many}, told...)...)
	return nil
}

// race: many instances see the same occurrence come due at the same instant; each
// looks, and those who see that nobody has it yet claim it. One of them wins.
func race(ctx context.Context, open opener, instances int) error {
	ledgers := make([]ledger.Ledger, instances)
	for i := range ledgers {
		l, done, err := open()
		if err != nil {
			return err
		}
		defer done()
		ledgers[i] = l
	}
	k := key(-instances)
	if err := ledgers[0].Begin(ctx, []ledger.Key{k}, start); err != nil {
		return err
	}
	var took, won []time.Duration
	out := 0
	for n := range *rounds {
		var mu sync.Mutex
		var all sync.WaitGroup
		winners := 0
		due := start.Add(time.Duration(n+1) * time.Second)
		gun := make(chan struct{})
		for i, l := range ledgers {
			all.Go(func() {
				<-gun
				at := time.Now()
				states, err := l.Load(ctx, []ledger.Key{k})
				var mine []ledger.Claim
				if err == nil && states[0].Watermark.Before(due) {
					mine, err = l.Claim(ctx, []ledger.Claim{{Key: k, ID: fmt.Sprintf("race-%d-%d-%d", instances, n, i), From: states[0].Watermark, Due: due, Settle: time.Minute}})
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(at))
				if err != nil {
					out++
				}
				if len(mine) > 0 {
					winners++
					won = append(won, time.Since(at))
				}
			})
		}
		close(gun)
		all.Wait()
		if winners != 1 {
			return fmt.Errorf("%d of %d instances won one occurrence", winners, instances)
		}
	}
	fmt.Printf("  %d instances at once, %d times: one won each time; %d times the ledger was out of reach for an instance\n", instances, *rounds, out)
	tell("the winner had it after", won)
	tell("everybody knew after", took)
	return nil
}

func tell(what string, all []time.Duration) {
	slices.Sort(all)
	at := func(q float64) float64 { return milliseconds(all[min(int(q*float64(len(all))), len(all)-1)]) }
	fmt.Printf("    %-26s p50 %7.2f ms   p99 %7.2f ms   most %7.2f ms\n", what, at(0.5), at(0.99), at(1))
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
