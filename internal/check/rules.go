package check

// Severity is how bad a finding is.
type Severity string

// An Error is something that does not work, a Warning something that goes wrong
// one night, a Notice something that one should know.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Notice  Severity = "notice"
)

// Rule is one thing that is looked for.
type Rule struct {
	// Code names it for ever: in brackets behind a finding, in JSON, and as the name
	// of its page in docs/checks.
	Code     string
	Severity Severity
	// What it is about, in a line.
	What string
	// Hint is what to do, for findings without a better one.
	Hint string
	// Fixes says that some of its findings can be rewritten safely.
	Fixes bool
}

// Rules is the table, in the order of the documents.
var Rules = []Rule{
	{"yaml", Error, "a file that cannot be read as a configuration", "", false},
	{"schema", Error, "unknown keys, wrong types and limits in what the platform reads", "", false},
	{"agent-config", Error, "unknown keys, wrong types and limits below variables.cronagent", "", false},
	{"commands-string", Warning, "commands given as a string, which the platform's schema does not allow", "write commands: and below it start: with the command", false},
	{"cmd-deprecated", Notice, "cmd, which is deprecated", "write commands: and below it start: with the command", true},
	{"token-literal", Error, "an API token, or another secret of the platform CLI, written into a file", "remove it, revoke it, and put a new one into a sensitive variable of the production environment", false},

	{"spec", Error, "a spec that cannot be understood", "", false},
	{"spec-never", Error, "a spec that no day fits", "", false},
	{"spec-step", Warning, "N/S in a spec, which implementations read in three ways", "", false},
	{"spec-days", Warning, "day of month and day of week together, which implementations combine differently", "restrict one of them, or test the other in the command", false},
	{"spec-interval", Warning, "a spec that is due more often than the plan allows", "the platform stretches it; what must run more often belongs into a worker", false},
	{"spec-hash", Error, "H on Dedicated Gen 2, which does not know it", "write a minute, or move the cron to the agent, which knows H everywhere", false},
	{"clock-change", Notice, "a time that a change of the clock skips or repeats", "choose a time that no change touches, or set the zone to UTC", false},

	{"bashism", Error, "bash's own words in a command, which dash runs", "write it for sh, or put it into a file and call that with bash", false},
	{"shell-syntax", Error, "a command that no shell takes", "", false},
	{"guard-exit", Warning, "[ ... ] && command as the last command, which fails wherever the test does not hold", "write if [...]; then ...; fi", false},
	{"guard-branch", Warning, "a guard on the name of the production branch", `test [ "$PLATFORM_ENVIRONMENT_TYPE" = production ]`, true},
	{"guard-environment", Warning, "a guard on PLATFORM_ENVIRONMENT, a name that the platform makes up", `test [ "$PLATFORM_ENVIRONMENT_TYPE" = production ]`, false},
	{"guard-type", Warning, "a guard on an environment type that there is not", `test [ "$PLATFORM_ENVIRONMENT_TYPE" = production ]`, false},
	{"unguarded", Warning, "an operation that changes something, on every environment", `put it into if [ "$PLATFORM_ENVIRONMENT_TYPE" = production ]; then ...; fi, or call cronagent fire, which acts on production only`, false},
	{"no-wait", Warning, "a call of the platform CLI that may wait for the environment that waits for it", "add --no-wait", true},
	{"removed-command", Warning, "a command that the current platform CLI does not know any more", "", true},
	{"sleep", Warning, "sleep, to run something more than once a minute", "an agent cron has @every 30s, and a worker can loop", false},
	{"read-only", Error, "output to a file that cannot be written", "write below a mount, to /tmp, or to standard output, which the platform keeps in cron.log", false},

	{"php-installer", Warning, "the old installer of the platform CLI, which is deprecated", "install cronagent, or the current CLI, and call it on the next line", false},
	{"pipe-to-shell", Warning, "curl ... | sh without a use of what it installs: a failed download passes", "call what it installs on the next line, for example with version", false},

	{"collision", Notice, "crons of one app that are always due together; one of them waits", "spread them, with H if the plan has it", false},
	{"starves", Notice, "a cron that may hold up a more frequent one for long", "make its timeout shorter, or give the work to a worker", false},
	{"long-command", Notice, "a long command in a platform cron, which holds up deployments", "give the work to a worker, or make the timeout shorter", false},
	{"backup-quota", Notice, "a backup cron that soon replaces all older backups", "take scheduled backups by the plan's backup policy, or back up less often", false},
	{"redeploy-certificate", Notice, "a redeploy for certificates that renew themselves", "remove the cron: the platform renews certificates 28 days before they expire", false},
	{"same-operation", Warning, "two apps that fire the same operation at the same environment", "leave it to one of them: an operation is the environment's, not the app's", false},

	{"no-agent", Warning, "agent crons that nobody acts on", "add a cron that calls cronagent tick, or a worker with cronagent run", false},
	{"move-to-agent", Notice, "a platform cron that only fires an operation, in an app that has an agent", "move it to variables.cronagent.crons", true},
	{"two-agents", Error, "two containers that act on the same crons, each with a ledger of its own", "leave it to one of them, or set variables.cronagent.ledger to a relationship to a database", false},
	{"long-under-tick", Notice, "a command under tick that may take longer than to the next tick", "give it a timeout shorter than that, or act on it from a worker: cronagent run", false},
	{"state-lost", Warning, "a ledger that does not outlive a deployment", "add a mount '/.cronagent', or keep the ledger in a database", false},
	{"notify-lost", Warning, "messages that do not arrive", "", false},
}

// fixDoes ends the hints of findings that Fix rewrites into something longer.
const fixDoes = "; cronagent check --fix does"

// ByCode finds a rule; nil if there is none.
func ByCode(code string) *Rule {
	for i := range Rules {
		if Rules[i].Code == code {
			return &Rules[i]
		}
	}
	return nil
}
