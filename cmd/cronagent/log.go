package main

import (
	"log/slog"
	"strings"

	"github.com/cronagent/cronagent/internal/envdetect"
)

// debugVariable makes every command log at debug level.
const debugVariable = "CRONAGENT_DEBUG"

// switchedOn reads the value of a variable that is a switch; known is false for a
// word that means neither on nor off.
func switchedOn(value string) (on, known bool) {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "1", "true", "yes", "on":
		return true, true
	case "", "0", "false", "no", "off":
		return false, true
	}
	return false, false
}

// debugWanted tells whether the debug level is asked for. What is set to an
// unknown word is off, and that is said, but the word is not: it may be a secret
// that was put into the wrong variable.
func (p proc) debugWanted() bool {
	on, known := switchedOn(p.getenv(debugVariable))
	if !known {
		p.warn("%s is neither 1 nor 0, so it counts as 0", debugVariable)
	}
	return on
}

// cliDebugWanted is debugWanted for whoever calls us by the name of a vendor's
// tool and asks as that tool is asked: by -vvv or by its own variable.
func (p proc) cliDebugWanted(vendor envdetect.Vendor, verbose int) bool {
	if verbose >= 3 || vendor.Prefix == "" {
		return verbose >= 3
	}
	on, _ := switchedOn(p.getenv(vendor.Prefix + "DEBUG"))
	return on
}

// logger is where a command logs what it does: lines of text on standard error.
// It is the only place that makes loggers.
func (p proc) logger() *slog.Logger {
	return p.loggerAs("text")
}

// loggerAs is logger in another format: text, or json for machines.
func (p proc) loggerAs(format string) *slog.Logger {
	opts := &slog.HandlerOptions{Level: slog.LevelInfo}
	if p.debug {
		opts.Level = slog.LevelDebug
	}
	if format == "json" {
		opts.ReplaceAttr = inSeconds
		return slog.New(slog.NewJSONHandler(p.logs, opts))
	}
	return slog.New(slog.NewTextHandler(p.logs, opts))
}

// inSeconds makes durations in JSON numbers of seconds, as they are everywhere in it;
// slog's are nanoseconds.
func inSeconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.Float64Value(a.Value.Duration().Seconds())
	}
	return a
}

// logDetected logs at debug level where this is. The token is not in it, only the
// variable that holds it.
func (p proc) logDetected(env envdetect.Environment) {
	if !p.debug {
		return
	}
	p.logger().Debug("detected", "version", versionText(), "phase", string(env.Phase), "vendor", env.Vendor.Name,
		"project", env.Project, "environment", env.ID, "type", env.Type, "app", env.App, "config", env.ConfigSource,
		"token_variable", env.TokenVariable, "api_url", env.APIURL, "auth_url", env.AuthURL, "state_dir", env.StateDir)
}
