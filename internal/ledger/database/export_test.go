package database

import (
	"testing"
	"time"
)

// CallLimit is callLimit.
const CallLimit = callLimit

// OpenWith opens a ledger that lets go of a connection after another time than
// usual. It is closed with the test.
func OpenWith(t testing.TB, c Config, idle time.Duration) *Ledger {
	t.Helper()
	l, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	l.db.SetConnMaxIdleTime(idle)
	t.Cleanup(func() { l.Close() })
	return l
}
