//go:build !race

package schedule_test

// fewer divides the work of the longest tests.
const fewer = 1
