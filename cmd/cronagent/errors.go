package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/ledger/database"
	"github.com/cronagent/cronagent/internal/nearest"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/schedule"
)

// The exit codes. They are an interface: crons, monitors and CI jobs read them.
const (
	exitDone        = 0 // done, accepted, or rightly skipped
	exitFailed      = 1 // failed for good
	exitUsage       = 2 // usage or configuration
	exitToken       = 3 // no token, or token refused
	exitForbidden   = 4 // forbidden, or operation not available
	exitUnavailable = 5 // gave up for now; safe to run again
	exitUncertain   = 6 // the platform may or may not have taken the request
)

// exitCodesHelp is shown by every help that has a use for it.
const exitCodesHelp = `Exit codes: 0 done, accepted, or rightly skipped; 1 failed for good; 2 usage or
configuration; 3 no token, or token refused; 4 forbidden, or operation not
available; 5 gave up for now, safe to run again; 6 uncertain: the platform may
or may not have taken the request.`

// usageError is a mistake in arguments, variables or configuration.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(hint, format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...), hint}
}

// refusedError is something that was asked for rightly and cannot be done.
type refusedError struct {
	err  error
	hint string
}

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

func refused(hint, format string, args ...any) error {
	return &refusedError{fmt.Errorf(format, args...), hint}
}

// codeError ends the program with a code when everything has been said already.
type codeError int

