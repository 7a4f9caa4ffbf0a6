package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/platform"
)

// detect finds out where we are, for a command that has --vendor or not.
func (p proc) detect(vendor string) (envdetect.Environment, error) {
	return envdetect.Detect(p.lookup, envdetect.Options{
		CalledAs: p.calledAs,
		Vendor:   vendor,
		Writable: func(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil },
	})
}

// warn says a warning.
func (p proc) warn(format string, args ...any) {
	fmt.Fprintf(p.stderr, "cronagent: warning: %s\n", safe(fmt.Sprintf(format, args...)))
}

// token is the API token itself, from the variable that detection chose.
func (p proc) token(env envdetect.Environment) platform.Token {
	if env.TokenVariable == "" {
		return platform.Token{}
	}
	return platform.NewToken(p.getenv(env.TokenVariable))
}

// client is the API's client for this container.
func (p proc) client(env envdetect.Environment) *platform.Client {
	return &platform.Client{
		APIURL:    env.APIURL,
		AuthURL:   env.AuthURL,
		ClientID:  env.Vendor.ClientID,
		Token:     p.token(env),
		CertFile:  p.getenv("SSL_CERT_FILE"),
		CertDir:   p.getenv("SSL_CERT_DIR"),
		UserAgent: fmt.Sprintf("cronagent/%s (%s; %s)", versionText(), runtime.GOOS, runtime.GOARCH),
	}
}

// secrets are the values that must not be printed.
func (p proc) secrets(env envdetect.Environment) []string {
	values := slices.Clone(env.Passwords)
	for _, name := range envdetect.TokenVariables() {
		if value := strings.TrimSpace(p.getenv(name)); value != "" {
			values = append(values, value)
		}
	}
	return values
}

// gate is the flag --environment-types and what it lets through.
type gate struct{ types []string }

func (g *gate) flag(fs *pflag.FlagSet) {
	fs.StringSliceVar(&g.types, "environment-types", []string{envdetect.ProductionType},
		"act on environments of these `types` only: "+strings.Join(appconfig.EnvironmentTypes(), ", "))
}

func (g *gate) check() error {
	if len(g.types) == 0 {
		return usage("for example: --environment-types production,staging", "--environment-types names no type")
	}
	known := appconfig.EnvironmentTypes()
	for _, t := range g.types {
		if !slices.Contains(known, t) {
			return usage("the types are "+strings.Join(known, ", "), "unknown environment type %q", t)
		}
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
