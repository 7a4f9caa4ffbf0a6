//go:build race

package schedule_test

// fewer divides the work of the longest tests. Under the race detector they
// take ten times as long, and nothing here is shared between goroutines but
// what never changes.
const fewer = 8
