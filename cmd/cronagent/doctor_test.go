package main

import (
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDoctorsPage: docs/doctor.md has a section for each code, in the order of the
// lines, and none besides.
func TestDoctorsPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/doctor.md")
	require.NoError(t, err)
	var codes, explained []string
	for _, check := range checks {
		codes = append(codes, check.code)
	}
	codes = append(codes, codeLimit)
	for _, heading := range regexp.MustCompile("(?m)^## (.*)\n\n[A-Z]").FindAllStringSubmatch(string(page), -1) {
		explained = append(explained, heading[1])
	}
	for i := range codes {
		codes[i] = "`" + codes[i] + "`"
	}
	assert.Equal(t, codes, explained)
}

// TestClockOfDoctor: from when on a clock is worth a warning, and a problem.
func TestClockOfDoctor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ahead  time.Duration
		status string
	}{
		{0, isOK},
		{-30 * time.Second, isOK},
		{31 * time.Second, isWarning},
		{-31 * time.Second, isWarning},
		{299 * time.Second, isWarning},
		{300 * time.Second, isProblem},
		{-time.Hour, isProblem},
	} {
		assert.Equal(t, c.status, clockFinding(c.ahead, true).Status, c.ahead)
	}
	assert.Contains(t, clockFinding(-time.Minute, true).Message, "1m0s behind the platform's")
	assert.Equal(t, isWarning, clockFinding(0, false).Status)
}

// TestDoctorSaysWhatItDidNotLookAt: when the time is over, that is a problem, with what
// is left.
func TestDoctorSaysWhatItDidNotLookAt(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	var out strings.Builder
	p := proc{calledAs: "cronagent", lookup: func(string) (string, bool) { return "", false }, stdout: &out, stderr: io.Discard, logs: io.Discard}
	err := p.doctor(over, configFlags{}, false)
	assert.Equal(t, codeError(exitFailed), err)
	assert.Regexp(t, `(?m)^problem  limit  30s are over; not looked at: binary, links, phase, path, .*, token; what to do: run it again`, out.String())
}
