package nearest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/cronagent/cronagent/internal/nearest"
)

func TestWords(t *testing.T) {
	t.Parallel()
	known := strings.Fields("list logs next run status timeline explain environment environment-types overlap backup:create backup:delete backup env fire missed_within")
	for word, want := range map[string]string{
		"lisst":         "list",
		"lsit":          "list", // two neighbours swapped are one mistake
		"LIST":          "list",
		"stauts":        "status",
		"fier":          "fire",
		"missed-within": "missed_within",
		"enviroment":    "environment",
		"bakup:create":  "backup:create",
		"backup:craete": "backup:create",
		"backup:c":      "backup:create", // its beginning
		"time":          "timeline",
		"environ":       "environment environment-types",
		"lost":          "list",
		"los":           "logs",
		"ev":            "env",
		"en":            "env",
		"nv":            "env",
		"ab":            "", // two of three letters would be wrong
		"xyz":           "",
		"":              "",
		"r":             "",
	} {
		assert.Equal(t, want, strings.Join(nearest.Words(word, known), " "), "%q", word)
	}
	assert.Empty(t, nearest.Words("abc", []string{"abcd1xxx", "abcd2xxx", "abcd3xxx", "abcd4xxx"}), "it may be any of them")
	assert.Len(t, nearest.Words("abcx", []string{"abc1", "abc2", "abc3", "abc4"}), 3, "enough to say")
	assert.Equal(t, []string{"list"}, nearest.Words("lisst", []string{"list", "list"}))
}

func TestHint(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "did you mean: list; see: --help", nearest.Hint("lisst", []string{"list"}, "see: --help"))
	assert.Equal(t, "did you mean: list", nearest.Hint("lisst", []string{"list"}, ""))
	assert.Equal(t, "see: --help", nearest.Hint("tick", []string{"list"}, "see: --help"))
}
