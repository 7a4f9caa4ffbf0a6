package check

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestFixComparesWhatItWrites: what says anything else than before is refused.
func TestFixComparesWhatItWrites(t *testing.T) {
	t.Parallel()
	before := "crons:\n  a: { spec: '0 5 * * *', cmd: 'platform snapshot:create' }\n"
	for after, same := range map[string]bool{
		"crons:\n  a: { spec: '0 5 * * *', commands: { start: 'platform backup:create --no-wait' } }\n": true,
		"crons:\n  a: { spec: '0 6 * * *', cmd: 'platform snapshot:create' }\n":                         false,
		"crons:\n  a: { spec: '0 5 * * *', cmd: 'platform snapshot:create; x' }\n":                      false,
		"crons:\n  b: { spec: '0 5 * * *', cmd: 'platform snapshot:create' }\n":                         false,
		"crons: [\n": false,
	} {
		assert.Equal(t, same, compare("f", []byte(before), []byte(after), nil) == nil, after)
	}
	m := &move{cron: "a", entry: map[string]any{"spec": "0 5 * * *", "fire": "backup:create"}}
	before = "crons: { a: { spec: '0 5 * * *', cmd: x }, b: {} }\nvariables: { cronagent: { crons: { c: {} } } }\n"
	assert.NoError(t, compare("f", []byte(before), []byte("crons: { b: {} }\nvariables: { cronagent: { crons: { c: {}, a: { spec: '0 5 * * *', fire: 'backup:create' } } } }\n"), []*move{m}))
	assert.Error(t, compare("f", []byte(before), []byte("crons: {}\nvariables: { cronagent: { crons: { c: {}, a: { spec: '0 5 * * *', fire: 'backup:create' } } } }\n"), []*move{m}))
}
