package check

import (
	"path"
	"slices"
	"strings"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/shell"
)

// checkWriting looks at how a cron is written.
func (c *cron) checkWriting() {
	for _, k := range c.written.Keys() {
		switch _, isText := k.Value.Text(); {
		case k.Name == "commands" && isText && c.platform():
			c.add("commands-string", k.Value.Position(), "", "commands is a string, which the platform's schema does not allow")
		case k.Name == "cmd" && c.Start != "":
			f := c.add("cmd-deprecated", k.Key.Position(), "", "cmd is deprecated; its newer name is commands.start")
			if f.edits = c.renameCmd(k); f.edits != nil {
				f.Hint += fixDoes
			}
		}
	}
}

// checkSecrets looks for tokens that are written down. None is ever shown.
func (a *app) checkSecrets() {
	workers, _ := a.written.Get("workers")
	for _, w := range append(workers.Keys(), appconfig.WrittenKey{Value: a.written}) {
		env, _ := w.Value.Get("variables", "env")
		for _, k := range env.Keys() {
			if text, ok := k.Value.Scalar(); ok && text != "" && isToken(k.Name) {
				a.secret("", k.Value.Position(), k.Name)
			}
		}
	}
	for _, c := range a.crons {
		a.checkSecretsIn(c.Name, c.command)
	}
	for _, c := range a.hooks {
		a.checkSecretsIn("", c)
	}
	for _, c := range a.workers {
		a.checkSecretsIn("", c)
	}
}

func isToken(name string) bool { return slices.Contains(envdetect.TokenVariables(), name) }

func (a *app) secret(cron string, at appconfig.Position, name string) {
	a.add("token-literal", a.name, cron, at, "", "the value of %s is written here, where everybody can read it who can read the repository", name)
}

// checkSecretsIn looks at a command.
func (a *app) checkSecretsIn(cron string, c *command) {
	if c == nil || c.script == nil {
		return
	}
	for _, s := range c.script.Assignments() {
		if s.Literal && isToken(s.Name) {
			a.secret(cron, c.position(s.Place), s.Name)
		}
	}
	calls := c.script.Calls()
	for i := range calls {
		named := ""
		for j, w := range calls[i].Words {
			value := ""
			switch {
			case strings.Contains(w.Text, "api_token="):
				value, named = w.Text[strings.LastIndex(w.Text, "api_token=")+len("api_token="):], "api_token"
			case named != "" && strings.HasPrefix(w.Text, "--value="):
				value = w.Text[len("--value="):]
			case named != "" && calls[i].Words[j-1].Text == "--value":
				value = w.Text
			case isToken(strings.TrimPrefix(w.Text, "env:")):
				named = w.Text
			}
			if value != "" && w.Literal {
				a.secret(cron, c.position(calls[i].Places[j]), named)
			}
		}
	}
}

// fetches are programs that download to standard output, and runs those that run
// what they read.
var (
	fetches = []string{"curl", "wget"}
	runs    = []string{"sh", "bash", "dash", "zsh", "php", "python", "python3", "perl", "ruby", "node"}
	// present are programs that every container has, or that the language's own image
	// brings: to call them says nothing of what was installed.
	present = append([]string{
		"curl", "wget", "composer", "npm", "yarn", "pnpm", "npx", "pip", "pip3", "bundle", "gem", "go", "mvn", "gradle", "make",
		"mkdir", "cp", "mv", "rm", "ln", "chmod", "touch", "cat", "ls", "sed", "grep", "awk", "find", "tar", "gzip", "gunzip",
		"unzip", "git", "jq", "tee", "head", "tail", "sort", "tr", "cut", "rsync", "test", "set", "export", "drush", "sleep",
	}, runs...)
)

// checkInstallers looks at what hooks download and run.
func (a *app) checkInstallers() {
	for name, c := range a.hooks {
		if c.script == nil {
			continue
		}
		calls := c.script.Calls()
		var from *shell.Call
		for i := range calls {
			to := &calls[i]
			if to.Pipe == 0 {
				continue
			}
			if slices.Contains(fetches, program(to)) {
				from = to
			}
			if from == nil || from.Pipe != to.Pipe || from.Stage != to.Stage-1 || !slices.Contains(runs, program(to)) || isScript(to) {
				continue
			}
			at := c.position(from.Places[0])
			words := from.String() + " " + to.String()
			if program(to) == "php" && strings.Contains(words, "platform.sh/cli/installer") {
				a.add("php-installer", a.name, "", at, "", "the hook %s installs the platform CLI by its PHP installer, which is deprecated", name)
			}
			if !used(calls[i+1:], to.Pipe, c.script.Mentions(), strings.ToLower(words)) {
				a.add("pipe-to-shell", a.name, "", at, "", "if this download fails the hook %s goes on: what it installs is not used after it", name)
			}
		}
	}
}

// isScript tells whether an interpreter is given a file to run, so that it reads
// data only.
func isScript(c *shell.Call) bool {
	for _, w := range c.Words[1:] {
		switch {
		case w.Text == "-" || w.Text == "--" || w.Text == "-s" || strings.HasPrefix(w.Text, "/dev/"):
			return false
		case !strings.HasPrefix(w.Text, "-"):
			return true
		case program(c) != "bash" && program(c) != "sh" && len(w.Text) == 2: // php -r, python -c
			return true
		}
	}
	return false
}

// used tells whether commands behind a pipeline use what it has installed: by a name
// that is in its words, or by one that was not there before.
func used(after []shell.Call, pipe int, mentions []string, words string) bool {
	for i := range after {
		c := &after[i]
		name := program(c)
		if c.Pipe == pipe && pipe != 0 || name == "" || c.Minor && name != "which" && name != "command" {
			continue
		}
		if name == "which" || name == "command" || strings.Contains(words, strings.ToLower(name)) || !slices.Contains(present, name) {
			return true
		}
	}
	for _, m := range mentions {
		if strings.Contains(m, "/") && strings.Contains(words, strings.ToLower(path.Base(m))) {
			return true
		}
	}
	return false
}
