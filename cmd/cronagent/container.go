package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/runner"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// detect finds out where we are, for a command that has --vendor or not.
func (p proc) detect(vendor string) (envdetect.Environment, error) {
	env, err := envdetect.Detect(p.lookup, envdetect.Options{
		CalledAs: p.calledAs,
		Vendor:   vendor,
		Writable: func(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil },
	})
	if err == nil {
		p.logDetected(env)
	}
	return env, err
}

// warn says a warning.
func (p proc) warn(format string, args ...any) {
	fmt.Fprintf(p.stderr, "cronagent: %s: %s\n", p.word(isWarning), safe(p.mask(fmt.Sprintf(format, args...))))
}

// token is the API token itself, from the variable that detection chose.
func (p proc) token(env envdetect.Environment) platform.Token {
	if env.TokenVariable == "" {
		return platform.Token{}
	}
	return platform.NewToken(p.getenv(env.TokenVariable))
}

// knownActivities are those of runs in the ledger, as far as it can be read.
func knownActivities(env envdetect.Environment) []string {
	runs, err := within(func(ctx context.Context) ([]ledger.Run, error) {
		l, err := openLedger(ctx, env)
		if err != nil {
			return nil, err
		}
		defer l.Close()
		return l.History(ctx, ledger.Key{}, 20)
	})
	if err != nil {
		return nil
	}
	var ids []string
	for _, run := range runs {
		for _, activity := range run.Activities {
			ids = append(ids, activity.ID)
		}
	}
	return ids
}

// postGrace is how long a POST under way is waited for when a signal has come. On
// Dedicated Gen 2 the platform kills after two seconds.
const postGrace = 1200 * time.Millisecond

// client is the API's client for this container.
func (p proc) client(env envdetect.Environment) *platform.Client {
	return &platform.Client{
		APIURL:    env.APIURL,
		AuthURL:   env.AuthURL,
		ClientID:  env.Vendor.ClientID,
		Token:     p.token(env),
		CertFile:  p.getenv("SSL_CERT_FILE"),
		CertDir:   p.getenv("SSL_CERT_DIR"),
		Known:     func() []string { return knownActivities(env) },
		Log:       p.logger(),
		Grace:     postGrace,
		UserAgent: p.userAgent(),
	}
}

// userAgent names us to servers.
func (p proc) userAgent() string {
	return fmt.Sprintf("cronagent/%s (%s; %s)", versionText(), runtime.GOOS, runtime.GOARCH)
}

// tokens are the values of all variables that hold tokens.
func (p proc) tokens() []string {
	var values []string
	for _, name := range envdetect.TokenVariables() {
		// {PREFIX}API_TOKEN is deprecated: it holds an access token.
		for _, name := range []string{name, strings.TrimSuffix(name, "TOKEN") + "API_TOKEN"} {
			if value := strings.TrimSpace(p.getenv(name)); value != "" {
				values = append(values, value)
			}
		}
	}
	return values
}

// minMasked is how long a token must be to be looked for in our own words, in
// bytes: a shorter one is no real one, and would be found by chance.
const minMasked = 8

// mask takes tokens out of our own words: an error quotes what it is about, and
// that may be a token that stands where it does not belong. The fake platform's
// token is no secret.
func (p proc) mask(text string) string {
	for _, token := range p.tokens() {
		if len(token) >= minMasked && token != sandbox.DefaultToken {
			text = platform.NewToken(token).Redact(text)
		}
	}
	return text
}

// masked is a writer to which only masked text goes.
type masked struct {
	w    io.Writer
	mask func(string) string
}

func (m masked) Write(data []byte) (int, error) {
	if _, err := io.WriteString(m.w, m.mask(string(data))); err != nil {
		return 0, err
	}
	return len(data), nil
}

// secrets are the values that must not be printed: tokens, passwords, and the
// container's variables that hold one of them in base64.
func (p proc) secrets(env envdetect.Environment) []string {
	values := append(p.tokens(), env.Passwords...)
	var encoded []string
	for _, name := range []string{"PLATFORM_APPLICATION", "PLATFORM_VARIABLES", "PLATFORM_RELATIONSHIPS"} {
		value := strings.TrimSpace(p.getenv(name))
		text, err := base64.StdEncoding.DecodeString(value)
		holds := func(secret string) bool { return platform.NewToken(secret).Redact(string(text)) != string(text) }
		if err == nil && slices.ContainsFunc(values, holds) {
			encoded = append(encoded, value)
		}
	}
	return append(values, encoded...)
}

// gate is the flag --environment-types and what it lets through.
type gate struct{ types []string }

func (g *gate) flag(fs *pflag.FlagSet) {
	fs.StringSliceVar(&g.types, "environment-types", []string{envdetect.ProductionType},
		"act on environments of these `types` only: "+strings.Join(appconfig.EnvironmentTypes(), ", "))
	oneOf(fs, "environment-types", "environment type", appconfig.EnvironmentTypes())
}

func (g *gate) check() error {
	if len(g.types) == 0 {
		return usage("for example: --environment-types production,staging", "--environment-types names no type")
	}
	return nil
}

// refusal says in words why nothing is done on an environment of this type, where
// only types are meant; empty if something is. An empty type is one that the
// container does not tell.
func refusal(types []string, environmentType string) string {
	if slices.Contains(types, appconfig.AnyEnvironment) || environmentType != "" && slices.Contains(types, environmentType) {
		return ""
	}
	wanted := strings.Join(types, " or ")
	switch environmentType {
	case envdetect.LocalType:
		return "this is no container of the platform (only " + wanted + ")"
	case "":
		return "the type of this environment is not known (only " + wanted + "): PLATFORM_ENVIRONMENT_TYPE is not set; see CRONAGENT_PRODUCTION_BRANCH"
	}
	return fmt.Sprintf("this environment is of type %s (only %s)", environmentType, wanted)
}

// errBuild is for whatever would fire during a build, where no environment
// exists yet.
func errBuild(what string) error {
	return usage("call it from a cron or over SSH; in the build hook only install it and run: .platformsh/bin/cronagent version",
		"%s: nothing can be fired in a build: PLATFORM_BRANCH is not set", what)
}

// What is left between SIGTERM and the platform's SIGKILL, less what it takes to
// read the last output and to write a record: of 2 s on Dedicated Gen 2, and of 15
// in a worker.
const (
	gen2Within   = 1200 * time.Millisecond
	workerWithin = 12500 * time.Millisecond
)

// stopInTime returns a context that ends with ctx, and tells runner.Run then how
// long this container has left. The caller calls cancel when all is done.
func stopInTime(ctx context.Context, env envdetect.Environment) (context.Context, context.CancelFunc) {
	within := runner.Within(appconfig.DefaultTimeout)
	switch {
	case env.Mode == "dedicated-gen2":
		within = runner.Within(gen2Within)
	case env.Worker != "":
		within = runner.Within(workerWithin)
	}
	bounded, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(within) })
	return bounded, func() { stop(); cancel(nil) }
}
