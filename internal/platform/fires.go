package platform

import (
	"context"
	"sync"
	"time"

	"github.com/cronagent/cronagent/internal/operation"
)

// fires are those of one Client, as far as they could be taken for each other: the
// crons of an app that fire the same operation in the same tick.
type fires struct {
	mu     sync.Mutex
	open   map[kind]int    // how many fires have not ended
	flying map[kind]int    // how many POSTs have no answer yet
	owned  map[string]bool // the ids of activities that came of one
}

// kind is what fires must share to be taken for each other.
type kind struct {
	target   Target
	activity string
}

// enter notes that a fire is about to begin, and returns what notes that it is over.
func (f *fires) enter(t Target, r operation.Request) (leave func()) {
	add := func(n int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.open == nil {
			f.open = map[kind]int{}
		}
		f.open[kind{t, r.Activity}] += n
	}
	add(1)
	return func() { add(-1) }
}

// settle waits until no fire of a kind is under way: only then is it known whose the
// activities are that were seen meanwhile. It tells whether that came before ctx ended.
func (f *fires) settle(ctx context.Context, t Target, r operation.Request) bool {
	for {
		f.mu.Lock()
		open := f.open[kind{t, r.Activity}]
		f.mu.Unlock()
		if open == 0 {
			return true
		}
		if !sleep(ctx, settleEvery) {
			return false
		}
	}
}

const settleEvery = 20 * time.Millisecond

// begin notes that a POST is about to be sent, and end what came of it.
func (f *fires) begin(t Target, r operation.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flying == nil {
		f.flying, f.owned = map[kind]int{}, map[string]bool{}
	}
	f.flying[kind{t, r.Activity}]++
}

func (f *fires) end(t Target, r operation.Request, made []Activity) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flying[kind{t, r.Activity}]--
	for _, activity := range made {
		f.owned[activity.ID] = true
	}
}

// taken tells whether an activity came of one of our fires.
func (f *fires) taken(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.owned[id]
}

// take makes an activity that of a fire whose answer was lost. It refuses while
// another one of the same kind waits for its answer, which may be about this one.
func (f *fires) take(t Target, r operation.Request, id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flying[kind{t, r.Activity}] > 0 || f.owned[id] {
		return false
	}
	if f.owned == nil {
		f.flying, f.owned = map[kind]int{}, map[string]bool{}
	}
	f.owned[id] = true
	return true
}