func (e codeError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exit says an error and its hint, and returns the exit code. It is the one place
// where errors become text for people.
func (p proc) exit(err error) int {
	if err == nil {
		return exitDone
	}
	if code, ok := errors.AsType[codeError](err); ok {
		return int(code)
	}
	if write, ok := errors.AsType[*fs.PathError](err); ok && write.Path == os.Stdout.Name() && errors.Is(write, syscall.EPIPE) {
		return exitFailed // "cronagent list | head -1" has had enough
	}
	if problems, ok := errors.AsType[appconfig.Errors](err); ok && len(problems) > 0 {
		for _, problem := range problems {
			p.say(problem.Error(), configHint(problem))
		}
		return exitUsage
	}
	code, hint := codeAndHint(err)
	p.say(err.Error(), hint)
	return code
}

// say says an error, a line for each of its lines, and its hint.
func (p proc) say(text, hint string) {
	for line := range strings.Lines(p.mask(text)) {
		if line = safe(strings.TrimSpace(line)); line != "" {
			fmt.Fprintf(p.stderr, "cronagent: %s: %s\n", p.word("error"), line)
		}
	}
	p.hint(hint)
}

// hint says what to do; empty says nothing.
func (p proc) hint(text string) {
	if text != "" {
		fmt.Fprintf(p.stderr, "cronagent: hint: %s\n", safe(p.mask(text)))
	}
}

// word is "error" or "warning" as standard error shows it.
func (p proc) word(text string) string { return p.screenOn(p.stderr).paint(colorOf(text), text) }

// specHint is for a spec whose own error has no better one.
const specHint = "the five fields are minute hour day-of-month month day-of-week; try one with: cronagent next --spec '0 5 * * *'"

func configHint(problem *appconfig.Error) string {
	if _, ok := errors.AsType[*schedule.Error](problem); ok {
		return cmp.Or(problem.Hint, specHint)
	}
	return problem.Hint
}

// codeAndHint finds the exit code of an error, and what to type next.
func codeAndHint(err error) (code int, hint string) {
	if e, ok := errors.AsType[*refusedError](err); ok {
		return exitFailed, e.hint
	}
	if e, ok := errors.AsType[*platform.Error](err); ok {
		return platformCode(e.Kind), platformHint(e)
	}
	if e, ok := errors.AsType[*usageError](err); ok {
		return exitUsage, e.hint
	}
	if e, ok := errors.AsType[*envdetect.Error](err); ok {
		return exitUsage, e.Hint
	}
	if e, ok := errors.AsType[*operation.UnknownError](err); ok {
		return exitUsage, nearest.Ask(operation.MeantOperations(e.Name), "for example: cronagent fire backup:create")
	}
	if e, ok := errors.AsType[*schedule.Error](err); ok {
		return exitUsage, cmp.Or(e.Hint, specHint)
	}
	if _, ok := errors.AsType[*ledger.Unreachable](err); ok {
		return exitUnavailable, "nothing is acted on without it; what came due meanwhile is made up for or recorded as missed when it is back; look at where it is with: cronagent env"
	}
	if _, ok := errors.AsType[*database.VersionError](err); ok {
		return exitUsage, "a newer cronagent has changed them; install that one in this container too"
	}
	if errors.Is(err, context.Canceled) {
		return exitUnavailable, ""
	}
	return exitFailed, ""
}

func platformCode(kind platform.Kind) int {
	switch kind {
	case platform.Unauthorized:
		return exitToken
	case platform.Forbidden:
		return exitForbidden
	case platform.Unavailable:
		return exitUnavailable
	case platform.Uncertain:
		return exitUncertain
	}
	return exitFailed
}

const leastRole = "the least that suffices is the role viewer on the project and admin on the environment type (viewer, production:admin); contributor is too little"

func platformHint(e *platform.Error) string {
	switch e.Reason {
	case platform.NoToken:
		return "put an API token into the variable env:PLATFORMSH_CLI_TOKEN of this environment (UPSUN_CLI_TOKEN and OVHCLOUD_WEBPAAS_CLI_TOKEN are read too), not inheritable, and redeploy"
	case platform.TokenRefused:
		return "the API token may have been revoked, or belong to another vendor; make a new one in the Console and update the variable; look at: cronagent env"
	case platform.SessionExpired:
		return "the token's owner must sign in again with a browser, which no cron can do; use the token of a machine user without single sign-on"
	case platform.StepUp:
		return "the organization asks for another authentication factor, which an API token cannot give; use a machine user that is exempt"
	case platform.RoleTooSmall:
		return leastRole
	case platform.ProjectRoleTooSmall:
		return "the token's user needs the role admin on the project for this, or for an activity admin on the type of its environment"
	case platform.NotActive:
		return "only an active environment takes operations; activate or resume it first"
	case platform.Busy:
		return "run it again when that has ended; cronagent tick does so by itself"
	case platform.Staged:
		return "deploy them (platform environment:deploy, or in the Console), then run it again"
	case platform.NotAvailable:
		return "something else may be under way, or changes may wait for a deployment; run it again later"
	case platform.UnknownProject:
		return "look at the project with: cronagent env; the token's user must be a member of it (viewer, production:admin)"
	case platform.UnknownEnvironment:
		if len(e.Names) > 0 {
			return "it has: " + strings.Join(e.Names, ", ")
		}
		return "look at it with: cronagent env"
	case platform.NoConnection:
		return "nothing was sent, so it is safe to run again; look at the address with: cronagent env"
	case platform.BadCertificate:
		return "the server's certificate cannot be verified; if the container has no CA certificates, set SSL_CERT_FILE to a bundle"
	case platform.Redirected:
		return "set CRONAGENT_API_URL and CRONAGENT_AUTH_URL to where the servers are now"
	}
	switch {
	case strings.HasPrefix(e.Op, "source-operation:run ") && (e.Status == 400 || e.Status == 404):
		return "see which source operations there are: cronagent source-operation:list"
	case e.Kind == platform.Forbidden:
		return leastRole
	case e.Kind == platform.Uncertain:
		return "it was not sent again, so that nothing is done twice; look at the environment's activities before you do"
	case e.Kind == platform.Unavailable:
		return "nothing was accepted, so it is safe to run again"
	case e.Reason == platform.NotFromAPI:
		return "that may be a gateway or a proxy in between; look at the address with: cronagent env"
	}
	return ""
}

// runCode is the exit code that a run stands for.
func runCode(run ledger.Run) int {
	switch run.Outcome {
	case ledger.Uncertain:
		return exitUncertain
	case ledger.Deferred:
		return exitUnavailable
	case ledger.Cancelled:
		if run.ExitCode == nil {
			return exitFailed // its agent died
		}
	case ledger.Failed, ledger.TimedOut:
		if run.Operation != "" && run.ExitCode != nil {
			return *run.ExitCode
		}
		return exitFailed
	}
	return exitDone
}

// worst is the code that a tick ends with: that of its worst run.
func worst(codes []int) int {
	for _, code := range []int{exitUncertain, exitToken, exitForbidden, exitFailed, exitUnavailable, exitUsage} {
		for _, c := range codes {
			if c == code {
				return code
			}
		}
	}
	return exitDone
}
