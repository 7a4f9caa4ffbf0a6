package agent_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
)

// TestOneRecordThatFailsTakesNoOtherAlong: of outcomes that wait for the ledger to be
// back, one cannot be recorded at all.
func TestOneRecordThatFailsTakesNoOtherAlong(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		calls := 0
		h := &hooked{Ledger: l, record: func() error {
			switch calls++; {
			case calls <= 2:
				return &ledger.Unreachable{Ledger: "the database", Err: errors.New("refused")}
			case calls == 3:
				return errors.New("too long")
			}
			return nil
		}}
		succeed := func(context.Context, agent.Occurrence) agent.Result { return succeeded }
		first, second := command(t, "* * * * *", succeed), command(t, "* * * * *", succeed)
		second.Name = "sweep"
		a := newAgent(h, first, second)
		tickAt(t, a, 0)
		time.Sleep(time.Until(midnight.Add(time.Minute)))
		_, err := a.Tick(t.Context(), time.Now(), time.Now())
		require.ErrorContains(t, err, "too long")
		recorded := 0
		for _, cron := range []string{"import", "sweep"} {
			if last := state(t, l, cron).Last; last != nil && last.Outcome == ledger.Succeeded {
				recorded++
			}
		}
		assert.Equal(t, 1, recorded, "the other one")
		assert.Equal(t, 4, calls)
	})
}
