package database

import (
	"fmt"
	"time"
)

// CallLimit is callLimit.
const CallLimit = callLimit

// SetIdle says after what time a connection is let go of.
func (l *Ledger) SetIdle(d time.Duration) { l.db.SetConnMaxIdleTime(d) }

// SetLimit says how long a call may take.
func (l *Ledger) SetLimit(d time.Duration) { l.limit = d }

// ShiftClock makes the server's clock, as this ledger reads it, go before or behind.
func (l *Ledger) ShiftClock(d time.Duration) {
	if l.engine.numbered {
		l.engine.now = fmt.Sprintf("clock_timestamp() + interval '%d seconds'", int(d.Seconds()))
	} else {
		l.engine.now = fmt.Sprintf("UTC_TIMESTAMP(6) + INTERVAL %d SECOND", int(d.Seconds()))
	}
}
